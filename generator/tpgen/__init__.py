"""Compiler from TOML pipeline descriptions to Triton Inference Server model repositories.

`build` and `check` compile, `pipe` runs a pipeline in this process, `serve` starts a tritonserver, and a
`Client` sends it requests. Nothing heavy is imported before one of these is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diagnostics import Diagnostic, PipelineError, Severity, ToolMissing
    from .driver.build import BuildResult, build, check
    from .driver.local import pipe
    from .driver.options import BuildOptions
    from .runner.interpreter import ItemError
    from .services.client import Client, RequestError
    from .services.server import TritonServer as serve  # noqa: N813  (users write `with tpgen.serve(...)`)

__version__ = "0.1.0"

__all__ = [
    "BuildOptions",
    "BuildResult",
    "Client",
    "Diagnostic",
    "ItemError",
    "PipelineError",
    "RequestError",
    "Severity",
    "ToolMissing",
    "__version__",
    "build",
    "check",
    "pipe",
    "serve",
]

_HOMES = {
    "BuildOptions": "driver:BuildOptions",
    "BuildResult": "driver:BuildResult",
    "Client": "services.client:Client",
    "Diagnostic": "diagnostics:Diagnostic",
    "ItemError": "runner.interpreter:ItemError",
    "PipelineError": "diagnostics:PipelineError",
    "RequestError": "services.client:RequestError",
    "Severity": "diagnostics:Severity",
    "ToolMissing": "diagnostics:ToolMissing",
    "build": "driver:build",
    "check": "driver:check",
    "pipe": "driver:pipe",
    "serve": "services.server:TritonServer",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; from then on it is an ordinary attribute."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tpgen' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    found = getattr(import_module(f"tpgen.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
