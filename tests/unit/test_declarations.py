"""What the declaration of an operator refuses."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tpgen.ir.op import REGISTRY, Op, Trait, operator


class Plain(Op):
    pass


class Removes(Op):
    removes: ClassVar[tuple[str, ...]] = ("boxes",)


class Deletes(Op):
    def deletes(self) -> tuple[str, ...]:
        return ("boxes",)


@pytest.mark.parametrize("cls", [Removes, Deletes])
def test_a_batched_operator_takes_no_keys_away(cls: type[Op]) -> None:
    declare = operator(
        "BatchedRemoval", group="acme", kernel="acme:Kernel", traits={Trait.STATEFUL, Trait.BATCHED}
    )
    with pytest.raises(ValueError, match="BatchedRemoval: a batched operator takes no keys away"):
        declare(cls)
    assert "BatchedRemoval" not in REGISTRY


def test_a_batched_operator_is_stateful() -> None:
    with pytest.raises(ValueError, match="declare it STATEFUL"):
        operator("BatchedFunction", group="acme", kernel="acme:kernel", traits={Trait.BATCHED})(Plain)


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="'Identity' is declared twice"):
        operator("Identity", group="acme", kernel="acme:kernel")(Plain)
