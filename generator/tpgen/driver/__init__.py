"""From files and options to a compiled pipeline and a repository: what command line and library share."""

from .build import BuildResult, build, check
from .check_repository import RepositoryCheck, check_repository
from .compile import Compiled, compile_pipeline
from .local import load_interpreter, pipe, reference
from .options import BuildOptions

__all__ = [
    "BuildOptions",
    "BuildResult",
    "Compiled",
    "RepositoryCheck",
    "build",
    "check",
    "check_repository",
    "compile_pipeline",
    "load_interpreter",
    "pipe",
    "reference",
]
