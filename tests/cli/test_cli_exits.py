"""Exit statuses and last words, in text and in JSON."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tpgen.driver
from cli_commands import Tpgen, program
from tpgen.diagnostics import ToolMissing

KEYS = {"code", "severity", "message", "file", "line", "column", "hint", "model", "node"}


def broken(resize: Path) -> Path:
    """The pipeline with two errors, the later one on an earlier line of its node."""
    resize.write_text(
        resize.read_text().replace("resize_h", "resize_hh").replace('"DecodeMat"', '"DecodMat"')
    )
    return resize


def test_done(resize: Path) -> None:
    done = program("check", resize)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{resize}: no errors\n"


def test_wrong_pipeline(resize: Path) -> None:
    done = program("check", broken(resize))
    assert done.status == 1
    assert done.out == ""
    assert "Traceback" not in done.err
    lines = done.err.splitlines()
    assert lines[0] == f"{resize}:3:12: error[TP101]: unknown operator 'DecodMat'"
    assert "did you mean 'DecodeMat'?" in done.err
    assert re.search(r"resize\.toml:7:1: error\[TP102\]: unknown key 'resize_hh'", done.err)
    assert re.fullmatch(r"\d errors", lines[-1])


def test_wrong_pipeline_in_json(resize: Path) -> None:
    done = program("build", broken(resize), "--json", cwd=resize.parent)
    assert (done.status, done.err) == (1, "")
    assert done.document["ok"] is False
    records = done.document["diagnostics"]
    assert all(set(record) == KEYS for record in records)
    first = records[0]
    assert (first["code"], first["line"], first["column"]) == ("TP101", 3, 12)
    assert (first["severity"], first["file"]) == ("error", str(resize))
    assert not (resize.parent / "model_repository").exists()


@pytest.mark.parametrize("content", [b"\x00\xff" * 1_000_000, b"[a", b"", b"\xff\xfe[\x00a\x00]\x00"])
@pytest.mark.parametrize("command", ["build", "check", "explain", "run", "serve", "verify"])
def test_a_wrong_file_is_no_traceback(tmp_path: Path, tpgen: Tpgen, content: bytes, command: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(content)
    done = tpgen(command, path)
    assert done.status == 1
    assert "error[TP" in done.err
    assert "Traceback" not in done.err


def test_a_missing_file(tmp_path: Path, tpgen: Tpgen) -> None:
    done = tpgen("check", tmp_path / "nowhere.toml")
    assert done.status == 1
    assert "nowhere.toml: error[TP001]" in done.err
    assert done.err.endswith("1 error\n")


def test_the_command_alone_shows_its_help_once(tpgen: Tpgen) -> None:
    done = tpgen()
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage: tpgen [OPTIONS] COMMAND")
    assert done.err.count("Usage") == 1
    assert "Commands:" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["biuld", "x.toml"], "did you mean 'build'?"),
        (["build"], "Missing argument 'PIPELINE.toml...'"),
        (["build", "x.toml", "--fuze", "none"], "--fuze"),
        (["build", "x.toml", "--fuse", "some"], "'some' is not one of auto, none, max"),
        (["build", "x.toml", "--cores", "0"], "--cores"),
        (["build", "x.toml", "--model", "small.onnx"], "not NODE=PATH"),
        (["build", "x.toml", "--set", "resize=3"], "not NODE.KEY=VALUE"),
        (["check", "x.toml", "--print-after", "infr"], "did you mean 'infer'?"),
        (["run", "x.toml", "--input", "image.jpg"], "not KEY=VALUE"),
        (["perf", "x.toml", "--concurrency", "many", "--input", "a=b"], "concurrency 'many' is not like"),
        (["perf", "http://127.0.0.1:1"], "give a sample with --input"),
        (["perf", "ftp://127.0.0.1:1", "--input", "a=b"], "'ftp://127.0.0.1:1' is not a server's address"),
        (["verify", "x.toml", "--url", "http://127.0.0.1:many"], "is not a server's address"),
        (["perf", "x.toml", "--window", "0"], "--window"),
        (["perf", "x.toml", "--window", "2s"], "--window"),
        (["perf", "x.toml", "--stability", "0"], "--stability"),
        (["perf", "x.toml", "--max-windows", "2"], "--max-windows"),
        (["explain", "ResizMat"], "did you mean 'ResizeMat'?"),
        (["explain", "instanc_num"], "did you mean 'instance_num'?"),
        (["explain", "TP9999"], "there is no code TP9999"),
    ],
)
def test_usage(tpgen: Tpgen, arguments: list[str], words: str) -> None:
    done = tpgen(*arguments)
    assert done.status == 2
    assert words in done.err
    assert "Usage: tpgen" in done.err
    in_json = tpgen(*arguments, "--json")
    assert in_json.status == 2
    (record,) = in_json.document["diagnostics"]
    assert set(record) == KEYS
    assert record["code"] == "TP791"
    assert words in record["message"]


def test_a_missing_tool(tmp_path: Path, tpgen: Tpgen) -> None:
    (tmp_path / "model").mkdir()
    done = tpgen("serve", tmp_path, "--tritonserver", tmp_path / "nothing")
    assert done.status == 3
    assert "is not a program that can be run" in done.err
    in_json = tpgen("serve", tmp_path, "--tritonserver", tmp_path / "nothing", "--json")
    assert in_json.status == 3
    assert [record["code"] for record in in_json.document["diagnostics"]] == ["TP790"]


def test_a_missing_tool_names_the_command(
    resize: Path, tpgen: Tpgen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_arguments: object, **_options: object) -> None:
        raise ToolMissing("no frobnicator", "apt-get install frobnicator")

    monkeypatch.setattr(tpgen_driver(), "check", missing)
    assert "install it with: apt-get install frobnicator" in tpgen("check", resize).err
    (record,) = tpgen("check", resize, "--json").document["diagnostics"]
    assert record["hint"] == "apt-get install frobnicator"


def test_a_bug(resize: Path, tpgen: Tpgen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_arguments: object, **_options: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(tpgen_driver(), "check", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = tpgen("check", resize)
    assert done.status == 70
    assert "This is a bug in tpgen" in done.err
    assert "Traceback" not in done.err
    place = re.search(r"details are in (\S+tpgen-bug-\S+\.txt);", done.err)
    assert place is not None
    details = Path(place[1]).read_text()
    assert "Traceback" in details
    assert "KeyError: 'oops'" in details
    assert details.startswith(f"tpgen {__import__('tpgen').__version__}, Python")
    in_json = tpgen("check", resize, "--json")
    assert in_json.status == 70
    assert [record["code"] for record in in_json.document["diagnostics"]] == ["TP799"]


def test_an_interruption(resize: Path, tpgen: Tpgen, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tpgen_driver(), "check", interrupted)
    done = tpgen("check", resize)
    assert done.status == 130
    assert "Traceback" not in done.err


def test_a_reader_that_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "tpgen", "explain", "TP102"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert done.stderr == ""


def test_the_document_is_alone_on_stdout(tmp_path: Path) -> None:
    """User code that prints, even past Python, does not spoil it."""
    (tmp_path / "noisy.py").write_text(
        "import os\n"
        "from tpgen_runtime import Tensor, op\n"
        'print("loaded")\n'
        '@op(inputs={"data": Tensor("string", [])}, outputs={"result": Tensor("string", [])})\n'
        "def shout(data):\n"
        '    os.system("echo from a shell")\n'
        "    return data.upper()\n"
    )
    pipeline = tmp_path / "noisy.toml"
    pipeline.write_text('[pipeline.inputs]\ndata = "string"\n[a]\nbackend = "Python[noisy:shout]"\n')
    done = program("run", pipeline, "--input", "data=hello", "--json")
    assert done.status == 0, done.err
    assert done.document["samples"] == [{"error": None, "outputs": {"result": "HELLO"}}]
    assert "from a shell" in done.err


def test_colour_on_a_terminal_only(resize: Path) -> None:
    command = [sys.executable, "-m", "tpgen", "check", str(broken(resize))]
    assert "\x1b[" not in program("check", resize).err
    main, terminal = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    try:
        subprocess.run(command, stderr=terminal, env=environment, check=False)
        assert b"\x1b[" in os.read(main, 65536)
        subprocess.run(command, stderr=terminal, env={**environment, "NO_COLOR": "1"}, check=False)
        assert b"\x1b[" not in os.read(main, 65536)
    finally:
        os.close(main)
        os.close(terminal)


def test_the_version() -> None:
    import tpgen

    assert program("--version").out == f"tpgen {tpgen.__version__}\n"


def tpgen_driver() -> object:
    """The module that commands take `check` from when they run."""
    return tpgen.driver
