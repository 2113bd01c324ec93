"""What a server is told about the memory of a GPU, from what the build of a repository wrote down."""

from __future__ import annotations

from pathlib import Path

from ..emit.deployment import cuda_pool_flag
from ..emit.manifest import read_manifest

RECORD = "cuda_memory_pool"


def pool_flags(repository: Path) -> list[str]:
    """The flags of tritonserver for the pool of stages on a GPU; none for a repository without such."""
    manifest = read_manifest(repository)
    sizes = (one.record.get(RECORD) for one in manifest.pipelines.values()) if manifest is not None else ()
    total = sum(size for size in sizes if isinstance(size, int))
    return [cuda_pool_flag(total)] if total else []
