"""Detection: YOLO-style decoding, non-maximum suppression, DB-style text boxes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..ir.decisive import Boxes, Decisive
from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..ir.rewrite import MOST_BEST, Tail
from ..types import Array, DType, Layout, Symbol, Type
from .array_rules import FLOATS, INTEGERS, need_size, number_input
from .image_rules import AFFINE, image_input, wanted_image

DATA = "data"
INVERSE = "inverse_trans"
YOLO_FORMATS = ("yolov5", "yolox", "yolov8")


class MapsBack(Op):
    """Operators whose boxes are mapped to the source by a matrix ``[2,3]`` under a key, if it is there."""

    inverse_trans: str

    def bind(self, keys: Collection[str], *, is_root: bool) -> Op:
        """Leave the matrix out if it is the default key and nothing wrote it."""
        if self.inverse_trans == INVERSE and INVERSE not in keys:
            return replace(self, inverse_trans="")  # type: ignore[type-var]
        return self

    @property
    def misses_matrix(self) -> bool:
        """True if the boxes are in pixels of what the model got."""
        return not self.inverse_trans

    def _check_matrix(self, call: InferCall) -> None:
        key = self.inverse_trans
        found = number_input(call, key, ranks=(2,), dtypes=(DType.FLOAT64, DType.FLOAT32))
        need_size(call, key, found, 0, 2, "the number of rows")
        need_size(call, key, found, 1, 3, "the number of columns")


@operator(
    "YoloDecode",
    group="postprocess",
    kernel="boxes:decode_yolo",
    traits={Trait.PURE, Trait.BINDS, Trait.REDUCES},
)
class YoloDecode(MapsBack):
    """Boxes from the output of a YOLO-style detector, best first; NMS is to follow.

    ``result``: corners x1,y1,x2,y2, float32 ``[K,4]``, in pixels of the source where ``inverse_trans`` is
    there, else of the model's input (never clipped); ``scores``: float32 ``[K]``; ``classes``: int64 ``[K]``.

    Formats: ``yolov5`` is ``[N,5+C]`` (middle x, y, width, height in input pixels, objectness, class
    probabilities); ``yolox`` the same with offsets in grid cells and log sizes, which ``strides`` and the
    input size decode; ``yolov8`` is ``[4+C,N]`` without objectness. Score: objectness × best class.
    """

    writes = ("result", "scores", "classes")
    derived = ("is_reduced",)

    form: str = attr("Form of the model's output.", key="format", choices=YOLO_FORMATS)
    score_threshold: float = attr("The smallest score that stays.", default=0.25, ge=0, le=1)
    max_candidates: int = attr(
        "At most this many boxes stay, the best ones. Where there are fewer than all, up to 3840, no others"
        " leave a model on a backend of its own.",
        default=30_000,
        ge=1,
    )
    input_h: int = attr("Height of the model's input, pixels (yolox).", default=640, ge=1)
    input_w: int = attr("Width of the model's input, pixels (yolox).", default=640, ge=1)
    strides: tuple[int, ...] = attr("Cell sizes of the grids, pixels (yolox).", default=(8, 16, 32), ge=1)
    inverse_trans: str = attr(
        'Key of the matrix to source pixels; the default is used if it exists, "" never.',
        default=INVERSE,
        compile_only=True,
    )
    is_reduced: bool = attr("", default=False, from_toml=False, compile_only=True)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, bool]:
        return {"is_reduced": True} if self.is_reduced else {}

    def inputs(self) -> tuple[str, ...]:
        return (DATA, self.inverse_trans) if self.inverse_trans else (DATA,)

    def wants(self, key: str) -> Type:
        if key == self.inverse_trans:
            return AFFINE
        return Array(DType.FLOAT32, (Symbol("N"), Symbol("F")))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call, ranks=(2,), dtypes=FLOATS)
        if self.inverse_trans:
            self._check_matrix(call)
        if not self.is_reduced:
            self._check_shape(call, found)
        count = call.symbol("K")
        return {
            "result": Array(DType.FLOAT32, (count, 4)),
            "scores": Array(DType.FLOAT32, (count,)),
            "classes": Array(DType.INT64, (count,)),
        }

    def _check_shape(self, call: InferCall, found: Array) -> None:
        boxes, features = found.shape if self.form != "yolov8" else found.shape[::-1]
        least, form = (5, "[4+C,N]") if self.form == "yolov8" else (6, "[N,5+C]")
        too_few = isinstance(features, int) and features < least
        swapped = isinstance(features, int) and isinstance(boxes, int) and features > boxes
        if too_few or swapped:
            other = "yolov5 or yolox" if self.form == "yolov8" else "yolov8"
            hint = f'is it format = "{other}"?' if swapped else None
            mismatch("TP304", f"'data' is {found}, but {self.form} is {form}", hint, attribute="form")
        if self.form == "yolox":
            cells = sum((self.input_h // s) * (self.input_w // s) for s in self.strides)
            if not call.equate(boxes, cells):
                mismatch(
                    "TP304",
                    f"'data' has {boxes} boxes ({found}), but an input of {self.input_h}x{self.input_w} with"
                    f" strides {', '.join(map(str, self.strides))} gives {cells}",
                    "set input_h, input_w and strides to those of the model",
                    attribute="input_h",
                )

    def decisive(self, answer: Array) -> Decisive:
        is_columns = self.form == "yolov8"
        return Boxes(self.score_threshold, is_columns=is_columns, has_objectness=not is_columns)

    def reduced(self, answer: Array, name: str) -> tuple[Tail, Op] | None:
        """Score and class of each box; of the best boxes only where ``max_candidates`` is less than all.

        Left are the threshold, the order, and all arithmetic on the boxes that stay, so nothing is rounded
        in another way. How many boxes are left is known before: what leaves the model has one size.
        """
        if answer.dtype not in (DType.FLOAT32, DType.FLOAT16):
            return None
        is_columns = self.form == "yolov8"
        boxes = answer.shape[1 if is_columns else 0]
        is_less = isinstance(boxes, int) and self.max_candidates < boxes
        tail = Tail(
            "candidates",
            f"{name}_candidates",
            count=self.max_candidates if is_less and self.max_candidates <= MOST_BEST else None,
            is_columns=is_columns,
            has_objectness=not is_columns,
        )
        return tail, replace(self, is_reduced=True)


@operator("NMS", group="postprocess", kernel="boxes:suppress", traits={Trait.PURE})
class NMS(Op):
    """Greedy non-maximum suppression: of boxes that overlap, the best one stays; best first.

    ``result``: the kept boxes, float32 ``[K,4]``, corners x1,y1,x2,y2; the keys of scores and classes are
    replaced by those of the kept boxes. Overlap is intersection over union, 0 to 1.
    """

    iou_threshold: float = attr("Overlap above which the worse box goes.", default=0.45, ge=0, le=1)
    score_threshold: float = attr("The smallest score that stays.", default=0.0)
    max_detections: int = attr("At most this many boxes stay.", default=300, ge=1)
    class_aware: bool = attr("Boxes of different classes leave each other alone.", default=True)
    boxes: str = attr("Key of the boxes ``[N,4]``.", default=DATA, compile_only=True)
    scores: str = attr("Key of the scores ``[N]``.", default="scores", compile_only=True)
    classes: str = attr(
        "Key of the class ids ``[N]``; empty: there are none.", default="classes", compile_only=True
    )

    def inputs(self) -> tuple[str, ...]:
        return (self.boxes, self.scores, *((self.classes,) if self.classes else ()))

    def outputs(self) -> tuple[str, ...]:
        return ("result", self.scores, *((self.classes,) if self.classes else ()))

    def wants(self, key: str) -> Type:
        if key == self.boxes:
            return Array(DType.FLOAT32, (Symbol("N"), 4))
        return Array(DType.FLOAT32 if key == self.scores else DType.INT64, (Symbol("N"),))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        boxes = number_input(call, self.boxes, ranks=(2,), dtypes=(DType.FLOAT32,))
        need_size(call, self.boxes, boxes, 1, 4, "the number of columns")
        count = call.symbol("K")
        types: dict[str, Type] = {"result": Array(DType.FLOAT32, (count, 4))}
        for key, dtypes in ((self.scores, (DType.FLOAT32,)), (self.classes, INTEGERS)):
            if key:
                found = number_input(call, key, ranks=(1,), dtypes=dtypes)
                need_size(call, key, found, 0, boxes.shape[0], "its length")
                types[key] = Array(found.dtype, (count,))
        return types


@operator("DBPostProcess", group="postprocess", kernel="boxes:text_boxes", traits={Trait.PURE, Trait.BINDS})
class DBPostProcess(MapsBack):
    """Boxes of text from a probability map ``[1,H,W]`` or ``[H,W]``, as DB detectors give it.

    ``result``: int32 ``[K,4,2]``, the corners TL, TR, BR, BL of rotated rectangles, from top to bottom and
    left to right; in pixels of the source where ``source`` or ``inverse_trans`` is there, else of the map.
    ``scores``: float32 ``[K]``, the mean probability inside.
    """

    writes = ("result", "scores")
    derived = ("scaling",)

    threshold: float = attr("Pixels with more than this probability belong to text.", default=0.3, ge=0, le=1)
    box_threshold: float = attr("The smallest mean probability of a box.", default=0.6, ge=0, le=1)
    unclip_ratio: float = attr("A box grows on each side by area × this / perimeter.", default=1.5, ge=0)
    min_size: int = attr("The shortest side of a box before it grows, pixels of the map.", default=3, ge=1)
    max_candidates: int = attr("At most this many regions are looked at.", default=1000, ge=1)
    source: str = attr(
        "Key of the source image (HWC); the map covers it, whatever its size.", default="", compile_only=True
    )
    inverse_trans: str = attr(
        'Key of the matrix to source pixels; the default is used if it exists, "" never.',
        default=INVERSE,
        compile_only=True,
    )

    @property
    def misses_matrix(self) -> bool:
        return not self.source and super().misses_matrix

    def inputs(self) -> tuple[str, ...]:
        reference = self.source or self.inverse_trans
        return (DATA, reference) if reference else (DATA,)

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"scaling": "source" if self.source else "inverse_trans" if self.inverse_trans else ""}

    def wants(self, key: str) -> Type:
        if key == self.source:
            return wanted_image()
        if key == self.inverse_trans:
            return AFFINE
        return Array(DType.FLOAT32, (1, Symbol("H"), Symbol("W")))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = number_input(call, ranks=(2, 3), dtypes=FLOATS)
        if len(found.shape) == 3:
            need_size(call, DATA, found, 0, 1, "the first dimension")
        if self.source:
            image_input(call, self.source, layout=Layout.HWC)
        elif self.inverse_trans:
            self._check_matrix(call)
        count = call.symbol("K")
        return {"result": Array(DType.INT32, (count, 4, 2)), "scores": Array(DType.FLOAT32, (count,))}
