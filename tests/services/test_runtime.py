"""Finding the tools, and environments that are made once and shared."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tpgen.diagnostics import ToolMissing
from tpgen.services import runtime
from tpgen.services.cache import cache_root
from tpgen.services.isolation import isolated_environment
from tpgen.services.runtime import find_perf_analyzer, find_tritonserver, server_runtime

# A package that is small, pure and has no requirements of its own.
REQUIREMENTS = "# one package\niniconfig\n"

_PREPARE = """
import sys
from tpgen.services.runtime import server_runtime
print(server_runtime().backend_directory)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tpgen"


def program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_named_server_wins_over_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path, named = program(tmp_path / "bin", "tritonserver"), program(tmp_path, "mine")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_tritonserver() == on_path
    assert find_tritonserver(named) == named


def test_another_server_keeps_its_own_backends_and_environment(tmp_path: Path) -> None:
    found = server_runtime(program(tmp_path / "opt" / "bin", "tritonserver"))
    assert found.backend_directory is None
    assert found.environment == dict(os.environ)
    (tmp_path / "opt" / "backends").mkdir()
    assert server_runtime(found.program).backend_directory == tmp_path / "opt" / "backends"


@pytest.mark.triton
def test_an_isolated_environment_must_fit_another_servers_stub(tmp_path: Path) -> None:
    server = program(tmp_path / "opt" / "bin", "tritonserver")
    stub = program(tmp_path / "opt" / "backends" / "python", "triton_python_backend_stub")
    environment = isolated_environment("")
    stub.write_bytes(b"\x7fELF\0libpython3.8.so.1.0\0")
    with pytest.raises(ToolMissing, match=r"built for Python 3\.8"):
        server_runtime(server, environment)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stub.write_bytes(b"\x7fELF\0libpython" + here.encode() + b".so.1.0\0")
    found = server_runtime(server, environment)
    assert found.environment["PATH"].startswith(f"{environment}/bin:")
    assert "PYTHONPATH" not in found.environment


def test_what_is_missing_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/no/such/folder/python3")
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda _name: None)
    for find in (find_tritonserver, find_perf_analyzer):
        with pytest.raises(ToolMissing) as caught:
            find()
        assert caught.value.command == "pip install 'tpgen[serve]'"
    for find in (find_tritonserver, find_perf_analyzer):
        with pytest.raises(ToolMissing, match="'/no/such/tool'"):
            find("/no/such/tool")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ToolMissing, match="Linux x86_64") as caught:
        find_tritonserver()
    assert "tpgen serve --docker" in caught.value.message


@pytest.mark.triton
def test_a_python_without_shared_library_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_LIBRARY_FOLDERS", ())
    monkeypatch.setattr(runtime.sysconfig, "get_config_var", lambda _name: "/nowhere")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(
        runtime.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "apt-get" else None
    )
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    with pytest.raises(ToolMissing) as caught:
        server_runtime()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"libpython{version}.so.1.0" in caught.value.message
    assert caught.value.command == f"apt-get install libpython{version}"


@pytest.mark.triton
def test_the_backend_folder_is_made_once_by_whoever_comes_first(own_cache: Path) -> None:
    commands = [[sys.executable, "-c", _PREPARE]] * 4
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda c: subprocess.run(c, capture_output=True, text=True, check=True), commands)
        )
    (folder,) = {answer.stdout.strip() for answer in answers}
    made = [path for path in own_cache.iterdir() if path.is_dir()]
    assert made == [Path(folder).parent], "no half-made folder is left"
    assert (Path(folder) / "python" / "triton_python_backend_stub").exists()


@pytest.mark.triton
def test_a_backend_folder_with_a_broken_link_is_made_again() -> None:
    folder = server_runtime().backend_directory
    assert folder is not None
    stub = folder / "python" / "triton_python_backend_stub"
    stub.unlink()
    stub.symlink_to("/no/such/stub")
    assert server_runtime().backend_directory == folder
    assert stub.exists()


@pytest.mark.triton
def test_perf_analyzer_runs_with_the_libraries_that_it_is_given() -> None:
    tool = find_perf_analyzer()
    command = [tool.program, "--version"]
    done = subprocess.run(command, env=tool.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Perf Analyzer Version" in done.stderr) == (0, True)


def test_an_isolated_environment_holds_its_requirements_and_no_tpgen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    folder = isolated_environment(REQUIREMENTS)
    assert folder.is_relative_to(cache_root())
    python = [str(folder / "bin" / "python3"), "-I", "-c"]
    subprocess.run([*python, "import iniconfig"], check=True)
    for package in ("tpgen", "tpgen_runtime", "numpy"):
        done = subprocess.run([*python, f"import {package}"], capture_output=True, text=True, check=False)
        assert f"No module named '{package}'" in done.stderr
    mark = (folder / "tpgen-complete").stat()
    assert isolated_environment("iniconfig  \n\n# the same\n") == folder
    assert (folder / "tpgen-complete").stat() == mark, "made again"
    assert isolated_environment("") != folder


def test_a_half_made_environment_is_made_again() -> None:
    folder = isolated_environment(REQUIREMENTS)
    (folder / "tpgen-complete").unlink()
    (folder / "rubbish").touch()
    assert isolated_environment(REQUIREMENTS) == folder
    assert not (folder / "rubbish").exists()


def test_a_package_that_cannot_be_installed_is_named_and_leaves_no_environment(tmp_path: Path) -> None:
    wanted = f"{tmp_path}/no_such_package-1.0-py3-none-any.whl\n"
    for _ in range(2):
        with pytest.raises(ToolMissing, match="no_such_package") as caught:
            isolated_environment(wanted)
        assert caught.value.command == "python -m pip install -r requirements.txt"


def test_a_cache_that_the_server_could_not_name_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "my cache"))
    monkeypatch.setattr(runtime.tempfile, "tempdir", str(tmp_path))
    root = cache_root()
    assert " " not in str(root)
    assert root.parent == tmp_path
    assert root.stat().st_mode & 0o777 == 0o700
