"""serve, verify and perf on a real server, as programs. One server for the module."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import examples
import tpgen
from cli_commands import RESIZE, Result, program

pytestmark = pytest.mark.triton

FREE_PORTS = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
WIDE = """
[pipeline.inputs]
data = "float32[40,50]"
[wide]
backend = "Identity"
"""


class Serving:
    """A running `tpgen serve`: what it announced, and how it ends."""

    def __init__(self, target: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tpgen", "serve", str(target), *FREE_PORTS, *options, "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        else:
            raise AssertionError(f"serve ended: {''.join(lines)}{self._process.communicate()[1]}")
        self.document: dict[str, Any] = json.loads("".join(lines))

    def end(self, number: int = signal.SIGINT) -> Result:
        """Sends a signal and waits for the end."""
        self._process.send_signal(number)
        out, err = self._process.communicate(timeout=60)
        return Result(self._process.returncode, out, err)

    def await_words(self, words: str) -> str:
        """The next line on stderr with these words."""
        assert self._process.stderr is not None
        watchdog = threading.Timer(60, self._process.kill)
        watchdog.start()
        try:
            return next(line for line in self._process.stderr if words in line)
        finally:
            watchdog.cancel()

    def processes(self) -> list[int]:
        """The ids of its server's processes: those that have its identity on their command line."""
        children = _descendants(self._process.pid)
        assert children, "a server runs"
        return children


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "wide.toml").write_text(WIDE)
    (made / "photo.toml").write_text(RESIZE)
    return made


@pytest.fixture(scope="module")
def repository(folder: Path) -> Path:
    """Several pipelines in one repository, in a path with a space."""
    directory = folder / "model repository"
    sources = [folder / "photo.toml", examples.pipeline("two_inputs"), folder / "wide.toml"]
    tpgen.build(sources, directory, tpgen.BuildOptions(cores=1))
    return directory


@pytest.fixture(scope="module")
def serving(repository: Path) -> Iterator[Serving]:
    running = Serving(repository)
    yield running
    running.end()


@pytest.fixture(scope="module")
def photo(folder: Path) -> Path:
    path = folder / "image.jpg"
    path.write_bytes(examples.photo(seed=3))
    return path


def test_what_is_announced(serving: Serving) -> None:
    assert serving.document["ok"] is True
    assert serving.document["models"] == ["photo", "two_inputs", "wide"]
    assert serving.document["http"].startswith("http://127.0.0.1:")
    with tpgen.Client(serving.document["grpc"]) as client:
        assert client.ready()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
def test_the_curl_line_works(serving: Serving, photo: Path) -> None:
    done = subprocess.run(
        serving.document["curl"], shell=True, cwd=photo.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    answer = (photo.parent / "answer.bin").read_bytes()
    pixels = np.frombuffer(answer[-8 * 12 * 3 :], np.uint8).reshape(8, 12, 3)
    with tpgen.Client(serving.document["http"]) as client:
        np.testing.assert_array_equal(client("photo", data=photo.read_bytes())["result"], pixels)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
@pytest.mark.parametrize("model", ["two_inputs", "wide"])
def test_curl_lines_of_arrays_work(serving: Serving, model: str, tmp_path: Path) -> None:
    from tpgen.cli.curl import curl_line

    with tpgen.Client(serving.document["http"]) as client:
        line = curl_line(serving.document["http"], client.spec(model))
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    assert all(set(output["data"]) for output in outputs)


def test_verify_a_running_server(serving: Serving, photo: Path, folder: Path) -> None:
    source = folder / "photo.toml"
    done = program("verify", source, "--input", f"data=@{photo}", "--url", serving.document["http"], "--json")
    assert done.status == 0, done.err
    assert done.document["ok"] is True
    assert done.document["samples"] >= 16
    assert {row["mode"] for row in done.document["outputs"]} == {"alone", "concurrent", "batched"}


def test_verify_sees_another_pipeline(serving: Serving, photo: Path, tmp_path: Path) -> None:
    """The reference of a pipeline with its colours swapped is not what is served."""
    (tmp_path / "photo.toml").write_text(RESIZE.replace('"rgb"', '"bgr"'))
    arguments = ["--input", f"data=@{photo}", "--url", serving.document["http"]]
    done = program("verify", tmp_path / "photo.toml", *arguments, "--json")
    assert done.status == 1, done.err
    (record,) = done.document["diagnostics"]
    assert record["code"] == "TP724" and "tpgen run with and without --reference" in record["hint"]


@pytest.mark.slow
def test_perf_of_a_url(serving: Serving, photo: Path, tmp_path: Path) -> None:
    arguments = ["--model", "photo", "--input", f"data=@{photo}", "--concurrency", "2"]
    done = program("perf", serving.document["grpc"], *arguments, "-o", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    (row,) = done.document["rows"]
    assert row["concurrency"] == 2
    assert row["throughput"] > 0
    assert {"p50_ms", "p90_ms", "p99_ms", "batch"} <= set(row)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["perf.csv", "perf.json", "perf.svg"]
    assert "concurrency 2: measuring" in done.err


@pytest.mark.slow
def test_perf_of_a_pipeline_without_inputs(folder: Path, tmp_path: Path) -> None:
    brief = ["--concurrency", "1", "--window", "100", "--stability", "500", "--max-windows", "3"]
    done = program("perf", folder / "photo.toml", *brief, "-o", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    assert "no --input: sending 16 samples made for photo(data: bytes); bytes are small JPEGs" in done.err
    assert done.document["samples"] == 16
    assert done.document["settings"] == {"measurement_ms": 100, "stability": 500.0, "max_trials": 3}
    assert done.document["rows"][0]["throughput"] > 0


def test_perf_without_inputs_of_a_repository_without_a_toml(repository: Path, tmp_path: Path) -> None:
    moved = tmp_path / "here"
    shutil.copytree(repository, moved / "repository")
    for name in ("photo", "wide"):
        shutil.copy(repository.parent / f"{name}.toml", moved)
    record = json.loads((moved / "repository" / "tpgen.json").read_text())
    record["pipelines"]["two_inputs"].pop("path", None)  # is it known where this checkout is?
    (moved / "repository" / "tpgen.json").write_text(json.dumps(record))
    done = program("perf", moved / "repository", "-o", tmp_path / "out")
    assert done.status == 1
    assert "error[TP711]" in done.err, "the TOML of an example is not beside the repository"
    assert "two_inputs" in done.err
    assert "or a sample with --input" in done.err


def test_perf_without_inputs_of_no_entry(folder: Path, tmp_path: Path) -> None:
    done = program("perf", folder / "photo.toml", "--model", "phto", "-o", tmp_path / "out")
    assert done.status == 1
    assert "error[TP706]: no sample can be made for 'phto'" in done.err
    assert "did you mean 'photo'?" in done.err


def test_perf_asks_whether_the_file_was_meant(serving: Serving, photo: Path) -> None:
    done = program(
        "perf",
        serving.document["http"],
        "--model",
        "photo",
        "--input",
        f"data={photo.name}",
        cwd=photo.parent,
    )
    assert done.status == 1
    assert f"did you mean data=@{photo.name}?" in done.err


def test_perf_of_an_unknown_model(serving: Serving, tmp_path: Path) -> None:
    done = program("perf", serving.document["http"], "--model", "photos", "--input", "data=x", cwd=tmp_path)
    assert done.status == 1
    assert "did you mean 'photo'?" in done.err
    assert "Traceback" not in done.err


def test_nobody_answers(tmp_path: Path) -> None:
    done = program("perf", "http://127.0.0.1:1", "--input", "data=x", cwd=tmp_path)
    assert done.status == 1
    assert "error[TP720]" in done.err


@pytest.mark.parametrize("scheme", ["http://", "grpc://", ""])
def test_verify_where_nobody_answers(folder: Path, scheme: str) -> None:
    done = program("verify", folder / "wide.toml", "--url", f"{scheme}127.0.0.1:1", "--json")
    assert done.status == 1
    assert [record["code"] for record in done.document["diagnostics"]] == ["TP720"]
    assert "127.0.0.1:1" in done.document["diagnostics"][0]["message"]
    assert "outputs" not in done.document, "nothing was compared"


def test_verify_of_inputs_that_all_fail_says_so(serving: Serving, folder: Path) -> None:
    arguments = ["--input", "data=no image", "--url", serving.document["http"], "--json"]
    done = program("verify", folder / "photo.toml", *arguments)
    assert done.status == 1
    assert [record["code"] for record in done.document["diagnostics"]] == ["TP723"]
    assert {row["compared"] for row in done.document["outputs"]} == {0}


def test_verify_of_a_folder_of_a_pipeline_names_the_file(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "photo.toml", tmp_path)
    done = program("verify", tmp_path)
    assert done.status == 1
    assert f"give the TOML file: {tmp_path / 'photo.toml'}" in done.err


def test_verify_of_a_model_that_is_not_served(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "phto.toml").write_text(RESIZE)
    done = program("verify", tmp_path / "phto.toml", "--url", serving.document["http"])
    assert done.status == 1
    assert "error[TP706]: the server has no model 'phto'" in done.err
    assert "did you mean 'photo'?" in done.err
    assert done.out == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_a_pipeline_leaves_nothing(number: int) -> None:
    """The server of a TOML: its repository is made for it, and goes with it."""
    running = Serving(examples.pipeline("hello"))
    processes = running.processes()
    prefix = next(
        word.removeprefix("--id=")
        for pid in processes
        for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if word.startswith("--id=")
    )
    places = _served_repository(processes)
    done = running.end(number)
    assert done.status == 0, done.err
    assert "stopping: the server ends its Python processes (" in done.err
    assert "Traceback" not in done.err
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
    assert [name for name in os.listdir("/dev/shm") if name.startswith(prefix)] == []
    assert not places.exists()


DIES = """
import ctypes
import os
from tpgen_runtime import Tensor, op

@op(inputs={"data": Tensor("string", [])}, outputs={"result": Tensor("int64", [])})
def dies(data):
    if data == "exit":
        os._exit(3)
    if data == "boom":
        raise KeyError(data)
    if data == "crash":
        ctypes.string_at(0)
    return os.getpid()
"""


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    """Server 24.10 does not start it again, and stays "ready": what docs/errors.md says of TP726."""
    (tmp_path / "dies_ops.py").write_text(DIES)
    (tmp_path / "dies.toml").write_text('[only]\nbackend = "Python[dies_ops:dies]"\n')
    running = Serving(tmp_path / "dies.toml", "--cores", "2")
    try:
        with tpgen.Client(running.document["http"]) as client:
            processes: set[int] = set()
            while len(processes) < 2:
                processes.add(int(client("dies", data="x")["result"]))
            with pytest.raises(tpgen.RequestError, match=r"item 0: KeyError: 'boom' \(status 500\)$"):
                client("dies", data="boom")
            assert running.await_words("[only] item 0: KeyError: 'boom'")
            assert 'user/dies_ops.py", line ' in running.await_words("dies_ops.py")
            for how, left in (("exit", "1 of its processes left"), ("crash", "none of its processes left")):
                alive = len(processes)
                while len(processes) == alive:  # a dead instance may get the request, and fail it, too
                    with pytest.raises(tpgen.RequestError, match="is not healthy") as raised:
                        client("dies", data=how)
                    assert raised.value.status == 500
                    processes = {pid for pid in processes if Path(f"/proc/{pid}/exe").exists()}
                assert left in running.await_words("warning[TP726]: a process of model 'dies' died")
            for _ in range(3):
                with pytest.raises(tpgen.RequestError, match="is not healthy"):
                    client("dies", data="x")
            for path in ("health/ready", "models/dies/ready"):
                with urllib.request.urlopen(f"{running.document['http']}/v2/{path}") as answer:
                    assert answer.status == 200
    finally:
        done = running.end()
    assert done.status == 0, done.err


def _served_repository(processes: list[int]) -> Path:
    for pid in processes:
        for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            if word.startswith("--model-repository="):
                return Path(word.partition("=")[2])
    raise AssertionError("no process is a tritonserver")


def test_a_server_that_cannot_start(repository: Path, serving: Serving) -> None:
    port = serving.document["http"].rpartition(":")[2]
    done = program("serve", repository, "--http-port", port)
    assert done.status == 1
    assert f"error[TP704]: the http port {port} of 127.0.0.1 is in use" in done.err


@pytest.mark.slow
def test_the_demo() -> None:
    done = program("demo", "--json")
    assert done.status == 0, done.err
    document = done.document
    assert document["digits"]["right"] >= 0.95 * document["digits"]["sent"]
    assert [row["concurrency"] for row in document["perf"]["rows"]] == [1, 2, 4, 8]
    assert all(row["errors"] == 0 for row in document["perf"]["rows"])
