"""What Triton knows of its backends before it loads one: platforms, model files, what they complete."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..config_pbtxt import ModelConfig

# The server starts a Python model's process through a shell line in which its path is not quoted.
BREAKS_SHELL = re.compile(r"""[\s'"`;&$|<>\\()]""")
ENSEMBLE = "ensemble"
PYTHON = "python"
ONNX = "onnxruntime"
TENSORRT = "tensorrt"
DALI = "dali"

# Backends that check their platform, with the platforms that they take.
PLATFORMS: Mapping[str, frozenset[str]] = {
    ONNX: frozenset({"onnxruntime_onnx"}),
    TENSORRT: frozenset({"tensorrt_plan"}),
    "tensorflow": frozenset({"tensorflow_graphdef", "tensorflow_savedmodel"}),
    # The first is that of 24.10; the others came later.
    "pytorch": frozenset({"pytorch_libtorch", "libtorch", "torch_aoti"}),
}
BACKEND_OF_PLATFORM: Mapping[str, str] = {
    platform: backend for backend, platforms in PLATFORMS.items() for platform in platforms
}
# The file that a backend loads unless default_model_filename names another.
MODEL_FILES: Mapping[str, str] = {
    TENSORRT: "model.plan",
    ONNX: "model.onnx",
    "openvino": "model.xml",
    "pytorch": "model.pt",
    PYTHON: "model.py",
}
_TENSORFLOW_FILES: Mapping[str, str] = {
    "model.savedmodel": "tensorflow_savedmodel",
    "model.graphdef": "tensorflow_graphdef",
}
# Backends that come with releases of the server, or from its makers.
KNOWN = frozenset(
    {
        *PLATFORMS,
        *MODEL_FILES,
        DALI,
        "fil",
        "vllm",
        "tensorrtllm",
        "identity",
        "repeat",
        "square",
        "dyna_sequence",
    }
)
# Backends that read inputs and outputs from the model where the configuration leaves them out.
COMPLETING = frozenset({ONNX, TENSORRT, "tensorflow", "openvino", DALI, "fil", "vllm", "tensorrtllm"})


def effective(config: ModelConfig, files: frozenset[str], directory: str) -> str:
    """The backend that the server chooses for a configuration; empty if it finds none.

    Args:
        config: the configuration, perhaps empty.
        files: what lies in the model's first version directory.
        directory: the name of the model's directory: without any other sign, `model.foo` is for backend foo.
    """
    if config.backend or config.platform == ENSEMBLE:
        return str(config.backend)
    if config.platform:
        return BACKEND_OF_PLATFORM.get(config.platform, "")
    named = config.default_model_filename
    for backend, file in MODEL_FILES.items():
        if file == named or (not named and file in files):
            return backend
    if named in _TENSORFLOW_FILES or (not named and files & _TENSORFLOW_FILES.keys()):
        return "tensorflow"
    suffix = directory.partition(".")[2]
    return suffix if suffix in KNOWN else ""


def model_file(backend: str, config: ModelConfig) -> str | None:
    """The file that the backend will look for in a version directory; None if that is not known."""
    if backend not in MODEL_FILES and backend != "tensorflow":
        return None
    if backend == "pytorch" and (config.runtime or "libtorch" not in config.platform):
        return None  # it takes files of several names
    if config.default_model_filename:
        return str(config.default_model_filename)
    if backend == "tensorflow":
        platform = config.platform
        return next((file for file, known in _TENSORFLOW_FILES.items() if known == platform), None)
    return MODEL_FILES.get(backend)
