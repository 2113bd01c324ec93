"""Compares the trained models of the examples in fp16, bf16 and int8 with the originals, on the CPU.

    python benchmarks/precision.py [--pages 100] [--update]

Answers are computed by onnxruntime on copies that round where a GPU would (see tpgen/engines/half_graph.py).
What calibrates int8 comes from training pictures; what is compared, from held-out ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import onnxruntime
import report

from tpgen.engines.comparing import Comparison, compare
from tpgen.engines.gates import Gate, accuracy_gate, half_gates
from tpgen.engines.precision import Converted, convert_precision
from tpgen.engines.precision_report import PrecisionRequest
from tpgen.engines.quantize import Int8Request, quantize_int8
from tpgen.ir.decisive import Classes

_HERE = Path(__file__).resolve().parent
_EXAMPLES = _HERE.parent / "model_repos"
_CALIBRATION_SEED = 2_000_000  # of pages: none that is trained on or compared
_READ = {"logits": Classes(), "steps": Classes()}
_FORMS = ("fp16", "bf16", "int8", "int8, entropy", "int8 + fp16")

Sample = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """A trained model with what it needs to be judged; ``accuracy`` (0 to 1) is that of a model file."""

    name: str
    model: bytes
    calibration: list[Sample]
    samples: list[Sample]
    accuracy: Callable[[bytes], float]


@dataclass(frozen=True)
class Row:
    """A model in one form."""

    model: str
    form: str
    comparison: Comparison
    before: float
    after: float
    gate: Gate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=100, help="pages of words that are compared")
    parser.add_argument("--update", action="store_true", help="write the figures into RESULTS.md")
    options = parser.parse_args()
    rows = [row for trained in (digits(), recogniser(options.pages)) for row in measure(trained)]
    text = table(rows)
    print(text)
    if options.update:
        heading = f"359 held-out digits; the words of {options.pages} pages; int8 calibrated on 200 samples."
        report.update(_HERE / "RESULTS.md", heading, text, "benchmarks/precision.py")
    return 0 if all(row.gate.passed for row in rows if row.form in _GATED) else 1


def digits(calibration: int = 200) -> Trained:
    """The digit reader, and its held-out pictures."""
    train = _script("digits", "train")
    pictures = train.held_out_jpegs()
    batch = np.stack([train.preprocess(jpeg) for jpeg, _ in pictures])
    labels = np.array([label for _, label in pictures])
    (strokes, _), _ = train.split_digits()
    taken = train.take_pictures(strokes[:calibration], np.random.default_rng(5))

    def accuracy(model: bytes) -> float:
        (logits,) = _session(model).run(None, {"image": batch})
        return float((logits.argmax(axis=1) == labels).mean())

    calibrating = [{"image": train.preprocess(jpeg)[None]} for jpeg in taken]
    model = (_EXAMPLES / "digits" / "digits.onnx").read_bytes()
    return Trained("digits", model, calibrating, [{"image": batch}], accuracy)


def recogniser(count: int, calibration: int = 200) -> Trained:
    """The recogniser of the example `ocr`, and the words of generated pages as the pipeline cuts them out."""
    pages, reference = _script("ocr", "pages"), _script("ocr", "reference")
    reader = reference.Reader(threads=2)
    compared = [pages.make_page(seed) for seed in range(count)]

    def accuracy(model: bytes) -> float:
        reader._recogniser = _session(model)
        read = (([w.text for w in reader(page.image)], [w.text for w in page.words]) for page in compared)
        return float(reference.share_right(read))

    words = _words(reference, reader, (page.image for page in compared))
    made = (pages.make_page(_CALIBRATION_SEED + i).image for i in range(calibration))
    calibrating = [word for _, word in zip(range(calibration), _words(reference, reader, made))]
    model = (_EXAMPLES / "ocr" / "recogniser.onnx").read_bytes()
    return Trained("ocr recogniser", model, calibrating, list(words), accuracy)


def _words(reference: ModuleType, reader: Any, images: Any) -> Any:
    """The words of pages as the recogniser gets them, one by one."""
    for image in images:
        page = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        crops = [reference.straighten(page, box) for box in reference.find_boxes(reader._detector, page)]
        for crop, turned in zip(crops, reader._upside_down(crops)):
            upright = cv2.rotate(crop, cv2.ROTATE_180) if turned else crop
            fitted = reference.fit(upright, reference.bucket_width(crop))
            yield {"image": reference.to_input(fitted)[None]}


_GATED = ("fp16", "int8", "int8 + fp16")  # the forms whose gates are goals


def converted(trained: Trained, form: str) -> Converted:
    """The model in one of the forms."""
    if form == "fp16":
        return convert_precision(trained.model, PrecisionRequest("fp16"), trained.calibration)
    if form == "bf16":
        return convert_precision(trained.model, PrecisionRequest("bf16"))
    request = Int8Request(
        method="entropy" if form.endswith("entropy") else "minmax",
        rest="fp16" if form.endswith("fp16") else None,
    )
    return quantize_int8(trained.model, request, trained.calibration)


def measure(trained: Trained, forms: Sequence[str] = _FORMS) -> list[Row]:
    """The model in each form beside the original."""
    before = trained.accuracy(trained.model)
    rows = []
    for form in forms:
        made = converted(trained, form)
        (comparison,) = compare(trained.model, made.emulated, trained.samples, _READ)
        after = trained.accuracy(made.emulated)
        gate = accuracy_gate(before, after) if form.startswith("int8") else half_gates([comparison])[0]
        rows.append(Row(trained.name, form, comparison, before, after, gate))
    return rows


def table(rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [
        "| model | in | top-1 the same | largest difference | mean | accuracy | before | goal | |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        found = row.comparison
        cells = (
            f"{row.model} ({found.rows} rows)",
            row.form,
            f"{found.same_top1:.2%}",
            f"{found.largest:.1e}",
            f"{found.mean:.1e}",
            f"{row.after:.2%}",
            f"{row.before:.2%}",
            "at most 1 point lost" if row.form.startswith("int8") else "top-1 the same in 99.5 %",
            "met" if row.gate.passed else "not met",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def _script(example: str, name: str) -> ModuleType:
    """A script of an example, which finds what lies beside it."""
    folder = str(_EXAMPLES / example)
    spec = importlib.util.spec_from_file_location(f"{example}_{name}", f"{folder}/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


if __name__ == "__main__":
    sys.exit(main())
