"""What image operators say about types: results, refusals with the way out, and entry inputs."""

from __future__ import annotations

from typing import Any

import pytest

from compare import REGISTRY, Call, Op, Trait
from tpgen.ir.op import InferError, attributes_of
from tpgen.types import Array, Bytes, Color, DType, Layout, ListOf, Opaque, Symbol, Text, Type

HEIGHT, WIDTH = Symbol("H"), Symbol("W")
BGR = Array(DType.UINT8, (HEIGHT, WIDTH, 3), Layout.HWC, Color.BGR)
RGB_CHW = Array(DType.UINT8, (3, HEIGHT, WIDTH), Layout.CHW, Color.RGB)
SIZE = {"resize_h": 224, "resize_w": 112}
MAX = {"max_h": 64, "max_w": 48}


def make(name: str, **attributes: Any) -> Op:
    return REGISTRY[name](**attributes)


def infer(op: Op, data: Type = BGR, **others: Type) -> dict[str, Type]:
    return dict(op.infer(Call({"data": data, **others})))


def refusal(op: Op, data: Type = BGR, **others: Type) -> InferError:
    with pytest.raises(InferError) as caught:
        infer(op, data, **others)
    return caught.value


def image(dtype: str = "uint8", shape: tuple[Any, ...] = (HEIGHT, WIDTH, 3), layout: str = "HWC") -> Array:
    return Array(DType(dtype), shape, Layout(layout), Color.BGR)


@pytest.mark.parametrize(
    ("op", "data", "text"),
    [
        (make("DecodeMat"), Bytes(), "uint8[H,W,3] HWC bgr"),
        (make("DecodeTensor"), Bytes(), "uint8[3,H,W] CHW rgb"),
        (make("DecodeTensor", color="bgr", data_format="hwc"), Bytes(), "uint8[H,W,3] HWC bgr"),
        (make("cvtColorMat", color="rgb"), BGR, "uint8[H,W,3] HWC rgb"),
        (make("cvtColorTensor", color="bgr"), RGB_CHW, "uint8[3,H,W] CHW bgr"),
        (make("Mat2Tensor"), BGR, "uint8[3,H,W] CHW bgr"),
        (make("Mat2Tensor", data_format="hwc"), BGR, "uint8[H,W,3] HWC bgr"),
        (make("Mat2Tensor"), ListOf(BGR), "[uint8[3,H,W] CHW bgr]"),
        (make("Tensor2Mat"), RGB_CHW, "uint8[H,W,3] HWC rgb"),
        (make("Tensor2Mat"), Array(DType.FLOAT16, (3, 8, 9)), "float32[8,9,3] HWC"),
        (make("FloatMat"), BGR, "float32[H,W,3] HWC bgr"),
        (make("Any2Mat"), Opaque("a user's class"), "[uint8[H,W,3] HWC]"),
        (make("ResizeMat", **SIZE), image("float32"), "float32[224,112,3] HWC bgr"),
        (make("ResizeTensor", **SIZE), RGB_CHW, "float32[3,224,112] CHW rgb"),
        (make("ResizeCenterPadMat", **MAX), BGR, "uint8[64,48,3] HWC bgr"),
        (make("ResizeCenterPadMat", **MAX, pad_value=(114.5,)), BGR, "float32[64,48,3] HWC bgr"),
        (make("PackImage", mean=(1.0, 2.0, 3.0), swap_rb=True), BGR, "float32[3,H,W] CHW rgb"),
        (make("PackImage"), BGR, "float32[3,H,W] CHW bgr"),
    ],
)
def test_results(op: Op, data: Type, text: str) -> None:
    assert str(infer(op, data)["result"]) == text


def test_companions() -> None:
    letter_box = infer(make("LetterBoxMat", **SIZE))
    assert {key: str(type_) for key, type_ in letter_box.items() if key != "result"} == {
        "scale": "float32[]",
        "offset": "int32[2]",
    }
    assert str(infer(make("ResizePadMat", **MAX))["inverse_trans"]) == "float64[2,3]"


def test_symbols_belong_to_the_call() -> None:
    first, second = (infer(make("DecodeMat"), Bytes())["result"] for _ in range(2))
    assert isinstance(first, Array)
    assert isinstance(second, Array)
    assert first.shape[0] != second.shape[0]


def test_channels_first_trait_depends_on_the_format() -> None:
    assert make("Mat2Tensor").has(Trait.TO_CHW)
    assert not make("Mat2Tensor", data_format="hwc").has(Trait.TO_CHW)


@pytest.mark.parametrize(
    ("op", "data", "code", "message", "hint"),
    [
        (make("DecodeMat"), BGR, "TP301", "an encoded image (bytes) is needed here", None),
        (make("ResizeMat", **SIZE), Bytes(), "TP301", "'data' is bytes", None),
        (
            make("ResizeMat", **SIZE),
            RGB_CHW,
            "TP302",
            "HWC is needed here",
            "take the image before Mat2Tensor",
        ),
        (make("ResizeMat", **SIZE), Array(DType.UINT8, (4, 4)), "TP302", "an image of rank 3", None),
        (make("ResizeMat", **SIZE), image("int64"), "TP305", "uint8 or uint16", None),
        (make("ResizeMat", resize_h=1 << 20, resize_w=1 << 10), BGR, "TP104", "pixels are more than", None),
        (make("cvtColorMat", color="rgb"), image(shape=(HEIGHT, WIDTH, 1)), "TP304", "has 1 channels", None),
        (
            make("cvtColorMat", color="rgb"),
            image(shape=(HEIGHT, WIDTH, Symbol("C"))),
            "TP304",
            "a varying number of channels",
            None,
        ),
        (
            make("cvtColorMat", color="rgb"),
            Array(DType.UINT8, (HEIGHT, WIDTH, 3), Layout.HWC, Color.UNKNOWN),
            "TP303",
            "the colour order of 'data' is not known here",
            '[pipeline.inputs] data = "uint8[H,W,3] bgr"',
        ),
        (
            make("ResizeMat", **SIZE),
            Array(DType.UINT8, (8, 8, 3), Layout.UNKNOWN, Color.UNKNOWN),
            "TP302",
            "an image on one way here, and an array of unknown layout on another",
            "a key of its own",
        ),
        (
            make("ResizeTensor", **SIZE),
            Array(DType.UINT8, (3, 8, 3)),
            "TP302",
            "could be HWC or CHW",
            "declare it",
        ),
        (make("ResizePadMat", **MAX, pad_value=()), BGR, "TP104", "'pad_value' has 0 numbers", None),
        (make("ResizePadMat", **MAX, pad_value=(300.0,)), BGR, "TP104", "holds 300", None),
        (make("LetterBoxMat", **SIZE, pad_val=(-1,)), BGR, "TP104", "'pad_val' holds -1", None),
        (make("Normalize", mean=(1.0,), std=(1.0,)), BGR, "TP304", "'mean' has 1 values", None),
        (make("Normalize", mean=(1.0,) * 3, std=(1.0, 0.0, 1.0)), BGR, "TP104", "'std' holds 0", None),
        (make("PillowResizeMat", **SIZE), image("float32"), "TP305", "uint8 is needed here", None),
        (make("PackImage"), image("float32"), "TP305", "uint8 is needed here", None),
        (make("Any2Mat"), BGR, "TP301", "a list of images is needed here", None),
        (make("SaveMats", save_dir="."), BGR, "TP301", "a list of images is needed here", "use SaveMat"),
    ],
)
def test_refusals(op: Op, data: Type, code: str, message: str, hint: str | None) -> None:
    found = refusal(op, data)
    assert found.code == code
    assert message in found.message
    assert hint is None or hint in (found.hint or "")


VARIES = Array(DType.UINT8, (HEIGHT, WIDTH, 3), Layout.VARIES, Color.VARIES)


@pytest.mark.parametrize(
    ("op", "asked", "text"),
    [
        (make("cvtColorMat", color="rgb"), "HWC rgb", "uint8[H,W,3] HWC rgb"),
        (make("cvtColorTensor", color="bgr"), "CHW bgr", "uint8[3,H,W] CHW bgr"),
        (make("Mat2Tensor"), "HWC bgr|rgb", "uint8[3,H,W] CHW bgr|rgb"),
        (make("Tensor2Mat"), "HWC bgr|rgb", "uint8[H,W,3] HWC bgr|rgb"),
        (make("NCHWTensor"), "CHW bgr|rgb", "uint8[3,H,W] CHW bgr|rgb"),
        (make("ResizeMat", **SIZE), "HWC bgr|rgb", "uint8[224,112,3] HWC bgr|rgb"),
        (make("ResizeTensor", **SIZE), "CHW bgr|rgb", "float32[3,224,112] CHW bgr|rgb"),
        (make("Normalize", mean=(1.0,) * 3, std=(1.0,) * 3), "CHW bgr|rgb", "float32[3,H,W] CHW bgr|rgb"),
        (make("SaveMat", save_dir="."), "HWC bgr", "uint8[H,W,3] HWC bgr"),
        (make("FloatTensor"), "CHW bgr|rgb", "float32[3,H,W] CHW bgr|rgb"),
        (make("Identity"), "HWC|CHW bgr|rgb", "uint8[H,W,3] HWC|CHW bgr|rgb"),
        (make("Tensor2NvTensor"), "HWC|CHW bgr|rgb", "uint8[H,W,3] HWC|CHW bgr|rgb"),
        (make("Copy", argument="data:other"), "HWC|CHW bgr|rgb", "uint8[H,W,3] HWC|CHW bgr|rgb"),
    ],
)
def test_what_varies_is_asked_for_as_the_operator_needs_it(op: Op, asked: str, text: str) -> None:
    call = Call({"data": VARIES})
    assert str(op.infer(call)["result"]) == text
    assert str(call.types["data"]).split(" ", 1)[1] == asked


@pytest.mark.parametrize("name", ["Mat2Tensor", "SaveMats"])
def test_lists_of_what_varies_are_asked_for_too(name: str) -> None:
    call = Call({"data": ListOf(VARIES)})
    make(name, **({"save_dir": "."} if name == "SaveMats" else {})).infer(call)
    assert str(call.types["data"]) == f"[uint8[H,W,3] HWC {'bgr' if name == 'SaveMats' else 'bgr|rgb'}]"


def test_refusal_points_at_the_value_at_fault() -> None:
    align = make("AlignMat", resize_h=32, max_w=100)
    assert refusal(align).attribute == "max_w"
    assert "no multiple of align = 32" in refusal(align).message


def test_box_must_have_four_numbers() -> None:
    crop = make("CropMat")
    assert "[4] is needed here" in refusal(crop, _box=Array(DType.INT32, (5,))).message
    assert refusal(crop, _box=Array(DType.STRING, (4,))).code == "TP305"
    assert refusal(make("CropResizeMat", **SIZE), _box=Array(DType.INT32, (4,))).code == "TP305"
    quads = make("PerspectiveTransformMats")
    assert refusal(quads, _box=Array(DType.INT32, (4, 2))).code == "TP304"
    assert isinstance(infer(quads, _box=Array(DType.INT32, (Symbol("N"), 4, 2)))["result"], ListOf)
    assert isinstance(infer(quads, _box=ListOf(Array(DType.INT32, (4, 2))))["result"], ListOf)


def test_sizes_of_the_item_are_whole_numbers_or_texts() -> None:
    resize = make("DynamicResizeMat")
    infer(resize, resize_h=Text(), resize_w=Array(DType.INT64, (1,)))
    assert refusal(resize, resize_h=Text(), resize_w=Array(DType.FLOAT32, ())).code == "TP305"
    assert refusal(resize, resize_h=Text(), resize_w=Array(DType.INT32, (2,))).code == "TP304"


IMAGE_OPERATORS = sorted({cls.names[0] for cls in REGISTRY.values() if cls.group == "image"})


VALUES = {"int": 64, "float": 0.5, "str": "rgb", "tuple[float, ...]": (1.0, 1.0, 1.0)}
NEEDS_COLOR = {"cvtColorMat", "cvtColorTensor", "CvtColorNvTensor"}


@pytest.mark.parametrize("name", IMAGE_OPERATORS)
def test_what_an_operator_wants_as_entry_input_it_takes(name: str) -> None:
    cls = REGISTRY[name]
    op = make(name, **{f.name: VALUES[f.annotation] for f in attributes_of(cls) if f.required})
    types = {key: op.wants(key) for key in op.inputs()}
    if name in NEEDS_COLOR:  # the colour order of an entry input has to be declared
        types["data"] = BGR
    known = {key: type_ for key, type_ in types.items() if type_ is not None}
    assert "result" in infer(op, **known)
