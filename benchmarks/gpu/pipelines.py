"""The pipelines that are compared with plain torch: their files, and the plain loops."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

SIDE = 224
CROPS = 32
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_HEAD = '[pipeline]\nname = "{name}"\ntarget = "gpu"\npreprocess = "gpu"\nmax_batch = {batch}\n'
_NETWORK = """
backend = "TorchScriptTensor"
model = "network.pt"
mean = "123.675,116.28,103.53"
std = "58.395,57.12,57.375"
max = {rows}
inputs = {{image = "float32[3,224,224] rgb"}}
outputs = {{logits = "float32[1000]"}}
next = "best"
[best]
backend = "ArgMax"
"""
CLASSIFY = (
    _HEAD
    + """
[decode]
backend = "Sequential[DecodeMat,ResizeMat,cvtColorMat,Mat2Tensor]"
resize_h = 224
resize_w = 224
color = "rgb"
next = "network"
[network]"""
    + _NETWORK
)
CUT = (
    _HEAD
    + """
outputs = ["result"]
[decode]
backend = "DecodeMat"
next = "boxes"
[boxes]
backend = "Python[boxes:find]"
next = "crops"
[crops]
map = "decode[result:data], boxes[result:_box]"
backend = "MapReduce"
jump = "crop"
split = "_box"
merge = "result"
[crop]
backend = "Sequential[CropMat,ResizeMat,cvtColorMat,Mat2Tensor]"
resize_h = 224
resize_w = 224
color = "rgb"
next = "network"
[network]"""
    + _NETWORK
)
PIPELINES = {"classify": CLASSIFY, "crops": CUT}
_BOXES = f"""
import numpy as np
from tpgen_runtime import Tensor, op


@op(inputs={{"data": Tensor("uint8", ["H", "W", 3])}}, outputs={{"result": [Tensor("int32", [4])]}})
def find(data):
    height, width = data.shape[:2]
    steps = np.linspace(0, 0.6, {CROPS})
    corners = [(int(step * width), int((0.6 - step) * height)) for step in steps]
    return [np.array([x, y, x + width // 3, y + height // 3], np.int32) for x, y in corners]
"""


class Network(nn.Module):
    """A residual network with 18 layers, random weights: what counts is its time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        stages = [width * 2**number for number in range(4)]
        blocks = [Block(max(width, out // 2), out, 1 + (out > width)) for out in stages]
        self.blocks = nn.Sequential(*itertools.chain(*((b, Block(o, o, 1)) for b, o in zip(blocks, stages))))
        self.head = nn.Linear(stages[-1], 1000)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = functional.max_pool2d(functional.relu(self.stem(image.float())), 3, 2, 1)
        return self.head(self.blocks(maps).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(given, made, 3, stride, 1)
        self.second = nn.Conv2d(made, made, 3, 1, 1)
        self.past = nn.Conv2d(given, made, 1, stride) if given != made else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.past(maps) + self.second(functional.relu(self.first(maps))))


def write_files(folder: Path, batch: int, width: int) -> dict[str, Path]:
    """The TOML files of all pipelines, with what they need beside them."""
    network = Network(width).eval()
    with torch.no_grad():
        torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(str(folder / "network.pt"))
    (folder / "boxes.py").write_text(_BOXES)
    found = {}
    for name, text in PIPELINES.items():
        rows = batch if name == "classify" else 2 * CROPS
        found[name] = folder / f"{name}.toml"
        found[name].write_text(text.format(name=name, batch=batch, rows=rows))
    return found


class Plain:
    """The same work in one process: decoding in threads, everything else on the device, batch by batch."""

    def __init__(self, network: Path, device: str, threads: int) -> None:
        self.device = torch.device(device)
        self.network = torch.jit.load(str(network), map_location=self.device).eval()
        self.mean, self.std = (torch.tensor(v, device=self.device).reshape(3, 1, 1) for v in (MEAN, STD))
        self.pool = ThreadPoolExecutor(threads)

    def classify(self, jpegs: Sequence[bytes]) -> list[int]:
        return self._best([self._fitted(image) for image in self._decoded(jpegs)])

    def crops(self, jpegs: Sequence[bytes]) -> list[list[int]]:
        return [self._best([self._fitted(part) for part in _parts(image)]) for image in self._decoded(jpegs)]

    def _decoded(self, jpegs: Sequence[bytes]) -> Iterator[torch.Tensor]:
        for image in self.pool.map(_decode, jpegs):
            yield torch.from_numpy(image).to(self.device)

    def _fitted(self, image: torch.Tensor) -> torch.Tensor:
        planes = image.permute(2, 0, 1)[None].float()
        resized = functional.interpolate(planes, (SIDE, SIDE), mode="bilinear", align_corners=False)[0]
        return resized.round().flip(0)

    def _best(self, images: list[torch.Tensor]) -> list[int]:
        with torch.inference_mode():
            batch = (torch.stack(images) - self.mean) / self.std
            best: list[int] = self.network(batch).argmax(1).cpu().tolist()
        return best


def _decode(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def _parts(image: torch.Tensor) -> Iterator[torch.Tensor]:
    height, width = image.shape[:2]
    for step in np.linspace(0, 0.6, CROPS):
        x, y = int(step * width), int((0.6 - step) * height)
        yield image[y : y + height // 3, x : x + width // 3]


def photographs(count: int) -> Iterator[bytes]:
    """JPEGs of 1280 × 720: large shapes, and fine detail for the decoder."""
    rng = np.random.default_rng(0)
    shapes = cv2.resize(rng.integers(0, 256, (9, 16, 3)).astype(np.uint8), (1280, 720))
    detail = cv2.GaussianBlur(rng.normal(0, 60, (720, 1280, 3)), (0, 0), 1.6)
    image = np.clip(shapes + detail, 0, 255).astype(np.uint8)
    for number in range(count):
        shifted = np.roll(image, 80 * number, axis=1)
        yield cv2.imencode(".jpg", shifted, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def rate(
    work: Callable[[Sequence[bytes]], object], jpegs: Sequence[bytes], batch: int, seconds: float
) -> float:
    """Images a second, after one batch that is not counted."""
    endless = itertools.cycle(jpegs)
    work([next(endless) for _ in range(batch)])
    started, images = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        work([next(endless) for _ in range(batch)])
        images += batch
    return images / (time.perf_counter() - started)
