"""Python identifiers for names of the TOML."""

from __future__ import annotations

import keyword
import re


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
