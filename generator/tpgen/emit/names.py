"""How names and values of the TOML appear in generated Python."""

from __future__ import annotations

import keyword
import re
from typing import Any


class Identifiers:
    """Hands out identifiers, each once; ``reserved`` are taken from the start."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self._used = set(reserved)

    def make(self, name: str) -> str:
        """An identifier like the name: other characters become ``_``, clashes get a number."""
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        if not base or base[0].isdigit() or keyword.iskeyword(base):
            base = f"n_{base}"
        candidate, number = base, 2
        while candidate in self._used:
            candidate, number = f"{base}_{number}", number + 1
        self._used.add(candidate)
        return candidate


def literal(value: Any) -> str:
    """The Python literal of a value: its ``repr``, with double quotes around plain strings."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return repr(value)
