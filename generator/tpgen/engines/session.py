"""onnxruntime sessions for looking at and proving things about models: quiet, on the CPU."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import REFUSED, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession


class RunFailed(Exception):
    """onnxruntime could not compute a model; ``node`` is the graph node that it names, if it names one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        named = re.search(r"while running (\S+) node\. Name:'([^']*)'", reason)
        self.node = named[2] if named else None


def open_session(model: Path | bytes, *, optimize: bool = True) -> InferenceSession:
    """A CPU session that logs nothing and whose threads sleep while they wait.

    Raises:
        ModelError: onnxruntime refuses the model; the message holds its reason.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source, name = (model, "the model") if isinstance(model, bytes) else (str(model), f"model '{model}'")
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 (onnxruntime's exceptions share no base class)
        raise ModelError(REFUSED, f"onnxruntime can't load {name}: {_reason(error)}") from None


def run(
    session: InferenceSession, outputs: Sequence[str], feeds: Mapping[str, NDArray[np.generic]]
) -> list[Any]:
    """Compute the named outputs.

    Raises:
        RunFailed: the model can't be computed on these inputs.
    """
    try:
        return list(session.run(list(outputs), dict(feeds)))
    except Exception as error:  # noqa: BLE001 (as above)
        raise RunFailed(_reason(error)) from None


def _reason(error: Exception) -> str:
    """The text of an exception of onnxruntime without its number and the places in its sources."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip())
    text = re.sub(r"^Load model from .*? failed: *", "", text)
    return re.sub(r"(/\S+:\d+ .*?\) )", "", text, count=1).splitlines()[0].strip()
