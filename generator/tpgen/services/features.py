"""Features of the server that models ask for: the flags that switch them on, and how it dies of them."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from ..emit.features import CACHE_FLAG, PORTABLE_FLAG, features_of, warmed_up


def feature_flags(repository: Path, program: Path, given: Sequence[str]) -> list[str]:
    """The flags that the models of a repository ask for, but for those that are given."""
    decided = {flag.partition("=")[0] for flag in given}
    portable = any(flag.startswith(PORTABLE_FLAG) for flag in given)  # other flags of backends decide nothing
    flags = [
        flag
        for flag in features_of(repository).flags
        if (not portable if flag.startswith(PORTABLE_FLAG) else flag.partition("=")[0] not in decided)
    ]
    caches = program.parent.parent / "caches"  # it looks for them elsewhere, if it was not installed there
    wants_cache = any(flag.startswith(CACHE_FLAG) for flag in (*flags, *given))
    if wants_cache and caches.is_dir() and "--cache-directory" not in decided:
        flags.append(f"--cache-directory={caches}")
    return flags


def crash_hint(repository: Path, number: int) -> str | None:
    """What a server died of that a signal ended while it started, as far as the signal tells."""
    if number == signal.SIGKILL:
        return "signal 9 is mostly the system's, for want of memory"
    models = warmed_up(repository) if number == signal.SIGSEGV else []
    if models:
        named = ", ".join(f"'{model}'" for model in models)
        return f"it can die of a warm-up sample that the model fails on; with samples: {named}"
    return None
