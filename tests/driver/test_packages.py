"""What user code imports and requirements.txt does not bring is noted, with the line of the import."""

from __future__ import annotations

from pathlib import Path

from tpgen.driver import BuildOptions, build

TOML = '[a]\nbackend = "Python[ops:double]"\n'
HEAD = '''"""Mine."""
import json, os.path
import numpy as np
from tpgen_runtime import Tensor, op
import triton_python_backend_utils
'''
BODY = """
@op(inputs={"data": Tensor("float32", [2])}, outputs={"result": Tensor("float32", [2])})
def double(data):
    return data + data
"""


def noted(folder: Path, source: str) -> list[tuple[str, str, int]]:
    (folder / "p.toml").write_text(TOML)
    (folder / "ops.py").write_text(HEAD + source + BODY)
    found = build(folder / "p.toml", folder / "models", BuildOptions(cores=1)).diagnostics
    assert {(d.code, d.severity.value) for d in found} <= {("TP904", "note")}
    places = []
    for diagnostic in found:
        assert diagnostic.span is not None and diagnostic.hint is not None
        name = diagnostic.message.split("'")[1]
        places.append((name, Path(diagnostic.span.file.path).name, diagnostic.span.line))
    return places


def test_what_the_repository_brings_is_not_noted(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("VALUE = 1\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").write_text("from . import part\n")
    (tmp_path / "deep" / "part.py").write_text("")
    assert noted(tmp_path, "import mine\nfrom deep.part import *\n") == []


def test_packages_are_named_once_at_their_first_import(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import shapely\nfrom skimage.filters import sobel\n")
    source = "import mine\ndef late():\n    import shapely.geometry\n    import PIL.Image\n"
    assert sorted(noted(tmp_path, source)) == [
        ("PIL", "ops.py", 9),
        ("shapely", "mine.py", 1),
        ("skimage", "mine.py", 2),
    ]


def test_the_package_of_a_known_module_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TOML)
    (tmp_path / "ops.py").write_text(HEAD + "import cv2\n" + BODY)
    (found,) = build(tmp_path / "p.toml", tmp_path / "models", BuildOptions(cores=1)).diagnostics
    assert found.hint is not None and 'pip install "opencv-python-headless' in found.hint
    assert "opencv" not in (tmp_path / "models" / "requirements.txt").read_text()


def test_what_code_can_do_without_is_left_alone(tmp_path: Path) -> None:
    source = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import shapely\n"
        "try:\n    import numba\nexcept ImportError:\n    numba = None\n"
        "try:\n    import yaml\nexcept ValueError:\n    import toml\n"
    )
    assert sorted(name for name, _, _ in noted(tmp_path, source)) == ["toml", "yaml"]
