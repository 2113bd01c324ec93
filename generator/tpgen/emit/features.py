"""What a server has to be started with for a repository: flags that switch on what its models ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..engines.requests import BadRequest, read_request
from .config_pbtxt import ConfigSyntaxError, ModelConfig, parse

CACHE_BYTES = 64 << 20
CACHE_FLAG = "--cache-config"
RATE_FLAG = "--rate-limit"
PORTABLE_FLAG = "--backend-config=tensorrt,version-compatible"
_REQUESTS = "*/*/engine.json"


@dataclass(frozen=True)
class Features:
    """What models ask for that a server ignores, or refuses, if it was not started with it.

    ``portable``: plans that run in later releases of TensorRT hold code of the host, and are refused else.
    """

    cache: bool = False
    rate_limit: bool = False
    portable: bool = False

    @property
    def flags(self) -> list[str]:
        """The flags of tritonserver for them."""
        flags = {
            f"{CACHE_FLAG}=local,size={CACHE_BYTES}": self.cache,
            f"{RATE_FLAG}=execution_count": self.rate_limit,
            f"{PORTABLE_FLAG}=true": self.portable,
        }
        return [flag for flag, is_wanted in flags.items() if is_wanted]


def features_of(repository: Path) -> Features:
    """What the models of a repository ask for, as their configurations and requests for engines say."""
    configs = list(_configs(repository))
    return Features(
        cache=any(config.response_cache.enable for config in configs),
        rate_limit=any(
            group.HasField("rate_limiter") for config in configs for group in config.instance_group
        ),
        portable=any(map(_is_portable, sorted(repository.glob(_REQUESTS)))),
    )


def _is_portable(request: Path) -> bool:
    """True if an engine is to run in later releases of TensorRT."""
    try:
        return read_request(request.read_text(encoding="utf-8")).flags.version_compatible
    except (OSError, UnicodeDecodeError, BadRequest):
        return False


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
