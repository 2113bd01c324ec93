"""TensorRT engines that a repository still lacks."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ..diagnostics import ToolMissing


def require_engines(repository: Path) -> None:
    """See that every engine is built: the server would refuse the models without.

    Raises:
        ToolMissing: some are not; with the command for the first of them.
    """
    missing = [
        request.parent
        for request in sorted(repository.glob("*/*/engine.json"))
        if not any(request.parent.glob("*.plan"))
    ]
    if not missing:
        return
    names = ", ".join(folder.parent.name for folder in missing)
    lines = json.loads((missing[0] / "engine.json").read_text(encoding="utf-8")).get("commands", {})
    command = shlex.join(lines.get("trtexec", ["trtexec", "--onnx=model.onnx", "--saveEngine=model.plan"]))
    message = f"no TensorRT engine yet for {names}: each is built where the GPU is, by the command in its"
    raise ToolMissing(f"{message} engine.json; in {missing[0]}: {command}")
