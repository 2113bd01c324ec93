"""Writing files of tpgen beside files of others: each atomically, and none that somebody else wrote."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from .findings import disk_errors, failure

RECORD = ".tpgen-files.json"
_WHAT = "a folder for these files"


def write_owned(
    folder: Path, files: Mapping[str, bytes], *, programs: Iterable[str] = (), force: bool = False
) -> tuple[str, ...]:
    """Writes files below a folder, with a record of their hashes beside them.

    Args:
        folder: is made if it is not there.
        files: path in the folder -> content.
        programs: those that may be run.
        force: replace what tpgen did not write, or what was edited since.

    Returns:
        The paths that were written; those that had the content already are not.

    Raises:
        PipelineError: TP615, files that are not as tpgen wrote them; nothing was written. TP601, TP602 or
            TP603, the disk.
    """
    owned = _record(folder / RECORD)
    if not force:
        refuse_foreign(folder, files)
    with disk_errors(folder, _WHAT):
        changed = {name: data for name, data in files.items() if _digest(folder / name) != _sha(data)}
        marked = set(programs)
        for name, data in changed.items():
            replace_file(folder / name, data, mode=0o755 if name in marked else 0o644)
        record = {**owned, **{name: _sha(data) for name, data in files.items()}}
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        if record != owned:
            replace_file(folder / RECORD, text.encode())
    return tuple(changed)


def refuse_foreign(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Raises TP615 for files that tpgen did not write; ``files`` has what it would (None: not known yet)."""
    owned = _record(folder / RECORD)
    with disk_errors(folder, _WHAT):
        foreign = [
            name
            for name, data in files.items()
            if _digest(folder / name) not in (None, owned.get(name), None if data is None else _sha(data))
        ]
    if foreign:
        refuse(folder, foreign)


def write_marked(path: Path, body: str, author: str, *, force: bool = False) -> bool:
    """Writes one file whose first line, a comment, has the hash of the others; False if it is there already.

    Args:
        path: the file; its folder is made if it is not there.
        body: the content, in a language whose comments begin with ``#``.
        author: the command that writes it.
        force: replace what tpgen did not write, or what was edited since.

    Raises:
        PipelineError: as in `write_owned`.
    """
    text = f"# Written by {author}: {_mark(body)}\n{body}"
    with disk_errors(path.parent, _WHAT):
        present = path.read_bytes().decode("utf-8", "replace") if path.exists() else None
        if present == text:
            return False
        if present is not None and not force and not _is_marked(present):
            refuse(path.parent, [path.name])
        replace_file(path, text.encode())
    return True


def _mark(body: str) -> str:
    return _sha(body.encode())[:16]


def _is_marked(text: str) -> bool:
    first, _, body = text.partition("\n")
    return first.startswith("# Written by tpgen") and first.endswith(f": {_mark(body)}")


def refuse(folder: Path, names: Iterable[str]) -> None:
    """Raises TP615 for files that may not be replaced."""
    listed = ", ".join(f"'{name}'" for name in sorted(names))
    raise failure(
        "TP615",
        f"tpgen did not write {listed} in '{folder}', or somebody edited it since",
        hint="name another place with -o, or replace it with --force",
        file=folder,
    )


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Writes a file and puts it in place in one step, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, staged = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(staged, mode)
        os.replace(staged, path)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise


def _record(path: Path) -> dict[str, str]:
    """The hashes of what was written before; a record that can't be read owns nothing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def _digest(path: Path) -> str | None:
    """The hash of a file; None if there is none."""
    try:
        return _sha(path.read_bytes())
    except FileNotFoundError:
        return None


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
