"""Operators from other packages, by the entry point ``tpgen.operators``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OPERATORS = """
from tpgen.ir.op import Op, Trait, array_input, attr, operator
from tpgen.types import Array, DType

class Typed(Op):
    def wants(self, key):
        return Array(DType.FLOAT32, (2,))

    def infer(self, call):
        return {"result": array_input(call)}

@operator("AcmeAdd", group="acme", kernel="acme_ops.kernels:add", traits={Trait.PURE})
class AcmeAdd(Typed):
    "Add a number."
    amount: AMOUNT = attr("What is added.", ge=1)

@operator("AcmeScale", group="acme", kernel="acme_ops.kernels:Scale", traits={Trait.STATEFUL, Trait.BATCHED})
class AcmeScale(Typed):
    "Multiply by a number."
    factor: float = attr("What is multiplied by.")
"""
KERNELS = """
def add(data, *, amount):
    return data + data.dtype.type(amount)

class Scale:
    def __init__(self, *, factor):
        self.factor = factor

    def __call__(self, items):
        return [item * item.dtype.type(self.factor) for item in items]
"""
SCRIPT = """
import sys
import numpy as np
from tpgen.driver import build, pipe
with pipe(sys.argv[1]) as run:
    item = {"data": np.array([1, 2], np.float32)}
    run(item)
print(item["result"].tolist())
build(sys.argv[1], sys.argv[2])
"""


def _run(folder: Path, annotation: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command where the package is installed, in a process of its own: operators stay registered."""
    package, installed = folder / "site" / "acme_ops", folder / "site" / "acme_ops-1.2.dist-info"
    for directory in (package, installed):
        directory.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "operators.py").write_text(OPERATORS.replace("AMOUNT", annotation))
    (package / "kernels.py").write_text(KERNELS)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-ops\nVersion: 1.2\n")
    (installed / "entry_points.txt").write_text("[tpgen.operators]\nacme = acme_ops.operators\n")
    (folder / "acme.toml").write_text(
        '[a]\nbackend = "AcmeAdd"\namount = "3"\nnext = "b"\n'
        '[b]\nbackend = "S[Identity,AcmeScale(factor=2)]"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False
    )


def test_operators_of_a_package_run_and_are_required(tmp_path: Path) -> None:
    script = ["-c", SCRIPT, str(tmp_path / "acme.toml"), str(tmp_path / "repository")]
    done = _run(tmp_path, "int", script)
    assert done.stdout == "[8.0, 10.0]\n", done.stderr
    assert "acme-ops==1.2\n" in (tmp_path / "repository" / "requirements.txt").read_text()


def test_a_package_whose_attributes_no_value_fits_is_named(tmp_path: Path) -> None:
    done = _run(tmp_path, "complex", ["-m", "tpgen", "check", str(tmp_path / "acme.toml")])
    assert done.returncode == 1
    assert "error[TP119]: the operator package 'acme-ops' cannot be loaded" in done.stderr
    assert "AcmeAdd.amount is declared as complex" in done.stderr
