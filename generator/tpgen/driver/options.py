"""What a user can choose for a build, on the command line or as arguments of `tpgen.build`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

    def given_record(self, base: Path) -> dict[str, Any]:
        """What tpgen.json keeps of the choices that the TOML cannot make, without those that were not made.

        The paths of models are relative to ``base``, the TOML's folder.
        """
        models = {node: os.path.relpath(path, base) for node, path in self.models.items()}
        values = {f"{node}.{key}": value for (node, key), value in self.values.items()}
        made = {"models": models, "set": values, "dynamic_batch": self.dynamic_batch}
        return {name: value for name, value in made.items() if value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], base: Path) -> BuildOptions:
        """The options of a build from what tpgen.json has of them.

        Raises:
            KeyError: an option that every record has is not there.
        """
        places = {place: place.rpartition(".") for place in record.get("set", {})}
        return cls(
            target=record["target"],
            runtime=record["runtime"],
            fuse=record["fuse"],
            cores=record["cores"],
            models={node: os.path.normpath(base / path) for node, path in record.get("models", {}).items()},
            values={
                (places[place][0], places[place][2]): text for place, text in record.get("set", {}).items()
            },
            dynamic_batch=record.get("dynamic_batch", False),
        )


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
