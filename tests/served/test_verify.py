"""`verify` accepts what the compiler makes, and sees every planted error."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import examples
from tpgen.cli import run_command
from tpgen.driver import BuildOptions, build
from tpgen.services.server import TritonServer
from tpgen.services.verify import verify

pytestmark = pytest.mark.triton
SAMPLES = [{"data": examples.photo(seed)} for seed in (1, 2)]


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def plant(model: Path) -> None:
        path = model / "1" / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))

    return plant


def _wrong_std(model: Path) -> None:
    """The weights of the first convolution for a std 1 % off in one channel."""
    path = next((model / "1").glob("*.onnx"))
    network = onnx.load(path)
    weights = next(t for t in network.graph.initializer if len(t.dims) == 4 and t.dims[1] == 3)
    array = numpy_helper.to_array(weights).copy()
    array[:, 1] *= np.float32(1.01)
    weights.CopyFrom(numpy_helper.from_array(array, weights.name))
    onnx.save(network, path)


RESIZE = 'item["result"] = geometry.resize_mat(item["data"], resize_h=224, resize_w=224)'
NEAREST = 'item["result"] = __import__("cv2").resize(item["data"], (224, 224), interpolation=0)'
SWAPPED = """if len(items) > 1:
            items[0]["result"], items[1]["result"] = items[1]["result"], items[0]["result"]
        return items
"""
PLANTED: dict[str, Callable[[Path], None]] = {
    "colour order": _replace("stage.py", "swap_rb=True", "swap_rb=False"),
    "mean, one channel by one grey level": _replace("stage.py", "116.28", "117.28"),
    "std, one channel by 1 %": _wrong_std,
    "interpolation": _replace("stage.py", RESIZE, NEAREST),
    "flip": _replace("stage.py", RESIZE, f'item["data"] = item["data"][:, ::-1].copy()\n        {RESIZE}'),
    "answers swapped inside a batch": _replace("stage.py", "return items\n", SWAPPED),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, models: dict[str, str]) -> Path:
    directory = tmp_path_factory.mktemp("plain") / "repository"
    build(examples.pipeline("resnet50"), directory, BuildOptions(cores=2, models=models))
    return directory


@pytest.fixture(scope="module")
def editable(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TritonServer, Path]]:
    """A server whose model can be edited and loaded again."""
    copy = tmp_path_factory.mktemp("editable") / "repository"
    shutil.copytree(plain, copy)
    flags = ["--model-control-mode=explicit", "--load-model=resnet50"]
    with TritonServer(copy, extra_args=flags) as running:
        yield running, copy


def _load(server: TritonServer) -> None:
    url = f"{server.http_url}/v2/repository/models/resnet50/load"
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST")) as reply:
        assert reply.status == 200


def _verify(url: str, models: dict[str, str]) -> bool:
    report = verify(
        examples.pipeline("resnet50"), SAMPLES, url=url, options=BuildOptions(cores=2, models=models)
    )
    assert report.samples >= 16
    return report.ok


@pytest.mark.parametrize("fuse", ["auto", "none"])
def test_what_the_compiler_makes_is_equal_to_the_reference(models: dict[str, str], fuse: str) -> None:
    report = verify(
        examples.pipeline("resnet50"), SAMPLES, options=BuildOptions(fuse=fuse, cores=2, models=models)
    )
    assert report.ok, report.table()
    assert report.samples >= 16
    assert {row.mode for row in report.rows} == {"alone", "concurrent", "batched"}
    assert "equal to the reference" in report.table()


def test_inputs_that_all_fail_prove_nothing(server: TritonServer) -> None:
    digits = examples.pipeline("digits")
    broken, fine = {"data": b"no image"}, {"data": examples.photo(1)}
    report = verify(digits, [broken], url=server.grpc_url)
    assert (report.ok, report.failing) == (False, report.samples)
    assert "every input fails" in report.table()
    report = verify(digits, [broken, fine], url=server.grpc_url)
    assert (report.ok, report.failing) == (True, report.samples // 2)
    assert "8 without an answer in both" in report.table()
    assert {row.compared for row in report.rows} == {report.samples // 2} and "note:" not in report.table()


def test_a_single_answer_says_nothing_of_batches(server: TritonServer) -> None:
    samples = [{"data": examples.photo(1)}, *[{"data": b"no image"}] * 15]
    report = verify(examples.pipeline("digits"), samples, url=server.grpc_url)
    assert report.ok and {row.compared for row in report.rows} == {1}
    assert "note: only one input of digits has an answer: no batch of several was sent" in report.table()
    assert "digits:result                batched            1 " in report.table()


WORDS = """
import numpy as np
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("string", [])},
    outputs={"result": Tensor("float32", [-1, 4]), "count": Tensor("int64", [])})
def boxes(data):
    count = data.count("box")
    return {"result": np.ones((count, 4), np.float32), "count": np.int64(count)}
"""


def test_answers_without_a_value_prove_little(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(WORDS)
    (tmp_path / "boxes.toml").write_text('[find]\nbackend = "Python[ops:boxes]"\n')
    build(tmp_path / "boxes.toml", tmp_path / "repository", BuildOptions(cores=1))
    with TritonServer(tmp_path / "repository") as running:
        blank = verify(tmp_path / "repository", [{"data": "none"}], url=running.grpc_url)
        full = verify(tmp_path / "repository", [{"data": "none"}, {"data": "box"}], url=running.grpc_url)
    (note,) = blank.to_json()["notes"]
    assert note.startswith("result of boxes was empty in 16 of 16 inputs: no value was compared")
    assert f"note: {note}" in blank.table() and blank.ok
    assert "  empty" in blank.table() and "equal to the reference" in blank.table(), "count was compared"
    assert full.ok and full.to_json()["notes"] == []
    assert all(0 < row["empty"] < 16 for row in full.to_json()["outputs"] if row["output"] == "result")


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_error_is_seen(
    what: str, editable: tuple[TritonServer, Path], plain: Path, models: dict[str, str]
) -> None:
    server, copy = editable
    model = copy / "resnet50"
    shutil.rmtree(model)
    shutil.copytree(plain / "resnet50", model)
    PLANTED[what](model)
    _load(server)
    assert not _verify(server.grpc_url, models)


def test_the_unchanged_model_passes_on_the_same_server(
    editable: tuple[TritonServer, Path], plain: Path, models: dict[str, str]
) -> None:
    server, copy = editable
    shutil.rmtree(copy / "resnet50")
    shutil.copytree(plain / "resnet50", copy / "resnet50")
    _load(server)
    assert _verify(server.grpc_url, models)


SLOW = """
[pipeline]
instances = "as-written"
[slow]
backend = "Python[o:slow]"
max_queue_size = 1
"""
SLOW_CODE = """
import time
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("float32", [2])}, outputs={"result": Tensor("float32", [2])})
def slow(data):
    time.sleep(0.1)
    return data
"""


def test_what_a_queue_refuses_is_no_wrong_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "o.py").write_text(SLOW_CODE)
    (tmp_path / "slow.toml").write_text(SLOW)
    assert run_command(["verify", str(tmp_path / "slow.toml")]) == 1
    printed = capsys.readouterr()
    assert "TP729" in printed.err and "TP724" not in printed.err
    assert "requests to slow, concurrent, and so not compared: Exceeds maximum queue size" in printed.out
    assert "16 inputs: equal to the reference, but for" in printed.out
