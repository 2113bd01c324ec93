"""From compiled pipelines to the container deployment of their repository."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..emit.dashboard import ServedEntry
from ..emit.deployment import Deployment
from ..emit.features import Features
from ..emit.versions import parse_release
from .compile import Compiled
from .encrypted import encrypted_models
from .explain import model_sizes
from .needs import DECRYPTED_ROOM, MIB, SERVER_BYTES, Needs, needs_of

# Shared memory is taken at the start for what a batch is expected to need, and on demand beyond that.
LARGEST_POOL = 64 * MIB
SHM_UNIT = 64 * MIB


@dataclass(frozen=True)
class ServerNeeds:
    """What one server with several pipelines needs; bytes, ``shm_size`` in MiB, ``pool`` of one process.

    ``encrypted``: it needs a key as well. ``cuda_pool``: on each GPU, for the tensors of stages there.
    """

    processes: int
    memory: int
    shm_size: int
    pool: int
    assumes: str
    encrypted: bool = False
    cuda_pool: int = 0


def server_needs(compiled: Sequence[Compiled]) -> ServerNeeds:
    """The needs of all pipelines of a repository together, in one server."""
    needs = [needs_of(one.graph, model_sizes(one)) for one in compiled]
    others = len(needs) - 1  # each was counted with a server of its own
    processes = sum(one.processes for one in needs) - others
    pool = min(LARGEST_POOL, MIB * math.ceil(max(one.largest_pool for one in needs) / MIB))
    return ServerNeeds(
        processes,
        sum(one.memory for one in needs) - others * SERVER_BYTES,
        _shm_size(needs, processes, pool),
        pool,
        ", ".join(dict.fromkeys(part for one in needs for part in one.assumes.split(", ") if part)),
        any(encrypted_models(one.graph) for one in compiled),
        sum(one.cuda_pool for one in needs),
    )


def _shm_size(needs: Sequence[Needs], processes: int, pool: int) -> int:
    """In MiB: for what the batches are expected to take, and at least for the pool of every process.

    Models that are decrypted into it come on top.
    """
    expected = 1.5 * sum(one.shared_memory for one in needs)
    at_start = 1.25 * (processes - 1) * pool
    models = DECRYPTED_ROOM * sum(one.decrypted for one in needs)
    return SHM_UNIT // MIB * max(2, math.ceil((max(expected, at_start) + models) / SHM_UNIT))


def deployment_of(compiled: Sequence[Compiled], repository: str, features: Features) -> Deployment:
    """The deployment of a repository.

    Args:
        compiled: its pipelines, at least one.
        repository: the path from the deployment's folder to it, with ``/``.
        features: what the models in it ask of the server.
    """
    needs = server_needs(compiled)
    targets = {one.options.target for one in compiled}
    releases = (one.loaded.table.keys.target_triton for one in compiled)
    return Deployment(
        tuple(one.graph.name for one in compiled),
        tuple(entry for one in compiled for entry in _entries(one)),
        repository,
        "gpu" if "gpu" in targets else "cpu",
        max(releases, key=parse_release),
        needs.processes,
        needs.memory,
        needs.shm_size,
        needs.pool,
        needs.assumes,
        features,
        needs.encrypted,
        needs.cuda_pool,
    )


def _entries(compiled: Compiled) -> list[ServedEntry]:
    """The entries with the nodes that publish figures under their name, and their models."""
    graph = compiled.graph
    found = []
    for entry in graph.entries:
        stages = [stage for stage in graph.stages if stage.entry == entry.name]
        nodes = dict.fromkeys(
            node for stage in stages if not stage.runs for node in graph.titles(stage.nodes)
        )
        models = dict.fromkeys([entry.name, *(stage.name for stage in stages)])
        found.append(ServedEntry(entry.name, tuple(nodes), tuple(models)))
    return found
