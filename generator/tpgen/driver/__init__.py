"""From files and options to a compiled pipeline and a repository: what command line and library share."""

from .build import BuildResult, build, check
from .compile import Compiled, compile_pipeline
from .local import load_interpreter, pipe, reference
from .options import BuildOptions

__all__ = [
    "BuildOptions",
    "BuildResult",
    "Compiled",
    "build",
    "check",
    "compile_pipeline",
    "load_interpreter",
    "pipe",
    "reference",
]
