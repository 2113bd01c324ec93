"""What the declaration of an operator refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tpgen import ops as _operators  # noqa: F401  (declares them)
from tpgen.ir.op import REGISTRY, Op, Trait, operator


def fresh(**members: Any) -> type[Op]:
    """A class that no other declaration has changed."""
    return type("Fresh", (Op,), members)


@pytest.mark.parametrize("how", [{"removes": ("boxes",)}, {"deletes": lambda _: ("boxes",)}])
def test_a_batched_operator_takes_no_keys_away(how: dict[str, Any]) -> None:
    declare = operator(
        "BatchedRemoval", group="acme", kernel="acme:Kernel", traits={Trait.STATEFUL, Trait.BATCHED}
    )
    with pytest.raises(ValueError, match="BatchedRemoval: a batched operator takes no keys away"):
        declare(fresh(**how))
    assert "BatchedRemoval" not in REGISTRY


def test_a_batched_operator_is_stateful() -> None:
    with pytest.raises(ValueError, match="declare it STATEFUL"):
        operator("BatchedFunction", group="acme", kernel="acme:kernel", traits={Trait.BATCHED})(fresh())


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="'Identity' is declared twice"):
        operator("Identity", group="acme", kernel="acme:kernel")(fresh())
