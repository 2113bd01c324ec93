"""Golden files: what a test made, compared with what is checked in."""

import difflib
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


class Golden:
    """Compares texts with files, or writes the files if the run was started with `--update-golden`."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def file(self, path: Path, actual: str) -> None:
        """Fails with the difference if the file holds another text, or isn't there."""
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(actual, encoding="utf-8", newline="")
            return
        expected = path.read_text(encoding="utf-8") if path.is_file() else ""
        if expected != actual or not path.is_file():
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            lines = [text.splitlines(keepends=True) for text in (expected, actual)]
            difference = "".join(difflib.unified_diff(*lines, f"{name} (checked in)", "made now"))
            pytest.fail(f"{difference}\nIf this is meant, write it with: make gold", pytrace=False)

    def tree(self, folder: Path, actual: Mapping[str, str]) -> None:
        """The same for all files below a folder; the keys are paths inside it."""
        present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for name in sorted(present - set(actual)):
            if not self.update:
                pytest.fail(f"{folder / name} is checked in, but no longer made: make gold", pytrace=False)
            (folder / name).unlink()
        for name, text in sorted(actual.items()):
            self.file(folder / name, text)
