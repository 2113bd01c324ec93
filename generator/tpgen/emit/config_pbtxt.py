"""Model configurations as text: the official ModelConfig protobuf, printed so that Triton reads it back.

The protobuf comes with tritonclient and is imported on first use.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from ..diagnostics import ToolMissing

ModelConfig: TypeAlias = Any  # tritonclient.grpc.model_config_pb2.ModelConfig, which has no type information


class ConfigSyntaxError(ValueError):
    """The text is not a ModelConfig; `line` and `column` count from 1 and may be None."""

    def __init__(self, message: str, line: int | None, column: int | None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@cache
def messages() -> Any:
    """The module with ModelConfig and its parts. ToolMissing without tritonclient.

    It is loaded by its file: the package around it imports gRPC, which takes longer than most checks.
    """
    package = importlib.util.find_spec("tritonclient")
    folders = (package.submodule_search_locations if package else None) or ()
    files = (Path(folder) / "grpc" / "model_config_pb2.py" for folder in folders)
    try:
        spec = importlib.util.spec_from_file_location("_model_config_pb2", next(filter(Path.is_file, files)))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (StopIteration, ImportError) as error:
        raise ToolMissing(
            "model configurations need tritonclient with its gRPC part", "pip install 'tritonclient[grpc]'"
        ) from error
    return module


def render(config: ModelConfig, header: str = "") -> str:
    """The text of config.pbtxt: fields in the order of their declaration, lists of numbers on one line.

    Each line of `header` becomes a comment at the top.
    """
    from google.protobuf import text_format

    shown = type(config)()
    shown.CopyFrom(config)
    # A printed message leaves out what has its default value. An explicit 0 is not the same as no value to
    # all of Triton's backends (DALI), so a placeholder is printed and then put right.
    unbatched = shown.max_batch_size == 0
    if unbatched:
        shown.max_batch_size = 1
    body: str = text_format.MessageToString(
        shown, as_utf8=True, use_index_order=True, use_short_repeated_primitives=True
    )
    if unbatched:
        body = re.sub(r"^max_batch_size: 1$", "max_batch_size: 0", body, count=1, flags=re.MULTILINE)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comment + body


def parse(text: str) -> ModelConfig:
    """The configuration that a text describes. ConfigSyntaxError with the place if it isn't one."""
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, messages().ModelConfig())
    except text_format.ParseError as error:
        message = re.sub(r"^\d+:\d+ : ", "", str(error))
        raise ConfigSyntaxError(message, error.GetLine(), error.GetColumn()) from error
