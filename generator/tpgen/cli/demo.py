"""`tpgen demo`: two examples from their TOML to answers and figures, on a real server."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import ToolMissing
from .options import json_option, tritonserver_option
from .report import Report

if TYPE_CHECKING:
    from ..services.client import Client
    from ..services.server import TritonServer

_EXAMPLES = Path(__file__).resolve().parents[3] / "model_repos"
_SHOWN = 6
_DIGITS = 100
_PHOTOS = 8
# Right answers out of _DIGITS below which something is broken; the model itself reaches more.
_ENOUGH = 95


@click.command("demo")
@tritonserver_option
@json_option
@click.pass_obj
def command(report: Report, tritonserver: str | None) -> int:
    """Compile two examples, serve and measure them.

    Sends pictures and prints the answers and a perf_analyzer table. Runs in a checkout of the project, where
    the examples are, in about a minute.
    """
    from ..services.client import Client
    from ..services.perf import Settings, perf
    from ..services.server import TritonServer

    _check_checkout()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tpgen-demo-") as folder:
        repository = Path(folder) / "model_repository"
        _compile(report, repository, Path(folder))
        report.say("starting tritonserver")
        with TritonServer(repository, tritonserver=tritonserver) as server:
            report.say(f"  HTTP {server.http_url}, gRPC {server.grpc_url}, metrics {server.metrics_url}")
            with Client(server.http_url) as client:
                right = _read_digits(report, client)
            photos = _classify_photos(report, server)
            report.say("\nresnet50 under load, measured by perf_analyzer over gRPC")
            settings = Settings(measurement_ms=1000, stability=15.0, max_trials=5)
            measured = perf(
                server, "resnet50", photos, "1,2,4,8", settings=settings, progress=report.progress
            )
            report.say(measured.table())
    report.put(digits={"sent": _DIGITS, "right": right}, perf=measured.to_json())
    report.say(f"\nstopped the server; {time.monotonic() - start:.0f} s in all")
    return 0 if right >= _ENOUGH else 1


def _check_checkout() -> None:
    if not (_EXAMPLES / "digits" / "pipeline.toml").is_file():
        raise ToolMissing("tpgen demo runs in a checkout of the project: the examples are not installed")
    if importlib.util.find_spec("sklearn") is None:
        raise ToolMissing(
            "the demo's pictures are made from scikit-learn's digits", "pip install scikit-learn"
        )


def _compile(report: Report, repository: Path, scratch: Path) -> None:
    """Build digits, which has a trained model, and resnet50 with a small one that is made here."""
    from ..driver import BuildOptions, build

    model = scratch / "resnet50.onnx"
    script = _EXAMPLES / "resnet50" / "make_model.py"
    subprocess.run(
        [sys.executable, str(script), "--small", "-o", str(model)], check=True, capture_output=True
    )
    for name, models in (("digits", {}), ("resnet50", {"resnet50": str(model)})):
        began = time.monotonic()
        result = build(_EXAMPLES / name / "pipeline.toml", repository, BuildOptions(models=models))
        report.findings(result.diagnostics)
        entry = result.compiled[0].graph.entries[0]
        takes = ", ".join(f"{port.key}: {port.type}" for port in entry.inputs)
        gives = ", ".join(f"{port.key}: {port.type}" for port in entry.outputs)
        took = time.monotonic() - began
        report.say(f"compiled model_repos/{name}/pipeline.toml in {took:.1f} s: {takes} -> {gives}")


def _read_digits(report: Report, client: Client) -> int:
    """Send pictures that the model has never seen; returns how many it reads right."""
    pictures = _script("digits", "train").held_out_jpegs()[:_DIGITS]
    answer = client("digits", data=[jpeg for jpeg, _ in pictures])
    right = 0
    report.say(f"\n{_DIGITS} pictures of handwritten digits that the model has not seen, over HTTP")
    for number, (_, digit) in enumerate(pictures):
        read = int(answer["result"][number][0])
        right += read == digit
        if number < _SHOWN:
            label, score = answer["labels"][number][0], answer["scores"][number][0]
            report.say(f"  written {digit}, read {read}: {label.decode()} ({score:.1%})")
    report.say(f"  ... {right} of {_DIGITS} are right")
    return right


def _classify_photos(report: Report, server: TritonServer) -> list[dict[str, Any]]:
    """Send photos to resnet50, over gRPC; returns them as samples."""
    from ..services.client import Client

    images = _script("resnet50", "images")
    photos = [images.synthetic_jpeg(seed) for seed in range(_PHOTOS)]
    report.say(f"\n{_PHOTOS} generated photos, over gRPC (a small network with random weights)")
    with Client(server.grpc_url) as client:
        for number, logits in enumerate(client("resnet50", data=photos)["result"]):
            size = len(photos[number]) // 1000
            report.say(
                f"  photo {number} ({size} KB): class {int(logits.argmax())}, logit {logits.max():.2f}"
            )
    return [{"data": photo} for photo in photos]


def _script(example: str, name: str) -> ModuleType:
    """A Python file of an example, as a module."""
    spec = importlib.util.spec_from_file_location(f"tpgen_demo_{name}", _EXAMPLES / example / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
