"""Environments that hold a repository's own requirements and nothing else."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..diagnostics import ToolMissing
from .cache import cache_root, locked

_COMPLETE = "tpgen-complete"


def isolated_environment(requirements_txt: str, *, python: Path | None = None) -> Path:
    """A virtual environment that holds the packages of a ``requirements.txt`` and nothing of tpgen.

    Kept under the hash of its contents and made once, whoever asks first; later calls cost two file look-ups.

    Args:
        requirements_txt: the text of the file.
        python: the interpreter it is made from; by default the one that runs this.

    Returns:
        The environment's folder; its interpreter is ``bin/python3``.

    Raises:
        ToolMissing: the environment cannot be made, or a package cannot be installed.
    """
    interpreter = python or Path(sys.executable)
    folder = cache_root() / "environments" / _key(requirements_txt, interpreter)
    if _usable(folder):
        return folder
    with locked(folder.with_name(folder.name + ".lock")):
        if not _usable(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, requirements_txt, interpreter)
    return folder


def _key(requirements_txt: str, interpreter: Path) -> str:
    lines = (line.strip() for line in requirements_txt.splitlines())
    wanted = sorted(line for line in lines if line and not line.startswith("#"))
    version = ".".join(map(str, sys.version_info[:3])) if interpreter == Path(sys.executable) else ""
    text = "\n".join([*wanted, version, os.path.realpath(interpreter)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _usable(folder: Path) -> bool:
    # The second look-up follows the link to the base interpreter, which may have been removed since.
    return (folder / _COMPLETE).exists() and (folder / "bin" / "python3").exists()


def _make(folder: Path, requirements_txt: str, interpreter: Path) -> None:
    """Makes the environment in its final place, as a finished one cannot be moved; the mark comes last."""
    bare = _pip_can_install_elsewhere() and interpreter == Path(sys.executable)
    create = [str(interpreter), "-m", "venv", *(["--without-pip"] if bare else []), str(folder)]
    _run(create, "a virtual environment cannot be made", "apt-get install python3-venv")
    inside = str(folder / "bin" / "python3")
    pip = [sys.executable, "-m", "pip", "--python", inside] if bare else [inside, "-m", "pip"]
    with tempfile.TemporaryDirectory() as scratch:
        listing = Path(scratch) / "requirements.txt"
        listing.write_text(requirements_txt)
        _run(
            [*pip, "install", "--quiet", "--disable-pip-version-check", "-r", str(listing)],
            "the packages that the repository's requirements.txt names cannot be installed",
            "python -m pip install -r requirements.txt",
        )
    (folder / _COMPLETE).write_text(requirements_txt)


def _pip_can_install_elsewhere() -> bool:
    """True if this interpreter's pip knows ``--python`` (22.3), which spares the new environment its own."""
    if importlib.util.find_spec("pip") is None:
        return False
    from importlib.metadata import version

    major, minor = version("pip").split(".")[:2]
    return (int(major), int(minor)) >= (22, 3)


def _run(command: list[str], trouble: str, remedy: str) -> None:
    # PYTHONPATH would make packages of this environment look as if they were installed in the new one.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-8:]
        raise ToolMissing("\n  ".join([f"{trouble}:", *last]), remedy)
