"""What a user can choose for a build, on the command line or as arguments of `tpgen.build`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

TARGETS = ("cpu", "gpu")
RUNTIMES = ("python", "onnxruntime", "tensorrt", "torch")
FUSE_LEVELS = ("auto", "none", "max")


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build; None leaves the choice to the TOML, then to the default.

    ``models`` replaces model files by node, ``values`` sets TOML keys by (node, key).
    """

    target: str | None = None
    runtime: str | None = None
    fuse: str = "auto"
    cores: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    dynamic_batch: bool = False


def usable_cores() -> int:
    """The CPUs that this process may use, by affinity and by the cgroup's quota."""
    return max(1, min(_affinity(), _quota()))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> int:
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return 1 << 30 if quota == "max" else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return 1 << 30
