"""The examples in model_repos/, as tests use them: the paths, the small models, sample inputs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "model_repos"
NAMES = (
    *("digits", "early_exit", "fallback", "hello", "legacy_python", "logical", "python_node", "resnet50"),
    *("detect_classify", "ocr", "two_heads", "two_inputs"),
)


def script(example: str, name: str) -> ModuleType:
    """A Python file of an example as a module."""
    path = EXAMPLES / example / f"{name}.py"
    unique = f"example_{example}_{name}"
    if unique not in sys.modules:
        spec = importlib.util.spec_from_file_location(unique, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(path.parent))
    return sys.modules[unique]


def pipeline(example: str) -> Path:
    """The TOML of an example."""
    return EXAMPLES / example / "pipeline.toml"


def small_resnet(folder: Path) -> Path:
    """The small network that stands in for ResNet-50 in tests: same interface, made in seconds."""
    path = folder / "resnet50.onnx"
    if not path.exists():
        script("resnet50", "make_model").build(path, variant="small")
    return path


def photo(seed: int, width: int = 640, height: int = 444) -> bytes:
    """A synthetic JPEG."""
    data: bytes = script("resnet50", "images").synthetic_jpeg(seed, width, height)
    return data
