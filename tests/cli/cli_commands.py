"""Running the command: in this process for speed, as a program where the process itself is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESIZE = """
[decode]
backend = "DecodeMat"
next = "resize"
[resize]
backend = "Sequential[ResizeMat,cvtColorMat]"
resize_h = 8
resize_w = 12
color = "rgb"
"""


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status, stdout and stderr."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document, which is all that stdout holds."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Tpgen = Callable[..., Result]


def program(*arguments: str | Path, cwd: Path | None = None) -> Result:
    """Runs a command as users do."""
    command = [sys.executable, "-m", "tpgen", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    return Result(done.returncode, done.stdout, done.stderr)
