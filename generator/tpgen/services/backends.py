"""Triton's backends that the models of a repository run on, and whether a server has them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..diagnostics import ToolMissing
from ..emit.config_pbtxt import ConfigSyntaxError, ModelConfig, parse
from ..emit.manifest import read_manifest
from .runtime import Runtime

# Those that builds choose; any other may be misspelt, which the server says.
_CHOSEN = ("onnxruntime", "tensorrt", "pytorch", "dali")
# Where a server looks for them by default.
_USUAL = Path("/opt/tritonserver/backends")


def require_backends(repository: Path, runtime: Runtime, pipeline: Path | None = None) -> None:
    """See that a server has the backends of a repository: it refuses every model that it has none for.

    With ``pipeline`` the repository is a temporary one that was built from that file: no place to serve from.

    Raises:
        ToolMissing: it lacks some; with who has them.
    """
    folder = runtime.backend_directory or _USUAL
    if not folder.is_dir():  # the server knows better where its own are
        return
    lacking: dict[str, list[str]] = {}
    for path, config in _models(repository):
        own = (path, *(one for one in path.iterdir() if one.is_dir()))
        here = any((place / f"libtriton_{config.backend}.so").is_file() for place in own)
        if config.backend in _CHOSEN and not here and not (folder / config.backend).exists():
            lacking.setdefault(config.backend, []).append(path.name)
    if not lacking:
        return
    said = ", ".join(f"'{backend}' (of {', '.join(models)})" for backend, models in lacking.items())
    way = shlex.join(["tpgen", "serve", "--docker", str(repository)])
    if pipeline is not None:
        build = shlex.join(["tpgen", "build", str(pipeline), *_options(repository), "-o", "DIR"])
        way = (
            f"{build}, then tpgen serve --docker DIR; tpgen verify DIR --url URL and tpgen perf URL ask that"
        )
    raise ToolMissing(
        f"{runtime.program} has no backend {said}; the images of Triton have them: {way}; or name a server "
        "that has them with --tritonserver"
    )


def _options(repository: Path) -> list[str]:
    """The options that a repository was built with, as words of a command line."""
    manifest = read_manifest(repository)
    records: list[Any] = [one.record["options"] for one in manifest.pipelines.values()] if manifest else []
    words = []
    for record in records[:1]:
        words += ["--target", record["target"], "--runtime", record["runtime"]]
        words += ["--fuse", record["fuse"]] * (record["fuse"] != "auto")
        for place, text in record.get("set", {}).items():
            words += ["--set", f"{place}={text}"]
        for node in record.get("models", ()):
            words += ["--model", f"{node}=PATH"]
    return words


def _models(repository: Path) -> Iterator[tuple[Path, ModelConfig]]:
    """The models with a configuration; the server says itself what it cannot read."""
    for file in sorted(repository.glob("*/config.pbtxt")):
        try:
            yield file.parent, parse(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ConfigSyntaxError):
            continue
