"""Where the files of a compiled pipeline's kernels lie, for whoever runs them in this process."""

from __future__ import annotations

from pathlib import Path

from ..ir.op import attributes_of
from .compile import Compiled


def kernel_files(compiled: Compiled) -> dict[str, dict[str, Path]]:
    """The files of each call of the reference graph, by attribute."""
    files: dict[str, dict[str, Path]] = {}
    for _, call in compiled.reference.calls():
        paths = {
            attribute.name: compiled.base / value
            for attribute in attributes_of(type(call.op))
            if attribute.declared.file and (value := getattr(call.op, attribute.name))
        }
        slots = call.op.files("model")
        paths.update(
            {slot: file.path for slot, file in zip(slots, compiled.models.get(call.label, ()), strict=False)}
        )
        files[call.label] = paths
    return files
