"""Rules about Python models that fail some requests: what a cache, or a warm-up sample, makes of that."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...diagnostics import Diagnostic
from . import backends
from .model import Model
from .python_code import version_texts
from .warmup import sample_inputs


def failures_are_not_cached(model: Model) -> Iterator[Diagnostic]:
    """TP844: the cache keeps a request that failed as an answer without outputs, which tells of no error."""
    if not model.config.response_cache.enable or not _fails_some(model):
        return
    message = (
        f"a request that fails in '{model.name}' is cached: the next one like it succeeds, without outputs"
    )
    hint = "leave response_cache out, or let the model answer every request with its outputs"
    yield model.warning("TP844", message, "response_cache", "enable", hint=hint)


def samples_are_answered(model: Model) -> Iterator[Diagnostic]:
    """TP924: the server refuses a model that answers a warm-up sample with an error, or dies of it."""
    made_up = [
        (path, name, value)
        for path, name, value in sample_inputs(model)
        if value.WhichOneof("input_data_type") in ("zero_data", "random_data")
        and model.named(model.config.input, name) is not None
    ]
    if made_up and _fails_some(model):
        path, name, value = made_up[0]
        what = "zeros" if value.zero_data else "noise"
        message = (
            f"'{model.name}' fails some of its requests: if it fails the warm-up sample, {what} at '{name}', "
            "the server refuses the model or dies"
        )
        hint = "use input_data_file with data that it can't fail on, or warm up in initialize"
        field = "zero_data" if value.zero_data else "random_data"
        yield model.warning("TP924", message, *path, field, hint=hint)


def _fails_some(model: Model) -> bool:
    """True if the code of a Python model raises, or answers errors; what it calls may fail in any case."""
    if model.backend != backends.PYTHON:
        return False
    for text in (text for version in model.loaded for text in version_texts(model, version)):
        try:
            nodes = list(ast.walk(ast.parse(text)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if any(isinstance(node, ast.Raise) or _names_an_error(node) for node in nodes):
            return True
    return False


def _names_an_error(node: ast.AST) -> bool:
    return "TritonError" in (getattr(node, "attr", ""), getattr(node, "id", ""), getattr(node, "name", ""))
