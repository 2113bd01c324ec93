"""What all tests share: markers for what a machine may lack, and how hypothesis behaves."""

import importlib.util
import os
import shutil
import signal

import pytest
from hypothesis import settings

from golden import Golden

# Machines differ in speed; a test fails for a wrong answer, never for a slow one.
settings.register_profile("tpgen", deadline=None, print_blob=True)
settings.load_profile("tpgen")
# A shell starts what runs in its background with SIGINT ignored, and so would be all programs of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what `make gold` uses."""
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")


def pytest_report_header() -> str:
    """The seeds of the random pipelines (tests/test_equivalence.py), which a passing test would not show."""
    first = int(os.environ.get("TPGEN_SEED", "1"))
    counts = (int(os.environ.get(name, "60")) for name in ("TPGEN_EQUIVALENCE", "TPGEN_EQUIVALENCE_GRAPHS"))
    straight, graphs = (f"{first} to {first + count - 1}" for count in counts)
    return f"random pipelines: straight, seeds {straight}; graphs, seeds {graphs}"


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Golden:
    """Compares with golden files: `golden.file(path, text)`, `golden.tree(folder, {name: text})`."""
    return Golden(pytestconfig.getoption("--update-golden"))


def _missing() -> dict[str, str]:
    """The markers whose need this machine can't meet, and what it lacks."""
    missing = {}
    if importlib.util.find_spec("pytriton") is None and shutil.which("tritonserver") is None:
        missing["triton"] = "no tritonserver: pip install 'tpgen[serve]'"
    if importlib.util.find_spec("torch") is None:
        missing["torch"] = "no torch: make torch"
    if not os.path.exists("/dev/nvidia0"):
        missing["gpu"] = "no NVIDIA GPU"
    return missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what can't run here."""
    missing = _missing()
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
