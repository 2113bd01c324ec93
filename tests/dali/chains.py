"""Chains of image operators for the tests of the DALI lowering: compiled from TOML text, run and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from oracles.images import random_image, random_size
from tpgen.diagnostics import Bag
from tpgen.driver import load_interpreter
from tpgen.driver.compile import Compiled, compile_pipeline
from tpgen.driver.options import BuildOptions
from tpgen.emit.dali import DaliChain, Device, Refusal, dali_code, lower
from tpgen.emit.dali.lower import LIMIT
from tpgen.ir.graph import Call, Port

INPUTS = '[pipeline.inputs]\ndata = {type = "bytes", wire = "uint8"}\n'
BATCH = 16


@dataclass(frozen=True)
class Chain:
    """A compiled pipeline that is one chain, and its lowering."""

    compiled: Compiled
    calls: tuple[Call, ...]
    source: Port
    outputs: tuple[Port, ...]

    def lowered(
        self, *, device: Device = "cpu", limit: float = LIMIT, most: int = 100
    ) -> DaliChain | Refusal:
        graph, calls = self.compiled.graph, self.calls[:most]
        return lower(graph, calls, self.source, self.outputs, device=device, limit=limit)

    def code(self, device: Device = "cpu", limit: float = LIMIT) -> str:
        chain = self.lowered(device=device, limit=limit)
        assert isinstance(chain, DaliChain), str(chain)
        return dali_code(chain, owner="images", source="images.toml", version="0", batch=BATCH, threads=1)


def compiled_chain(
    folder: Path, text: str, *, outputs: Sequence[str] = ("result",), head: str = INPUTS
) -> Chain:
    """The pipeline of a TOML text; its calls in order."""
    path = folder / "images.toml"
    path.write_text(f"[pipeline]\noutputs = {list(outputs)!r}\n{head}\n{text}")
    bag = Bag()
    compiled = compile_pipeline(path, BuildOptions(target="cpu", cores=2), bag, folder)
    assert compiled is not None, [str(diagnostic) for diagnostic in bag.diagnostics]
    (entry,) = compiled.graph.entries
    calls = tuple(call for _, call in compiled.graph.calls())
    (source,) = (port for port in entry.inputs if port.key == "data")
    return Chain(compiled, calls, source, entry.outputs)


def nodes(*tables: str) -> str:
    """TOML tables ``n0``, ``n1`` ... that follow each other, each given as its lines."""
    parts = []
    for index, table in enumerate(tables):
        follows = f'next = "n{index + 1}"\n' if index + 1 < len(tables) else ""
        parts.append(f"[n{index}]\n{table}\n{follows}")
    return "\n".join(parts)


def reference(chain: Chain, images: Sequence[bytes]) -> list[dict[str, Any]]:
    """What the interpreter answers, image by image."""
    interpreter = load_interpreter(chain.compiled)
    (entry,) = chain.compiled.reference.entries
    answers: list[dict[str, Any]] = interpreter.run(entry, [{"data": image} for image in images])
    assert all(isinstance(answer, dict) for answer in answers), answers
    return answers


def pipeline_of(code: str) -> Any:
    """The DALI pipeline that a ``dali.py`` makes."""
    module = ModuleType("dali_under_test")
    exec(compile(code, "dali.py", "exec", dont_inherit=True), module.__dict__)
    (make,) = (value for value in vars(module).values() if getattr(value, "_is_autoserialize", False))
    pipeline = make(batch_size=BATCH, prefetch_queue_depth=1)
    pipeline.build()
    return pipeline


def run_dali(
    pipeline: Any, outputs: Sequence[Port], images: Sequence[bytes], rng: Any
) -> list[dict[str, Any]]:
    """What DALI answers, in batches of varying size."""
    found: list[dict[str, Any]] = []
    while len(found) < len(images):
        size = int(rng.integers(1, BATCH + 1))
        batch = [np.frombuffer(image, np.uint8) for image in images[len(found) : len(found) + size]]
        answers = pipeline.run(data=batch)
        for index in range(len(batch)):
            values = {
                port.key: np.array(answer[index]) for port, answer in zip(outputs, answers, strict=True)
            }
            found.append(values)
    return found


def _on_host(tensors: Any) -> Any:
    return tensors.as_cpu() if "GPU" in type(tensors).__name__ else tensors


def furthest(
    outputs: Sequence[Port], left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]
) -> float:
    """The largest difference of all answers; shapes and dtypes have to be equal."""
    largest = 0.0
    for one, other in zip(left, right, strict=True):
        for port in outputs:
            a, b = np.asarray(one[port.key]), np.asarray(other[port.key])
            b = b.reshape(a.shape) if not a.shape else b
            assert (a.shape, a.dtype) == (b.shape, b.dtype), port.key
            largest = max(largest, float(np.abs(a.astype(np.float64) - b).max()))
    return largest


def encoded_images(rng: np.random.Generator, count: int, *, jpeg: bool = False) -> list[bytes]:
    """Images of odd sizes, one pixel and extreme aspect ratios; grey ones; PNG and JPEG of all samplings."""
    sizes = [*_AT_HALVES, *(random_size(rng, int(rng.choice([80, 300]))) for _ in range(count))]
    return [_encoded(rng, size, jpeg=jpeg) for size in sizes[:count]]


_AT_HALVES = ((14, 7), (26, 13), (7, 14))  # fitted to 61 × 88, a side is n.5, and below that in float32
_SAMPLINGS = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
)


def _encoded(rng: np.random.Generator, size: tuple[int, int], *, jpeg: bool) -> bytes:
    image = random_image(rng, channels=int(rng.choice([1, 3, 3])), size=size)
    if not jpeg and rng.integers(3) == 0:
        return bytes(cv2.imencode(".png", image)[1])
    options = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 100))]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, int(rng.choice(_SAMPLINGS))]
    options += [cv2.IMWRITE_JPEG_PROGRESSIVE, int(rng.integers(2))]
    return bytes(cv2.imencode(".jpg", image, options)[1])


def needs_dali() -> None:
    """Skip a test module where DALI cannot be imported."""
    pytest.importorskip(
        "nvidia.dali", reason="no DALI: pip install 'tpgen[dali]' (520 MB, so not part of [dev])"
    )
