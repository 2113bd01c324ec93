"""Why a server does not start, or does not run any more."""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics import Diagnostic, PipelineError, Severity


class ServerError(PipelineError):
    """The server did not start; ``log`` is what it wrote. Exit 1."""

    def __init__(self, diagnostics: Sequence[Diagnostic], log: str) -> None:
        super().__init__(diagnostics)
        self.log = log


PORT_HINT = (
    "end the other server, or choose ports with --http-port, --grpc-port, --metrics-port (0: any free one)"
)


def failure(
    code: str, message: str, *, hint: str | None, log: str = "", model: str | None = None
) -> ServerError:
    """A server that could not start or run, with what is known of it."""
    return ServerError([Diagnostic(code, Severity.ERROR, message, hint=hint, model=model)], log)


def listed(models: list[str]) -> str:
    """Models and their verb, ``'a', 'b' are``; without any, what the server was at instead."""
    if not models:
        return "no model was begun or the server itself is"
    names = ", ".join(f"'{model}'" for model in models)
    return f"{names} {'is' if len(models) == 1 else 'are'}"
