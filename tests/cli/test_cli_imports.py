"""What is imported when: asking for help must be quick, and the library cheap to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"cv2", "google", "jinja2", "numpy", "onnx", "onnxruntime", "tritonclient", "torch"}
COMMANDS = ("build", "check", "run", "serve", "verify", "perf", "explain", "engines", "docker", "ci", "demo")


def imported(code: str) -> set[str]:
    """The top-level packages that a new interpreter has loaded behind some code."""
    script = f"{code}\nimport sys\nsys.stderr.write(' '.join({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["explain", "TP102"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert (
        imported(f"from tpgen.cli import run_command; assert run_command({arguments!r}) == 0") & HEAVY
        == set()
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_no_library_of_its_work(command: str) -> None:
    found = imported(f"from tpgen.cli import run_command; assert run_command([{command!r}, '--help']) == 0")
    assert found & {"onnx", "jinja2", "tritonclient", "onnxruntime", "cv2"} == set()


def test_importing_the_library_imports_nothing_but_itself() -> None:
    new = imported("import tpgen; tpgen.PipelineError, tpgen.__version__") - imported("")
    assert new & (HEAVY | {"click"}) == set()


def test_every_public_name_is_there_and_listed() -> None:
    import tpgen

    assert {"build", "check", "pipe", "serve", "Client", "PipelineError", "ItemError"} <= set(tpgen.__all__)
    for name in tpgen.__all__:
        assert getattr(tpgen, name) is not None
    assert set(tpgen.__all__) <= set(dir(tpgen))
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        _ = tpgen.biuld


def test_star_import_gives_what_the_modules_define() -> None:
    import tpgen
    from tpgen.driver.build import build
    from tpgen.runner.interpreter import ItemError
    from tpgen.services.server import TritonServer

    assert (tpgen.build, tpgen.ItemError, tpgen.serve) == (build, ItemError, TritonServer)
