"""Image chains on Triton's DALI backend: which operators it can hold, the pipeline's code, its files.

`lower` answers a `DaliChain` or a `Refusal`; `dali_files` and `dali_config` make a Triton model of a chain.
Nothing here needs DALI but `serialized`.
"""

from .lower import GIVEN_UP, LIMIT, DaliChain, Refusal, lower, lower_stage, reason_against
from .model import dali_code, dali_config, dali_files, serialized
from .table import TABLE, Device, Lowering

__all__ = [
    "GIVEN_UP",
    "LIMIT",
    "TABLE",
    "DaliChain",
    "Device",
    "Lowering",
    "Refusal",
    "dali_code",
    "dali_config",
    "dali_files",
    "lower",
    "lower_stage",
    "reason_against",
    "serialized",
]
