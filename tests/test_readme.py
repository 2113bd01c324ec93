"""The documents do what they say: their blocks are run, in order, in a copy of the examples.

A comment in front of a block says what is special about it::

    <!-- run: skip, REASON -->    it is not run
    <!-- run: exit 1 -->          it ends with this status, not with 0
    <!-- run: until "TEXT" -->    it goes on in the background once it has printed this, until the end
    <!-- file: PATH -->           it is this file
    <!-- shows: PATH -->          its lines stand in this file of the project, in this order
    <!-- shows: output -->        its lines stand in what the block before it printed; numbers may differ
                                      (not those of shapes)

Without one, ``sh`` and ``python`` blocks are run and others only shown. A line ``...`` stands for any others.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "docs/architecture.md", "docs/wire.md", "docs/metrics.md")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "model_repos/*/*.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>run|file|shows): (?P<value>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]*)(?:#(?P<anchor>[^)]+))?\)")
_MEASURED = re.compile(r"(\d+(?:x\d+)+|\[[\d,]+\])|\d[\d.,]*(?:e[+-]?\d+)?")  # but for shapes
STARTED_S = 120


@dataclass(frozen=True)
class Block:
    """A fenced block with its mark, and where it stands."""

    place: str
    mark: str
    value: str
    language: str
    text: str


def blocks_of(document: str) -> Iterator[Block]:
    page = (ROOT / document).read_text()
    for match in BLOCK.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        yield Block(
            f"{document}:{line}",
            match["mark"] or "",
            match["value"] or "",
            match["language"],
            match["text"],
        )


@dataclass
class Reader:
    """Somebody who types a document's blocks in a folder, with servers on ports that are free."""

    folder: Path
    stack: ExitStack
    printed: str = ""
    ports: dict[int, int] = field(default_factory=dict)

    def follow(self, block: Block) -> None:
        match block.mark, block.value:
            case "file", path:
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_text(block.text)
            case "shows", "output":
                _check_shown(block, self.printed, exact=False)
            case "shows", path:
                _check_shown(block, (ROOT / path).read_text(), exact=True)
            case "run", value if value.startswith("skip, "):
                pass
            case "run", value if value.startswith("until "):
                self.printed = self._start(block, value.removeprefix("until ").strip('"'))
            case ("run" | "", value) if block.language in ("sh", "python"):
                self.printed = self._run(block, int(value.removeprefix("exit ") or 0))
            case mark, _:
                assert not mark, f"{block.place}: the mark '{mark}: {block.value}' fits no such block"

    def _command(self, block: Block) -> list[str]:
        text = block.text
        for documented, free in self._free_ports().items():
            text = text.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{free}")
        if block.language == "python":
            return [sys.executable, "-c", text]
        return ["bash", "-euo", "pipefail", "-c", text]

    def _free_ports(self) -> dict[int, int]:
        if not self.ports:
            sockets = {port: socket.create_server(("127.0.0.1", 0)) for port in (8000, 8001, 8002)}
            self.ports = {port: opened.getsockname()[1] for port, opened in sockets.items()}
            for opened in sockets.values():
                opened.close()
        return self.ports

    def _environment(self) -> dict[str, str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": programs, "PYTHONDONTWRITEBYTECODE": "1"}

    def _run(self, block: Block, status: int) -> str:
        done = subprocess.run(
            self._command(block),
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        assert done.returncode == status, f"{block.place} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def _start(self, block: Block, text: str) -> str:
        ports = self._free_ports()
        options = f"--http-port {ports[8000]} --grpc-port {ports[8001]} --metrics-port {ports[8002]}"
        log = self.folder / "background.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {block.text.strip()} {options}"],
                cwd=self.folder,
                env=self._environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.stack.callback(_end, process, block, log)
        deadline = time.monotonic() + STARTED_S
        while text not in log.read_text():
            assert process.poll() is None, f"{block.place} ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{block.place} never printed {text!r}:\n{log.read_text()}"
            time.sleep(0.1)
        return log.read_text()


def _end(process: subprocess.Popen[bytes], block: Block, log: Path) -> None:
    process.send_signal(signal.SIGINT)
    status = process.wait(timeout=60)
    assert status == 0, f"{block.place} ended with {status}:\n{log.read_text()}"


def _check_shown(block: Block, found: str, *, exact: bool) -> None:
    """Every line of a block stands in a text, in the order of the block."""
    there = iter([_plain(line, exact=exact) for line in found.splitlines()])
    for line in block.text.splitlines():
        wanted = _plain(line, exact=exact)
        if wanted and wanted != "...":
            assert wanted in there, f"{block.place}: {line!r} is not there, or not in this order:\n{found}"


def _plain(line: str, *, exact: bool) -> str:
    line = " ".join(line.split())
    return line if exact else _MEASURED.sub(lambda found: found[1] or "#", line)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    ignored = shutil.ignore_patterns("expected", "resnet50.onnx", "__pycache__", "model_repository")
    shutil.copytree(ROOT / "model_repos", tmp_path / "model_repos", ignore=ignored)
    with ExitStack() as stack:
        yield Reader(tmp_path, stack)


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_blocks_do_what_the_document_says(document: str, reader: Reader) -> None:
    for block in blocks_of(document):
        reader.follow(block)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_mark_is_in_front_of_a_block(document: str) -> None:
    page = (ROOT / document).read_text()
    marks = re.findall(r"^<!-- (?:run|file|shows): .*-->$", page, re.MULTILINE)
    assert len(marks) == sum(bool(block.mark) for block in blocks_of(document))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for match in LINK.finditer((ROOT / page).read_text()):
        target = (ROOT / page).parent / match["path"] if match["path"] else ROOT / page
        assert target.exists(), f"{page}: {match['path']} does not exist"
        assert not match["anchor"] or match["anchor"] in _anchors(target), f"{page}: no {match[0]}"


def test_decisions_are_numbered_one_by_one() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
