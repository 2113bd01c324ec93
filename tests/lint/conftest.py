"""Which cases a run shows to a server: a sample, or with `pytest -m slow tests/lint` all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow ones out unless they were asked for: they take minutes, and say the same every time."""
    if "slow" in config.option.markexpr:
        return
    slow = {item for item in items if item.path.is_relative_to(_HERE) and item.get_closest_marker("slow")}
    items[:] = [item for item in items if item not in slow]
    config.hook.pytest_deselected(items=list(slow))
