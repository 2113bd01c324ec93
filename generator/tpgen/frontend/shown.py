"""What the user wrote, as messages show it."""

from __future__ import annotations

from typing import Any

LONGEST = 60


def shown(value: Any) -> str:
    """A TOML value in a message, as TOML writes it (but for the quotes around text), cut if it is long."""
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}...")
    text = _toml(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, int) and abs(value) >= 2**63:
        return hex(value)
    return repr(value) if isinstance(value, str) else str(value)
