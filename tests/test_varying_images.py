"""Images whose layout or colour order differs from item to item: each is converted by what it is.

Batches hold JPEGs, other images and corrupt ones. The interpreter, one stage and a model per node agree.
The tests behind it compare answers with what OpenCV alone makes of the images.
"""

from __future__ import annotations

import os
import random
import textwrap
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engines.onnx_build import model, node, save, tensor
from random_pipelines import Maker, read_pipeline, write_files
from test_equivalence import compare
from tpgen.driver import build, pipe

COUNT = int(os.environ.get("TPGEN_EQUIVALENCE_IMAGES", "40"))
SEED = int(os.environ.get("TPGEN_SEED", "1"))
DECODERS = """
[jpeg]
backend = "DecodeTensor"
next = "other"
[other]
backend = "DecodeMat"
filter = "or"
"""
COLORS = """
[jpeg]
backend = "DecodeTensor(data_format=hwc)"
next = "other"
[other]
backend = "DecodeMat"
filter = "or"
"""
PLANES = """
[jpeg]
backend = "DecodeTensor"
next = "other"
[other]
backend = "Sequential[DecodeMat,Mat2Tensor]"
filter = "or"
"""
USER = """
import numpy as np
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("uint8", ["H", "W", 3], color="rgb")},
    outputs={"result": Tensor("uint8", ["H", "W", 3], color="bgr")})
def turn(data):
    assert type(data) is np.ndarray
    return data[:, :, ::-1]

@op(inputs={"data": Tensor("uint8", [3, "H", "W"], color="bgr")},
    outputs={"result": Tensor("uint8", [3, "H", "W"], color="rgb")}, batch=True)
def turn_all(data):
    return [image[::-1] if image.shape[1] % 2 else None for image in data]

class Older:
    def init(self, params):
        pass
    def forward(self, items):
        for item in items:
            item["result"] = [np.zeros((2, 2, 3), np.uint8)] * item["data"].shape[2]

@op(inputs={"data": Tensor("uint8", ["H", "W", 3], color="bgr")},
    outputs={"result": [Tensor("uint8", ["A", "B", 3], color="bgr")]})
def halves(data):
    half = data.shape[0] // 2
    return [data[:half], data[half:], data[:1]][: data.shape[1] % 4]

def wide(result):
    return "Skip" if sum(result.shape) % 2 else "Swap"
"""
BEHIND = {
    "Mat2Tensor": "Sequential[Mat2Tensor,cvtColorTensor(color=bgr),FloatTensor]",
    "Mat2Tensor that leaves HWC": "Mat2Tensor(data_format=hwc)",
    "Tensor2Mat": "Sequential[Tensor2Mat,ResizeMat(resize_h=9,resize_w=7),cvtColorMat(color=rgb)]",
    "cvtColorMat": "cvtColorMat(color=rgb)",
    "cvtColorTensor": "Sequential[cvtColorTensor(color=bgr),FloatTensor]",
    "NCHWTensor": "NCHWTensor",
    "an operator on matrices": "Sequential[ResizeMat(resize_h=9,resize_w=7),Add[note:x],Mat2Tensor]",
    "handed on": "Sequential[Identity,Copy[data:other,data:note],SyncTensor,cvtColorTensor(color=bgr)]",
    "user code": "Python[turning:turn]",
    "user code on batches": "Sequential[Python[turning:turn_all],cvtColorTensor(color=bgr)]",
    "user code without types": "Sequential[Python[turning:Older],Any2Mat]",
    "nothing": "Identity",
}
MODELS = {
    "a model": "Onnx(model=any.onnx,input_color=rgb)",
    "a model with mean and std": "Onnx(model=any.onnx,mean=[123.675,116.28,103.53],std=[58.4,57.1,57.4])",
    "a model that takes any colour": "Onnx(model=any.onnx,input_color=any)",
    "a model behind operators": "Sequential[ResizeTensor(resize_h=8,resize_w=8),"
    "Normalize(mean=[1,2,3],std=[4,5,6]),Onnx(model=small.onnx,input_color=bgr)]",
}


def crossed(head: str, calls: dict[str, str]) -> dict[str, str]:
    """Each call behind the decoders."""
    return {
        what: f'{head}next = "last"\n[last]\nmax = 4\nbackend = "{call}"\n' for what, call in calls.items()
    }


GRAPHS = {
    **{f"layout varies: {what}": text for what, text in crossed(DECODERS, BEHIND | MODELS).items()},
    **{f"colour varies: {what}": text for what, text in crossed(COLORS, BEHIND).items()},
    **{f"colour of planes varies: {what}": text for what, text in crossed(PLANES, MODELS).items()},
    "answered as they come": DECODERS,
    "answered in one layout": COLORS,
    "a conversion is skipped": """
        [pipeline]
        outputs = ["result"]
        [a]
        backend = "DecodeMat"
        next = "b"
        [b]
        backend = "Sequential[Identity,(Python[turning:wide])cvtColorMat(color=rgb),Mat2Tensor]"
        next = "c"
        [c]
        backend = "Onnx(model=any.onnx,input_color=rgb)"
        max = 4
        """,
    "a node is skipped": """
        [a]
        backend = "DecodeMat"
        next = "b"
        [b]
        backend = "Sequential[cvtColorMat(color=rgb),Mat2Tensor]"
        filter = "Python[turning:wide]"
        next = "c"
        [c]
        map = "b[result:data]"
        backend = "Onnx(model=any.onnx,input_color=rgb)"
        max = 4
        """,
    "an array of the client's and what was made of it": """
        [pipeline.inputs]
        data = "uint8[H,W,3] bgr"
        [a]
        backend = "Sequential[Identity,(Python[turning:wide])cvtColorMat(color=rgb),Mat2Tensor]"
        next = "c"
        [c]
        backend = "Onnx(model=any.onnx,input_color=rgb)"
        max = 4
        """,
    "a conversion to the order that all have": """
        [a]
        backend = "DecodeTensor(color=bgr)"
        next = "b"
        [b]
        backend = "DecodeMat"
        filter = "or"
        next = "c"
        [c]
        backend = "Sequential[cvtColorMat(color=bgr),PPLResizeTensor(resize_h=9,resize_w=7)]"
        """,
    "what is folded into a model, where the layout varies": """
        [a]
        backend = "DecodeTensor(color=bgr)"
        next = "b"
        [b]
        backend = "DecodeMat"
        filter = "or"
        next = "c"
        [c]
        backend = "Sequential[ResizeMat(resize_h=8,resize_w=8),cvtColorMat(color=rgb),Mat2Tensor]"
        next = "d"
        [d]
        backend = "Onnx(model=small.onnx,mean=[123.675,116.28,103.53],std=[58.4,57.1,57.4])"
        max = 4
        """,
    "what is folded into a model that turns colours": """
        [a]
        backend = "DecodeTensor(data_format=hwc)"
        next = "b"
        [b]
        backend = "DecodeMat"
        filter = "or"
        next = "c"
        [c]
        backend = "Sequential[ResizeMat(resize_h=8,resize_w=8),Mat2Tensor]"
        next = "d"
        [d]
        backend = "Onnx(model=small.onnx,mean=[123.675,116.28,103.53],std=[58.4,57.1,57.4])"
        max = 4
        """,
    "two branches meet": """
        [a]
        backend = "DecodeMat"
        next = "left,right"
        [left]
        backend = "Sequential[Identity,(Python[turning:wide])cvtColorMat(color=rgb),Mat2Tensor]"
        next = "meet"
        [right]
        backend = "Sequential[Identity,(Python[turning:wide])Mat2Tensor]"
        next = "meet"
        [meet]
        backend = "Onnx(model=any.onnx,input_color=rgb)"
        map = "left[result:data],right[result:other]"
        next = "end"
        [end]
        backend = "cvtColorTensor(color=rgb)"
        map = "meet[result:logits],right[result:data],left[result:note]"
        """,
    "one sub-graph for both": """
        [a]
        backend = "DecodeMat"
        next = "left,right"
        [left]
        backend = "Sequential[Identity,Jump(jump=sub)]"
        [right]
        backend = "Sequential[cvtColorMat(color=rgb),Jump(jump=sub)]"
        [sub]
        backend = "Sequential[Tensor2Mat,Mat2Tensor,Onnx(model=any.onnx,input_color=rgb)]"
        max = 4
        """,
    "elements of lists": """
        [a]
        backend = "Sequential[DecodeMat,Python[turning:halves]]"
        next = "b"
        [b]
        backend = "MapReduce(jump=sub)"
        next = "c"
        [c]
        backend = "MapReduce(jump=last)"
        [sub]
        backend = "Copy[data:note]"
        next = "sub2"
        [sub2]
        backend = "Sequential[cvtColorMat(color=rgb),Mat2Tensor]"
        filter = "Python[turning:wide]"
        [last]
        backend = "Onnx(model=any.onnx,input_color=rgb)"
        max = 4
        """,
    "lists are answered": """
        [pipeline]
        outputs = ["result"]
        [a]
        backend = "Sequential[DecodeMat,Python[turning:halves]]"
        next = "b"
        [b]
        backend = "MapReduce(jump=sub)"
        next = "c"
        [c]
        backend = "Mat2Tensor"
        [sub]
        backend = "Sequential[Identity,(Python[turning:wide])cvtColorMat(color=rgb)]"
        """,
    "failures are made up for": """
        [a]
        backend = "DecodeTensor(color=bgr)"
        on_error = [[[1, 2]], [[3, 4]], [[5, 6]]]
        next = "b"
        [b]
        backend = "Sequential[Identity,(Python[turning:wide])Tensor2Mat]"
        next = "c"
        [c]
        backend = "Onnx(model=any.onnx,input_color=bgr)"
        max = 4
        """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("varying")
    write_files(made)
    (made / "turning.py").write_text(USER, encoding="utf-8")
    return made


@pytest.mark.parametrize("what", GRAPHS)
def test_all_ways_agree(what: str, folder: Path) -> None:
    name = f"v{[*GRAPHS].index(what)}"
    made = read_pipeline(textwrap.dedent(GRAPHS[what]), folder, name)
    compare(made, folder, name, random.Random(what))


CALLS = (
    *(
        "cvtColorMat(color=rgb)",
        "cvtColorMat(color=bgr)",
        "cvtColorTensor(color=rgb)",
        "Mat2Tensor",
        "Tensor2Mat",
    ),
    *("NCHWTensor", "FloatTensor", "Normalize(mean=[1,2,3],std=[4,5,6])", "Identity", "ContiguousTensor"),
    *("ResizeMat(resize_h=8,resize_w=8)", "ResizeTensor(resize_h=8,resize_w=8)", "Copy[data:other]"),
    *("Python[turning:turn]", "Python[turning:turn_all]", "Onnx(model=any.onnx,input_color=rgb)"),
    *("Onnx(model=small.onnx,mean=[123.675,116.28,103.53])", "Onnx(model=any.onnx,input_color=any)"),
)
SKIPPED = "(Python[mine:turns_or_skips])"


class VaryingMaker(Maker):
    """Adds operators behind two decoders that need not agree, and now and then lets items pass by one."""

    def _head(self) -> str:
        return "[pipeline]\n"

    def _call(self) -> str:
        if len(self.nodes) == 1:
            return f"DecodeTensor({self.rng.choice(('', 'color=bgr', 'data_format=hwc', 'color=rgb'))})"
        if len(self.nodes) == 2:
            self.filters[1] = 'filter = "or"\n'
            return "DecodeMat"
        if self.rng.random() < 0.3:
            return super()._call()
        skipped = SKIPPED if self.nodes[-1] and self.rng.random() < 0.3 else ""
        return skipped + self.rng.choice(CALLS)


@pytest.mark.parametrize("seed", range(SEED, SEED + COUNT))
def test_all_ways_agree_on_random_pipelines(seed: int, folder: Path) -> None:
    name = f"r{seed}"
    maker = VaryingMaker(random.Random(seed), folder, name)
    made = maker.make()
    made = maker.with_outputs(made) if seed % 2 else made
    compare(read_pipeline(made.text, folder, name), folder, name, random.Random(seed))


def pictures() -> list[tuple[bytes, np.ndarray]]:
    """A JPEG, a PNG and another JPEG, each with what OpenCV makes of it (BGR)."""
    rng = np.random.default_rng(3)
    found = []
    for suffix in (".jpg", ".png", ".jpg"):
        encoded = cv2.imencode(suffix, rng.integers(0, 256, (6, 5, 3), np.uint8))[1]
        found.append((encoded.tobytes(), cv2.imdecode(encoded, cv2.IMREAD_COLOR)))
    return found


def answers_of(folder: Path, text: str) -> list[dict[str, Any]]:
    path = folder / "exact.toml"
    path.write_text(text, encoding="utf-8")
    items: list[dict[str, Any]] = [{"data": data} for data, _ in pictures()]
    with pipe(path) as run:
        run(items)
    return items


def test_each_item_is_converted_by_what_it_is(folder: Path) -> None:
    for color, order in (("bgr", slice(None)), ("rgb", slice(None, None, -1))):
        text = f'{DECODERS}next = "last"\n[last]\nbackend = "cvtColorTensor(color={color})"\n'
        for item, (_, image) in zip(answers_of(folder, text), pictures(), strict=True):
            assert np.array_equal(item["result"], image[:, :, order].transpose(2, 0, 1))


def test_a_model_gets_the_colour_it_wants(folder: Path) -> None:
    text = f'{DECODERS}next = "last"\n[last]\nbackend = "Onnx(model=copy.onnx,input_color=rgb)"\n'
    image = tensor("image", ["N", 3, "H", "W"])
    save(
        model([node("Identity", "image", "same")], [image], [tensor("same", ["N", 3, "H", "W"])]),
        folder / "copy.onnx",
    )
    for item, (_, image) in zip(answers_of(folder, text), pictures(), strict=True):
        assert np.array_equal(item["result"], image[:, :, ::-1].transpose(2, 0, 1))


def test_answers_say_what_they_are(folder: Path) -> None:
    for text in (DECODERS, COLORS):
        for item, (data, image) in zip(answers_of(folder, text), pictures(), strict=True):
            is_jpeg = data[:2] == b"\xff\xd8"
            assert item["result_tag"] == ("HWC rgb" if is_jpeg else "HWC bgr")
            assert np.array_equal(item["result"], image[:, :, ::-1] if is_jpeg else image)


def test_where_only_the_layout_varied_nothing_has_to_be_said(folder: Path) -> None:
    text = DECODERS.replace("DecodeTensor", "DecodeTensor(color=bgr)")
    for item, (_, image) in zip(answers_of(folder, text), pictures(), strict=True):
        assert item.keys() == {"data", "result"}
        assert np.array_equal(item["result"], image)


def test_other_pipelines_have_no_tags(folder: Path) -> None:
    text = COLORS.replace("DecodeTensor(", "DecodeTensor(color=bgr,")
    (folder / "plain.toml").write_text(text + 'next = "last"\n[last]\nbackend = "cvtColorMat(color=rgb)"\n')
    build(folder / "plain.toml", folder / "plain")
    code = (folder / "plain" / "plain" / "1" / "stage.py").read_text(encoding="utf-8")
    assert "looks" not in code
    assert not list((folder / "plain").rglob("looks.py"))
