"""User modules of several directories in one process: equal names never meet."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tpgen_runtime.errors import ItemError
from tpgen_runtime.user_modules import PREFIX, UserModules, modules_of


def write(folder: Path, **files: str) -> Path:
    """Write modules; ``pkg__mod`` is ``pkg/mod.py``."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def load(folder: Path, name: str) -> Any:
    return modules_of(folder).load(name)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two directories with modules of the same names."""

    def one(name: str) -> Path:
        return write(
            tmp_path / name,
            ops="import helper\ndef now():\n    return helper.NAME\n"
            "def later():\n    import lazy\n    return lazy.NAME\n"
            "def inside():\n    from package.deep import NAME\n    return NAME\n",
            helper=f"NAME = {name!r}\n",
            lazy="import helper\nNAME = 'lazy ' + helper.NAME\n",
            package____init__="",
            package__deep="from . import near\nfrom helper import NAME as top\nNAME = near.NAME + top\n",
            package__near=f"NAME = 'near {name} '\n",
        )

    return one("one"), one("two")


def test_equal_names_never_mix(two: tuple[Path, Path]) -> None:
    one, other = load(two[0], "ops"), load(two[1], "ops")
    assert (one.now(), other.now()) == ("one", "two")
    assert (other.later(), one.later()) == ("lazy two", "lazy one"), "imported inside the functions, and late"
    assert (one.inside(), other.inside()) == ("near one one", "near two two")


@pytest.mark.parametrize(
    "how",
    [
        "import importlib\nhelper = importlib.import_module('helper')\n",
        "from importlib import import_module\nhelper = import_module(name='helper')\n",
        "import importlib.util as u\nimport importlib\nhelper = importlib.import_module('helper')\n",
        "helper = __import__('helper')\n",
    ],
)
def test_imports_by_a_call_mean_the_same_module(two: tuple[Path, Path], how: str) -> None:
    for folder, name in zip(two, ("one", "two"), strict=True):
        write(folder, by_call=f"{how}import helper as plain\nassert helper is plain\nNAME = helper.NAME\n")
        assert name == load(folder, "by_call").NAME
    text = "import importlib.util\nimport json\nassert importlib.import_module('json') is json\n"
    load(write(two[0], others=text + "assert importlib.util.find_spec('json')\n"), "others")


def test_nothing_leaks_into_the_process(two: tuple[Path, Path]) -> None:
    before, path = set(sys.modules), list(sys.path)
    load(two[0], "ops").later()
    added = {name for name in set(sys.modules) - before if not name.startswith(PREFIX)}
    assert not added
    assert sys.path == path
    assert not list(two[0].rglob("__pycache__")), (
        "a served directory may be read-only, and is listed in a manifest"
    )


def test_many_threads_see_their_own(two: tuple[Path, Path]) -> None:
    wrong: list[str] = []

    def work(folder: Path, expected: str) -> None:
        for _ in range(20):
            module = UserModules(str(folder)).load("ops")
            found = module.later()
            if found != expected:
                wrong.append(found)

    threads = [
        threading.Thread(target=work, args=(two[i % 2], ("lazy one", "lazy two")[i % 2])) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_directory_is_loaded_once(two: tuple[Path, Path]) -> None:
    assert load(two[0], "ops") is load(two[0], "ops")
    assert load(two[0], "helper") is load(two[0], "ops").helper


def test_a_changed_file_is_loaded_anew(two: tuple[Path, Path]) -> None:
    old = load(two[0], "ops")
    write(two[0], helper="NAME = 'changed'\n")
    assert load(two[0], "ops").now() == "changed"
    assert old.now() == "one"


def test_the_runtime_is_shared(tmp_path: Path) -> None:
    """An ItemError of user code must be the one that stages catch, even if a file of its name lies around."""
    write(tmp_path, ops="from tpgen_runtime import ItemError\nimport tpgen_runtime.errors as errors\n")
    module = load(tmp_path, "ops")
    assert module.ItemError is ItemError
    assert module.errors.ItemError is ItemError


def test_installed_and_standard_modules_stay_the_same(tmp_path: Path) -> None:
    write(
        tmp_path, ops="import json, numpy.linalg, os.path as p\nfrom collections import abc\n", json="1/0\n"
    )
    module = load(tmp_path, "ops")
    assert module.json is sys.modules["json"], "the standard library wins over a file beside the module"
    assert module.numpy is sys.modules["numpy"]
    assert module.p is os.path


def test_a_folder_without_init_gives_way_to_an_installed_package(tmp_path: Path) -> None:
    (tmp_path / "numpy").mkdir()
    write(tmp_path, ops="import numpy\nimport data.part as part\n", data__part="NAME = 1\n")
    module = load(tmp_path, "ops")
    assert module.numpy is sys.modules["numpy"]
    assert module.part.NAME == 1


def test_circular_imports_work(tmp_path: Path) -> None:
    write(
        tmp_path, a="import b\ndef f():\n    return b.g()\n", b="import a\ndef g():\n    return a.__doc__\n"
    )
    assert load(tmp_path, "a").f() is None


def test_missing_modules_have_the_users_names(tmp_path: Path) -> None:
    write(tmp_path, ops="import package.nothing\n", package____init__="")
    with pytest.raises(ModuleNotFoundError, match=r"'package\.nothing'") as caught:
        load(tmp_path, "ops")
    assert PREFIX not in str(caught.value)
    with pytest.raises(ModuleNotFoundError, match="'absent'"):
        load(tmp_path, "absent")


def test_errors_of_the_module_pass_through(tmp_path: Path) -> None:
    write(tmp_path, ops="raise ValueError('no licence')\n")
    with pytest.raises(ValueError, match="no licence"):
        load(tmp_path, "ops")


def test_classes_survive_pickling(tmp_path: Path) -> None:
    code = "import pickle\nclass Box:\n    pass\ndef copy():\n    return pickle.loads(pickle.dumps(Box()))\n"
    module = load(write(tmp_path, ops=code), "ops")
    assert isinstance(module.copy(), module.Box)
