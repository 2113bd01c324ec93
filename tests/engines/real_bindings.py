"""Writes ``tensorrt_signatures.json``: what TensorRT's real bindings offer of the names that tpgen uses.

The wheels of the bindings hold no part of TensorRT itself. Their signatures stand in the docstrings of their
functions, so empty libraries in the place of TensorRT's are enough to read them, without a GPU::

    pip download --no-deps tensorrt_cu12_bindings==10.16.1.11     # and other versions
    python tests/engines/real_bindings.py tensorrt_cu12_bindings-*.whl

Needs gcc, nm, and wheels for the Python that runs it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).with_name("tensorrt_signatures.json")
_LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")


def described(module: ModuleType) -> dict[str, Any]:
    """The calls (with the parameters of each overload), properties and enumerations that the list names."""
    from tpgen.engines.tensorrt_api import CALLS, ENUMERATIONS, PROPERTIES

    enumerations = {name for one in ENUMERATIONS.values() for name in one}
    return {
        "calls": {name: _overloads(module, name) for name in CALLS},
        "properties": {
            kind: [name for name in names if hasattr(getattr(module, kind, None), name)]
            for kind, names in PROPERTIES.items()
        },
        "enumerations": {
            name: sorted(getattr(module, name).__members__)
            for name in sorted(enumerations)
            if hasattr(module, name)
        },
    }


def _overloads(module: ModuleType, name: str) -> list[list[str]]:
    """The parameters of a function, method or constructor; one with a default ends in "?"."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        return []
    if isinstance(found, type):
        found = found.__init__
    short = found.__name__
    lines = [line for line in str(found.__doc__).splitlines() if re.search(rf"(^|\. ){short}\(", line)]
    lines = [line for line in lines if f"{short}(*args" not in line]
    return [_parameters(line.partition(f"{short}(")[2].rpartition(") -> ")[0]) for line in lines]


def _parameters(text: str) -> list[str]:
    """``a: X[b, c], d: Y = <Z.E: 1>`` as ``["a", "d?"]``; without ``self``. ``arg0``: it has no name."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(f"{text},"):
        depth += (letter in "[(<") - (letter in "])>")
        if letter == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    named = [part.partition(":")[0].strip() + "?" * (" = " in part) for part in parts if part]
    return named[1:] if named[:1] in (["self"], ["arg0"]) else named


def _from_wheel(wheel: Path, folder: Path) -> tuple[str, dict[str, Any]]:
    """The version of a wheel's bindings, and what they offer; in a process of its own."""
    zipfile.ZipFile(wheel).extractall(folder)
    binary = folder / "tensorrt_bindings" / "tensorrt.so"
    listed = subprocess.run(["nm", "-D", "--undefined-only", binary], capture_output=True, check=True)
    symbols = {line.split()[-1] for line in listed.stdout.decode().splitlines()}
    ours = sorted(name for name in symbols if re.search(r"^(create|get|init).*(Infer|Onnx|Plugin)", name))
    full, empty = folder / "full.c", folder / "empty.c"
    full.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in ours))
    empty.write_text("")
    needed = subprocess.run(["readelf", "-d", binary], capture_output=True, check=True).stdout.decode()
    for name in re.findall(rf"\[((?:{'|'.join(_LIBRARIES)})\.so\.\d+)\]", needed):
        source = full if name.startswith("libnvinfer.") else empty
        line = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source]
        subprocess.run(line, check=True)
    done = subprocess.run(
        [sys.executable, __file__, "--import", folder],
        env={"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": ":".join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        check=True,
    )
    version, offered = json.loads(done.stdout)
    return version, offered


def main() -> None:
    if sys.argv[1] == "--import":
        sys.path.insert(0, sys.argv[2])
        import tensorrt_bindings

        print(json.dumps([tensorrt_bindings.__version__, described(tensorrt_bindings)]))
        return
    found = {}
    for wheel in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            version, offered = _from_wheel(Path(wheel), Path(folder))
            found[version] = offered
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
