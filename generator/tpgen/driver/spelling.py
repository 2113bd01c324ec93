"""The name under which a user wrote an operator: its aliases make different promises."""

from __future__ import annotations

import re

from ..ir.graph import Call
from ..ir.op import Trait
from ..ops.inference import ENGINELESS_NAMES


def written_name(call: Call) -> str:
    """The operator's name as the TOML has it.

    A ``backend`` above the first node is pointed at as a whole, so the name is looked for in it.
    """
    words = re.findall(r"\w+", call.span.text)
    return next((word for word in words if word in call.op.names), call.op.name)


def promises_engine(call: Call) -> bool:
    """True if who wrote this expects a TensorRT engine on a GPU."""
    return call.op.has(Trait.ENGINE) and written_name(call) not in ENGINELESS_NAMES
