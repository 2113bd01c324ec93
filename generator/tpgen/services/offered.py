"""Which models a server has: choosing one by name, with what is near if there is none."""

from __future__ import annotations

from ..diagnostics import Diagnostic, PipelineError, Severity, did_you_mean
from .client import Client


def choose_model(client: Client, wanted: str | None) -> str:
    """The name of a model that the server has; None is for the only one that is not part of another.

    Raises:
        PipelineError: TP706, it has no such model, or several to choose from.
        RequestError: no server answers.
    """
    names: list[str] = sorted({model["name"] for model in client.models()})
    entries = [name for name in names if "__" not in name]
    if wanted is None and len(entries) == 1:
        return entries[0]
    listed = ", ".join(f"'{name}'" for name in entries) or "none"
    if wanted is None:
        raise _error(f"the server has {len(entries)} entry models: {listed}", "name one with --model")
    if wanted not in names:
        guess = did_you_mean(wanted, names)
        hint = f"did you mean '{guess}'?" if guess else f"it has {listed}"
        raise _error(f"the server has no model '{wanted}'", hint)
    return wanted


def _error(message: str, hint: str) -> PipelineError:
    return PipelineError([Diagnostic("TP706", Severity.ERROR, message, hint=hint)])
