"""Kernels of the runtime as callables: the one place where the compiler's process loads `tpgen_runtime`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ..ir.filters import UserStatus, Verdict
from ..ir.graph import Call
from ..ir.op import Trait, attributes_of
from ..types import Array, ListOf, Type

Kernel: TypeAlias = Callable[..., Any]
Asked: TypeAlias = Callable[[Mapping[str, Any]], str]


def load_kernel(
    call: Call,
    types: Mapping[str, Type],
    files: Mapping[str, Path],
    *,
    threads: int,
    user: Path | None = None,
) -> Kernel | None:
    """The kernel of a call with its arguments bound; None for calls that have none (they forward or delete).

    ``files`` are the paths of file attributes by name, ``user`` the folder of user modules.
    """
    op = call.op
    if not op.kernel or op.has(Trait.FORWARDS):
        return None
    module, _, name = op.kernel.partition(":")
    path = module if "." in module else f"tpgen_runtime.{module}"
    function: Kernel = getattr(importlib.import_module(path), name)
    arguments = op.kernel_arguments(types)
    for attribute in attributes_of(type(op)):
        paths = [str(files[slot]) for slot in op.files(attribute.name) if slot in files]
        if attribute.declared.file and paths:
            arguments[attribute.name] = paths[0] if len(paths) == 1 else paths
    if not op.has(Trait.STATEFUL):
        return lambda *values: function(*values, **arguments)
    if op.has(Trait.THREADED):
        arguments["threads"] = threads
    if op.has(Trait.USER_CODE):
        arguments["directory"] = str(user)
    loaded: Kernel = function(**arguments)
    return loaded


def read_labels(path: Path) -> list[str]:
    """The lines of a file of labels, as kernels read them.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    found: list[str] = importlib.import_module("tpgen_runtime.text").read_labels(path)
    return found


def undecodable(call: Call, data: bytes) -> str | None:
    """Why an operator that decodes images cannot decode these bytes, if it can't."""
    kernel = load_kernel(call, {}, {}, threads=1)
    errors = importlib.import_module("tpgen_runtime.errors")
    try:
        if kernel is not None:
            kernel(data)
    except errors.ItemError as problem:
        return str(problem)
    return None


def looking(
    kernel: Kernel | None, takes: Sequence[Any], gives: Sequence[Any], *, batched: bool
) -> Kernel | None:
    """A kernel that turns the images which it reads and tags those which it writes.

    See `tpgen_runtime.looks.around`.
    """
    if kernel is None or not any((*takes, *gives)):
        return kernel
    around = importlib.import_module("tpgen_runtime.looks").around
    if batched:
        together: Kernel = around(kernel, takes, gives)
        return together
    several = len(gives) > 1

    def as_lists(*columns: Any) -> Any:
        found = kernel(*(column[0] for column in columns))
        if not several:
            return [found]
        return tuple([value] for value in (found if found is not None else (None,) * len(gives)))

    def alone(*values: Any) -> Any:
        found = around(as_lists, takes, gives)(*([value] for value in values))
        return tuple(column[0] for column in found) if several else found[0]

    return alone


def tagged(value: Any, look: tuple[str | None, str | None]) -> Any:
    """An image that says its layout and colour order."""
    return importlib.import_module("tpgen_runtime.looks").tagged(value, *look)


def answered(value: Any, type_: Type) -> Any:
    """A value as clients get it: one layout for all images of a key."""
    inner = type_
    while isinstance(inner, ListOf):
        inner = inner.item
    if not isinstance(inner, Array) or not inner.is_image:
        return value
    return importlib.import_module("tpgen_runtime.looks").laid_out(value, inner.layout.value)


def tag_of(value: Any) -> Any:
    """What an image says of itself, as text: ``CHW rgb``; of a list, a list."""
    return importlib.import_module("tpgen_runtime.looks").tag_of(value)


def broken(message: str) -> str:
    """The message about an error that is being handled; its ``place`` is where in user code that arose."""
    made: str = importlib.import_module("tpgen_runtime.errors").Broken(message)
    return made


def load_verdict(verdict: Verdict | None, user: Path | None) -> Asked | None:
    """The function of a user's filter, called with an item's values; None for other filters."""
    if not isinstance(verdict, UserStatus):
        return None
    asked: Asked = importlib.import_module("tpgen_runtime.user_filter").UserFilter(
        directory=str(user),
        module=verdict.module,
        name=verdict.function,
        parameters=dict(verdict.settings),
        reads=verdict.reads,
        optional=verdict.optional,
    )
    return asked
