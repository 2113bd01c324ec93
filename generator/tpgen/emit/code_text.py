"""Python source as lines: what is long is broken, and user text stays harmless."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

LINE = 100
BODY = 8  # the indentation of a method's statements
ASSIGNED = 20  # about what stands in front of a value that is assigned


def sequence(items: Sequence[str], indent: int) -> str:
    """A tuple display; one item a line if it is long."""
    flat = ", ".join(items) + ("," if len(items) == 1 else "")
    if len(flat) + indent + 12 <= LINE:
        return f"({flat})"
    pad = " " * (indent + 4)
    return "(\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + ")"


def broken_call(function: str, arguments: Sequence[str], before: int) -> list[str]:
    """A call as one line, or one argument a line if that is long; ``before``: characters in front of it."""
    flat = f"{function}({', '.join(arguments)})"
    if before + len(flat) <= LINE:
        return [flat]
    return [f"{function}(", *(f"    {argument}," for argument in arguments), ")"]


def safe_name(path: str) -> str:
    """A file's base name for comments and docstrings: what is not plain is replaced."""
    name = PurePosixPath(path).name
    return one_line("".join(c if c.isalnum() or c in "._- " else "_" for c in name), 60)


def assignment(targets: Sequence[str], value: Sequence[str], indent: int) -> list[str]:
    """An assignment of a value, given as lines; one target a line if there are too many for one."""
    first = ", ".join(targets)
    if len(targets) < 2 or len(first) + len(" = ") + len(value[0]) + indent <= LINE:
        return [f"{first} = {value[0]}", *value[1:]]
    return ["(", *(f"    {target}," for target in targets), f") = {value[0]}", *value[1:]]


def one_line(text: str, width: int) -> str:
    """User text for a comment: printable, on one line, cut to a width."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    return flat if len(flat) <= width else flat[: width - 3] + "..."
