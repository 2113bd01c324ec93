"""A user's Python file as text and syntax tree. It is never run: the compiler only reads it."""

from __future__ import annotations

import ast
import sys
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..diagnostics import Bag, PipelineError
from ..source import SourceFile, Span

# Put first on the server's sys.path, a module of one of these names would take the place of the real one.
TAKEN = frozenset(
    {
        "c_python_backend_utils",
        "cv2",
        "model",
        "numpy",
        "onnxruntime",
        "stage",
        "tpgen",
        "tpgen_runtime",
        "triton_python_backend_utils",
    }
)


@dataclass(frozen=True)
class UserSource:
    """A parsed module; ``path`` is where it lies."""

    path: Path
    source: SourceFile
    tree: ast.Module

    def span(self, node: ast.AST) -> Span:
        """The place of a node; of a function or class, that of its first line."""
        first, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        last, end = getattr(node, "end_lineno", first), getattr(node, "end_col_offset", column)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            last, end = first, len(self.source.line_text(first).encode())
        return Span(self.source, self._offset(first, column), self._offset(last, end))

    def _offset(self, line: int, column: int) -> int:
        """The offset of a column that counts UTF-8 bytes, as the syntax tree has it."""
        start = line_start(self.source, line)
        return start + len(self.source.line_text(line).encode()[:column].decode(errors="ignore"))


def line_start(source: SourceFile, line: int) -> int:
    """The offset of the first character of a line (from 1)."""
    return sum(len(part) + 1 for part in source.text.split("\n")[: line - 1])


def read_python(path: Path) -> UserSource:
    """Read and parse a file.

    Raises:
        PipelineError: it can't be read (TP501), isn't UTF-8, or isn't Python (TP502).
    """
    bag = Bag()
    source = SourceFile(str(path), "")
    try:
        # Python ends lines at \r as well; positions count \n only.
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        source = SourceFile(str(path), text)
        return UserSource(path, source, _parsed(text))
    except OSError as problem:
        bag.error("TP501", f"can't read this file: {problem.strerror or problem}", file=str(path))
    except UnicodeDecodeError:
        bag.error("TP502", "this file is not UTF-8", file=str(path), hint="save the file as UTF-8")
    except SyntaxError as problem:
        bag.error("TP502", f"this is not Python: {problem.msg}", _error_span(source, problem))
    except (ValueError, RecursionError, MemoryError) as problem:
        bag.error("TP502", f"this is not Python: {str(problem) or 'nested too deeply'}", file=str(path))
    raise PipelineError(bag.diagnostics)


@lru_cache(maxsize=64)  # every node that uses a module reads it, and every pipeline of a process
def _parsed(text: str) -> ast.Module:
    """The syntax tree of a text, shared by all who read that text: nobody changes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _error_span(source: SourceFile, problem: SyntaxError) -> Span:
    line = min(max(problem.lineno or 1, 1), source.line_count)
    start = line_start(source, line) + max((problem.offset or 1) - 1, 0)
    start = min(start, len(source.text))
    same_line = problem.end_lineno == line and (problem.end_offset or 0) > (problem.offset or 1)
    width = (problem.end_offset or 0) - (problem.offset or 1) if same_line else 1
    return Span(source, start, min(start + width, len(source.text)))


def is_taken(module: str) -> bool:
    """True if a user's module must not have this name."""
    return module in TAKEN or module in sys.stdlib_module_names


def taken_message(module: str) -> str:
    """Why a user's module must not have this name."""
    owner = "of Python's standard library" if module in sys.stdlib_module_names else "that the server needs"
    return f"'{module}' is the name of a module {owner}; a file of yours would take its place"
