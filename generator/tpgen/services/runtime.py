"""Finds a tritonserver and perf_analyzer and makes what they need to run: libraries, backends, environment.

The server of the ``nvidia-pytriton`` wheel is complete but expects to be unpacked into a container: its
Python backend looks for a stub built for one version of Python, and both want shared libraries on their path.
A small folder of links in the user's cache gives them that.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import ToolMissing
from .cache import cache_root, locked
from .isolation import isolated_environment

__all__ = ["Runtime", "find_perf_analyzer", "find_tritonserver", "isolated_environment", "server_runtime"]

_INSTALL = "pip install 'tpgen[serve]'"
_CONTAINER = "'tpgen serve --docker' runs it in a container"
_OLDEST_GLIBC = (2, 35)  # of the wheel
_LIBRARIES = "nvidia_pytriton.libs"  # beside the package, made when the wheel was
_STUB = "triton_python_backend_stub"
_LIBRARY_FOLDERS = ("/usr/lib", "/usr/local/lib", "/usr/lib64", "/lib64", "/usr/lib/x86_64-linux-gnu")


@dataclass(frozen=True)
class Runtime:
    """How to run a tool: the program, Triton's backend folder (None: its own) and its environment."""

    program: Path
    backend_directory: Path | None
    environment: dict[str, str]


@dataclass(frozen=True)
class _Python:
    """What there is to know of an interpreter whose packages the server's Python models use."""

    version: str  # "3.11"
    prefix: str
    base_prefix: str
    library_folder: str


def find_tritonserver(named: str | os.PathLike[str] | None = None) -> Path:
    """The tritonserver to run: the one named, else one on the PATH, else the one of nvidia-pytriton.

    Raises:
        ToolMissing: the named one cannot be run, or there is none.
    """
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise ToolMissing(f"the tritonserver '{os.fspath(named)}' is not a program that can be run")
        return Path(found).absolute()
    on_path = shutil.which("tritonserver")
    if on_path:
        return Path(on_path).absolute()
    wheel = _wheel()
    if wheel is not None and (wheel / "tritonserver" / "bin" / "tritonserver").is_file():
        return wheel / "tritonserver" / "bin" / "tritonserver"
    raise ToolMissing(_no_server(), _INSTALL if _wheel_fits() else None)


def server_runtime(
    tritonserver: str | os.PathLike[str] | None = None, environment: Path | None = None
) -> Runtime:
    """Makes a tritonserver ready to run.

    Args:
        tritonserver: see `find_tritonserver`.
        environment: a virtual environment whose packages the server's Python models use; by default the
            running one for the wheel's server, and the server's own for any other.

    Raises:
        ToolMissing: no server, no stub for this Python, or no shared libpython; with what installs it.
    """
    program = find_tritonserver(tritonserver)
    home = program.resolve().parent.parent
    variables = _server_variables(environment)
    if not (home / "python_backend_stubs").is_dir():
        backends = home / "backends"
        if environment is not None:
            _check_stub_version(backends / "python" / _STUB, _inspect(environment))
        return Runtime(program, backends if backends.is_dir() else None, variables)
    python = _inspect(environment)
    folder = _linked_folder("tritonserver", _wheel_links(home, python))
    libraries = home.parent.parent / _LIBRARIES
    if environment is None:
        # The stub takes the packages of the first python3 on the PATH, and a venv need not be activated.
        _put_first(variables, "PATH", str(Path(python.prefix) / "bin"))
    _put_first(variables, "LD_LIBRARY_PATH", f"{libraries}:{folder / 'lib'}")
    return Runtime(program, folder / "backends", variables)


def find_perf_analyzer(named: str | os.PathLike[str] | None = None) -> Runtime:
    """The perf_analyzer to run: the one named, else one on the PATH, else the one beside this Python.

    Raises:
        ToolMissing: there is none.
    """
    beside = Path(sys.executable).parent / "perf_analyzer"
    found = (
        shutil.which(named) if named is not None else shutil.which("perf_analyzer") or shutil.which(beside)
    )
    if found is None:
        what = "perf_analyzer is not installed" if named is None else f"'{os.fspath(named)}' is not a program"
        raise ToolMissing(f"{what}; tritonclient 2.51 carries it, later versions do not", _INSTALL)
    variables = dict(os.environ)
    wheel = _wheel()
    if wheel is not None:
        links = {f"lib/{name}": path for name, path in _renamed_libraries(wheel.parent / _LIBRARIES)}
        _put_first(variables, "LD_LIBRARY_PATH", str(_linked_folder("perf_analyzer", links) / "lib"))
    return Runtime(Path(found).absolute(), None, variables)


def _renamed_libraries(folder: Path) -> Iterator[tuple[str, Path]]:
    """The libraries that perf_analyzer wants, which the wheel holds with a hash in their names."""
    for stem, version in (("libb64", "0d"), ("libcudart", "12")):
        for path in sorted(folder.glob(f"{stem}-*.so.{version}*"))[:1]:
            yield f"{stem}.so.{version}", path


def _wheel() -> Path | None:
    """The folder of the pytriton package, found without importing it."""
    spec = importlib.util.find_spec("pytriton")
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _wheel_fits() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64" and _glibc() >= _OLDEST_GLIBC


def _glibc() -> tuple[int, ...]:
    """The version of the C library; of another one than glibc, nothing."""
    name, version = platform.libc_ver()
    return _version_key(version)[:2] if name == "glibc" else ()


def _no_server() -> str:
    if _wheel_fits():
        missing = "none on the PATH, and the one of nvidia-pytriton is not installed"
        return f"no tritonserver: {missing}; {_CONTAINER}"
    here = f"{platform.system()} {platform.machine()}"
    if sys.platform == "linux":
        here += f" with {' '.join(platform.libc_ver()).strip() or 'this C library'}"
    return (
        f"no tritonserver on the PATH, and the packaged one does not run on {here}: it is for Linux x86_64 "
        f"with glibc {'.'.join(map(str, _OLDEST_GLIBC))} or later; {_CONTAINER}"
    )


def _server_variables(environment: Path | None) -> dict[str, str]:
    variables = dict(os.environ)
    if environment is not None:
        # A wheel's stub ignores these itself; another server's need not.
        for name in ("PYTHONPATH", "PYTHONHOME"):
            variables.pop(name, None)
        variables["PYTHONNOUSERSITE"] = "1"
        variables["VIRTUAL_ENV"] = str(environment)
        _put_first(variables, "PATH", str(environment / "bin"))
    return variables


def _put_first(variables: dict[str, str], name: str, value: str) -> None:
    rest = variables.get(name)
    variables[name] = f"{value}:{rest}" if rest else value


def _inspect(environment: Path | None) -> _Python:
    """Describes the running Python, or that of a virtual environment."""
    if environment is None:
        return _Python(
            f"{sys.version_info[0]}.{sys.version_info[1]}",
            sys.prefix,
            sys.base_prefix,
            sysconfig.get_config_var("LIBDIR") or "",
        )
    script = (
        "import json, sys, sysconfig as s; print(json.dumps(['%d.%d' % sys.version_info[:2], "
        "sys.prefix, sys.base_prefix, s.get_config_var('LIBDIR') or '']))"
    )
    command = [str(environment / "bin" / "python3"), "-I", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolMissing(f"the Python of '{environment}' does not run: {done.stderr.strip()}")
    return _Python(*json.loads(done.stdout))


def _wheel_links(home: Path, python: _Python) -> dict[str, Path]:
    """What the Python backend of the wheel needs, as links: path in the folder -> the file."""
    stub = home / "python_backend_stubs" / python.version / _STUB
    if not stub.is_file():
        known = ", ".join(sorted((p.name for p in stub.parent.parent.iterdir()), key=_version_key))
        raise ToolMissing(
            f"the Python backend of {home} has no stub for Python {python.version}; it has them for {known}"
        )
    backend = home / "backends" / "python"
    links = {f"backends/python/{name}": backend / name for name in os.listdir(backend) if "__" not in name}
    links[f"backends/python/{_STUB}"] = stub
    library = _find_libpython(python)
    links[f"lib/{_needed_library(python)}"] = library
    return links


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _needed_library(python: _Python) -> str:
    return f"libpython{python.version}.so.1.0"


def _find_libpython(python: _Python) -> Path:
    """The shared library of the interpreter: its own if it has one, else the system's of the same version."""
    name = _needed_library(python)
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [python.library_folder, f"{python.base_prefix}/lib", f"{python.library_folder}/{multiarch}"]
    folders += [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    for folder in [*folders, *_LIBRARY_FOLDERS]:
        if (Path(folder) / name).is_file():
            return (Path(folder) / name).absolute()
    raise ToolMissing(
        f"Triton's Python backend needs {name}, the shared library of Python {python.version}, which is not "
        f"in {python.library_folder} or the system's library folders",
        _libpython_command(python),
    )


def _libpython_command(python: _Python) -> str:
    if ".pyenv" in python.base_prefix:
        release = Path(python.base_prefix).name
        return f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {release}"
    if shutil.which("apt-get"):
        return f"apt-get install libpython{python.version}"
    if shutil.which("dnf"):
        return f"dnf install python{python.version}-libs"
    return "install a Python built with --enable-shared"


def _check_stub_version(stub: Path, python: _Python) -> None:
    """A stub embeds one Python; with the packages of another it would fail in ways that name neither."""
    if not stub.is_file():
        return
    found = re.search(rb"libpython(3\.\d+)\.so", stub.read_bytes())
    if found and found[1].decode() != python.version:
        raise ToolMissing(
            f"the Python backend of '{stub.parent}' is built for Python {found[1].decode()}, but the "
            f"isolated environment has Python {python.version}; run tpgen with Python {found[1].decode()} or "
            "serve without isolation"
        )


def _linked_folder(kind: str, links: dict[str, Path]) -> Path:
    """A folder of links in the cache, named after what they point to; made whole or not at all."""
    text = "\n".join(f"{name} {target}" for name, target in sorted(links.items()))
    folder = cache_root() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if _is_whole(folder, links):
        return folder
    with locked(folder.with_name(folder.name + ".lock")):
        if not _is_whole(folder, links):
            shutil.rmtree(folder, ignore_errors=True)
            staged = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=folder.parent))
            for name, target in links.items():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).symlink_to(target)
            staged.rename(folder)
    return folder


def _is_whole(folder: Path, links: dict[str, Path]) -> bool:
    return all((folder / name).exists() for name in links)
