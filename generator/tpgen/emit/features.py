"""What a server has to be started with for a repository: flags that switch on what its models ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .config_pbtxt import ConfigSyntaxError, ModelConfig, parse

CACHE_BYTES = 64 << 20
CACHE_FLAG = "--cache-config"
RATE_FLAG = "--rate-limit"


def server_flags(*, cache: bool, rate_limit: bool) -> list[str]:
    """The flags for these features: a server ignores what models ask for that it was not started with."""
    found = [f"{CACHE_FLAG}=local,size={CACHE_BYTES}"] if cache else []
    return [*found, f"{RATE_FLAG}=execution_count"] if rate_limit else found


def flags_of(repository: Path) -> list[str]:
    """The flags that the models of a repository ask for."""
    configs = list(_configs(repository))
    return server_flags(
        cache=any(config.response_cache.enable for config in configs),
        rate_limit=any(
            group.HasField("rate_limiter") for config in configs for group in config.instance_group
        ),
    )


def warmed_up(repository: Path) -> list[str]:
    """The models that run samples while they are loaded."""
    return [config.name for config in _configs(repository) if config.model_warmup]


_ASKING = ("response_cache", "rate_limiter", "model_warmup")


def _configs(repository: Path) -> Iterator[ModelConfig]:
    """The configurations that may ask for such a thing; the server says what it cannot read."""
    for file in sorted(repository.glob("*/config.pbtxt")):
        try:
            text = file.read_text(encoding="utf-8")
            if any(field in text for field in _ASKING):
                yield parse(text)
        except (OSError, UnicodeDecodeError, ConfigSyntaxError):
            continue
