"""What a file of PyTorch's holds, told by the names in its archive: nothing is loaded, torch not needed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from .errors import REFUSED, ModelError

_SCRIPT_PARTS = ("constants.pkl", "model.json")  # of TorchScript; the second one until PyTorch 1.3
_WEIGHTS_PART = "data.pkl"


def check_torchscript(path: Path) -> None:
    """Check that a file can be a TorchScript model.

    Raises:
        ModelError: it is none.
    """
    parts = _parts(path)
    hint = "torch.jit.script(network).save(path) writes one"
    if parts is None:
        raise ModelError(REFUSED, f"'{path}' is no TorchScript file: {_instead(path)}", hint)
    if parts.isdisjoint(_SCRIPT_PARTS):
        what = "weights without their network" if _WEIGHTS_PART in parts else "something else"
        hint += "; TorchModule[module:Class] runs weights with your class" if _WEIGHTS_PART in parts else ""
        raise ModelError(REFUSED, f"'{path}' is no TorchScript file: it holds {what}", hint)


def check_weights(path: Path) -> None:
    """Check that a file can be the weights of a module; older ones are no archives, and not looked into.

    Raises:
        ModelError: it is none.
    """
    parts = _parts(path)
    hint = "torch.save(network.state_dict(), path) writes them"
    if parts is not None and not parts.isdisjoint(_SCRIPT_PARTS):
        hint = f"TorchScriptTensor runs it; or {hint}"
        raise ModelError(REFUSED, f"'{path}' holds no weights alone: it is a TorchScript model", hint)
    if parts is None and not path.stat().st_size:
        raise ModelError(REFUSED, f"'{path}' holds no weights: it is empty", hint)


def _parts(path: Path) -> set[str] | None:
    """The names of what an archive holds, without folders; None: it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.rpartition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile:
        return None


def _instead(path: Path) -> str:
    return "it is no archive, or was cut off" if path.stat().st_size else "it is empty"
