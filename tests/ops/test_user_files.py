"""Which files beside a user's module go into the repository with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpgen.diagnostics import Bag, PipelineError
from tpgen.frontend.user_files import find_module, included_files, vendored_files


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/', 1)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(folder: Path, files: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files]


def test_vendored_files_follow_imports(tmp_path: Path) -> None:
    write(
        tmp_path,
        ops="import json, numpy, helper\ndef f(data):\n    from late import x\n    import package.sub\n",
        helper="from other import y\nimport helper\n",
        other="if True:\n    import plain.inner as z\n",
        late="x = 1\n",
        unused="1/0\n",
        package____init__="",
        package__sub="from . import near\n",
        package__near="",
        plain__inner="",
        plain__unused="",
    )
    (tmp_path / "package" / "table.json").write_text("{}")
    (tmp_path / "package" / "__pycache__").mkdir()
    (tmp_path / "package" / "__pycache__" / "sub.pyc").write_text("")
    (tmp_path / "late.cpython-311-x86_64-linux-gnu.so").write_text("")
    found = names(tmp_path, vendored_files(tmp_path / "ops.py"))
    assert found == [
        "helper.py",
        "late.py",
        "ops.py",
        "other.py",
        "package/__init__.py",
        "package/near.py",
        "package/sub.py",
        "package/table.json",
        "plain/inner.py",
    ]


def test_vendored_files_follow_imports_by_a_call(tmp_path: Path) -> None:
    text = "import importlib\nimportlib.import_module('a')\n__import__('b')\n"
    text += (
        "from importlib import import_module\nimport_module('c.d')\nimport_module(name)\nimport_module()\n"
    )
    write(tmp_path, ops=text, a="", b="", c__d="", name="")
    found = names(tmp_path, vendored_files(tmp_path / "ops.py"))
    assert found == ["a.py", "b.py", "c/d.py", "ops.py"]


def test_vendored_files_include_what_is_named(tmp_path: Path) -> None:
    write(tmp_path, ops="", data__a="")
    (tmp_path / "notes.txt").write_text("x")
    found = vendored_files(tmp_path / "ops.py", included_files(tmp_path, ["data", "notes.txt"], None, Bag()))
    assert names(tmp_path, found) == ["data/a.py", "notes.txt", "ops.py"]


def test_vendored_modules_of_a_package(tmp_path: Path) -> None:
    write(tmp_path, pkg____init__="import beside\n", pkg__ops="def f(data): pass\n", beside="")
    path = find_module(tmp_path, "pkg.ops")
    assert path is not None
    found = names(tmp_path, vendored_files(path, base=tmp_path))
    assert found == ["beside.py", "pkg/__init__.py", "pkg/ops.py"]


def test_extension_modules_are_vendored(tmp_path: Path) -> None:
    write(tmp_path, ops="import fast\n")
    (tmp_path / "fast.cpython-311-x86_64-linux-gnu.so").write_text("")
    assert len(vendored_files(tmp_path / "ops.py")) == 2


def test_siblings_with_taken_names_are_refused_where_they_are_imported(tmp_path: Path) -> None:
    write(tmp_path, ops="import os\n\nimport random\n", random="", types="")
    with pytest.raises(PipelineError) as caught:
        vendored_files(tmp_path / "ops.py")
    assert [(d.code, d.span and d.span.line) for d in caught.value.diagnostics] == [("TP507", 3)]


def test_a_broken_sibling_is_located(tmp_path: Path) -> None:
    write(tmp_path, ops="import helper\n", helper="def (:\n")
    with pytest.raises(PipelineError) as caught:
        vendored_files(tmp_path / "ops.py")
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert (Path(span.file.path).name, span.line) == ("helper.py", 1)
