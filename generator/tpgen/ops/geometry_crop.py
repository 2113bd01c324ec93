"""Regions of images: boxes, quadrilaterals (dialect.md 3.1 and 3.2). Coordinates are pixels (x, y)."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.op import InferCall, Op, Trait, attr, mismatch, operator
from ..types import Array, DType, ListOf, Symbol, Type
from .image_rules import (
    INTEGERS,
    MAX_SIDE,
    RESIZABLE,
    check_area,
    image_input,
    layout_name,
    resized,
    vector_input,
    wanted_image,
)

BOX = "_box"
_FLOATS = (DType.FLOAT32, DType.FLOAT64)
_FAILS = {Trait.PURE, Trait.FAILS}


def _refuse_boxes(call: InferCall) -> None:
    """Refuse boxes in place of the image: the ``result`` of the node before is ``data`` here."""
    found = call.type("data")
    one = found.item if isinstance(found, ListOf) else found
    shape = one.shape if isinstance(one, Array) and not one.is_image else ()
    if not shape or (len(shape) == 3 and shape[1:] != (4, 2)) or shape[-1] not in (2, 4, 8):
        return
    mismatch(
        "TP304",
        f"'data' is {found}, boxes by its shape; the image is needed here, and the boxes as '{BOX}'",
        "bring both with a map, with the names of your nodes: "
        f'map = "decode[result:data], boxes[result:{BOX}]"',
    )


class Crop(Op):
    """What CropMat and CropTensor share."""

    reads = ("data", BOX)
    derived = ("layout",)

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else Array(DType.INT32, (4,))

    def derive(self, types: Mapping[str, Type]) -> Mapping[str, str]:
        return {"layout": layout_name(types["data"])}

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _refuse_boxes(call)
        vector_input(call, BOX, [(4,)], INTEGERS + _FLOATS)
        image = image_input(call, layout=None)
        return {"result": resized(image, call.symbol("H"), call.symbol("W"))}


@operator("CropMat", group="image", kernel="crop:crop", traits=_FAILS)
class CropMat(Crop):
    """Cut out ``_box`` = [x1, y1, x2, y2]: x1 <= x < x2, y1 <= y < y2.

    What lies outside the image is left out; a box without a pixel of the image leaves no ``result``. Numbers
    that are not whole are rounded toward zero.
    """

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        _refuse_boxes(call)
        image_input(call)
        return super().infer(call)


@operator("CropTensor", group="image", kernel="crop:crop", traits=_FAILS | {Trait.GPU_CONVENTION})
class CropTensor(Crop):
    """CropMat for ``[C,H,W]`` as well as ``[H,W,C]``."""


@operator("CropResizeMat", group="image", kernel="crop:crop_resize_mat", traits=_FAILS)
class CropResizeMat(Op):
    """Cut out a normalised box and resize it (bilinear, half-pixel centres).

    ``_box`` = [x1, y1, x2, y2] are fractions of the image's width and height, turned into pixels by rounding
    toward zero. Each side grows by ``enlarge_ratio`` × (side + 1) pixels and ends at the image's edge.
    """

    reads = ("data", BOX)

    resize_h: int = attr("Target height, pixels.", ge=1, le=MAX_SIDE)
    resize_w: int = attr("Target width, pixels.", ge=1, le=MAX_SIDE)
    enlarge_ratio: float = attr(
        "Growth of each side, as a part of the box's side.", default=0.0, ge=0, le=1000
    )

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else Array(DType.FLOAT32, (4,))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        check_area(self.resize_h, self.resize_w, "resize_h")
        _refuse_boxes(call)
        vector_input(call, BOX, [(4,)], _FLOATS)
        return {"result": resized(image_input(call, dtypes=RESIZABLE), self.resize_h, self.resize_w)}


class _Perspective(Op):
    """What the perspective operators share."""

    reads = ("data", BOX)

    def _result(self, call: InferCall) -> Array:
        _refuse_boxes(call)
        image = image_input(call, dtypes=RESIZABLE, channels=(1, 3, 4))
        return resized(image, call.symbol("H"), call.symbol("W"))


_INTERPOLATION = (
    "How pixels are sampled; nearest is what the original does, by a mistake in its call of OpenCV."
)


@operator("PerspectiveTransformMat", group="image", kernel="crop:perspective_transform_mat", traits=_FAILS)
class PerspectiveTransformMat(_Perspective):
    """Straighten the quadrilateral ``_box``: top left, top right, bottom right, bottom left point (x, y).

    The result is as wide as the top edge and as high as the left edge (rounded down); zero where the
    quadrilateral leaves the image. Without an area it leaves no ``result``.
    """

    interpolation: str = attr(_INTERPOLATION, default="nearest", choices=("nearest", "linear"))

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else Array(DType.INT32, (4, 2))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        vector_input(call, BOX, [(4, 2), (8,)], INTEGERS + _FLOATS)
        return {"result": self._result(call)}


@operator("PerspectiveTransformMats", group="image", kernel="crop:perspective_transform_mats", traits=_FAILS)
class PerspectiveTransformMats(_Perspective):
    """PerspectiveTransformMat for each quadrilateral of ``_box`` (``[N,4,2]``, or a list), as a list."""

    interpolation: str = attr(_INTERPOLATION, default="nearest", choices=("nearest", "linear"))

    def wants(self, key: str) -> Type:
        return wanted_image() if key == "data" else Array(DType.INT32, (Symbol("N"), 4, 2))

    def infer(self, call: InferCall) -> Mapping[str, Type]:
        found = call.type(BOX)
        shape = found.shape if isinstance(found, Array) else ()
        item = found.item if isinstance(found, ListOf) else None
        one = item.shape if isinstance(item, Array) else shape[1:]
        if one not in ((4, 2), (8,)):
            mismatch("TP304", f"'{BOX}' is {found}; [N,4,2], or a list of [4,2], is needed here")
        return {"result": ListOf(self._result(call))}
