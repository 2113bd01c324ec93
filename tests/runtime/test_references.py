"""What a stage worked on goes with its request: nothing waits for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tpgen_runtime.errors import ItemError
from tpgen_runtime.filters import ALL
from tpgen_runtime.graph import GraphNode, answers, copies, travel
from tpgen_runtime.stage import Item, Node


class Owner:
    """Counts what becomes of items, and keeps none."""

    def __init__(self) -> None:
        self.done = 0
        self.failures = 0

    def finished(self, item: Any) -> None:
        self.done += 1

    def failed(self, item: Any, message: Any) -> None:
        self.failures += 1


def work(item: Any) -> None:
    """The operator of the elements: fails or breaks on some values."""
    if item["box"] == "refused":
        raise ItemError("no")
    if item["box"] == "broken":
        raise ValueError("no")
    item["result"] = item["box"]


def run_elements(items: Iterable[Any]) -> Iterator[Any]:
    node = Node("inner", "p.toml:2")
    return node.each(node.start(items), work)


def run(items: list[Any], ways: int) -> None:
    """Through a list of elements, and then on one way or two."""
    node = GraphNode("lists", "p.toml:1", leaves=(1 << ways) - 1)
    entered = node.enter(travel(items, tuple("ab"[:ways])), ALL)
    gone_on = list(
        node.map_reduce(entered, run_elements, "box", ("result",), at_once=64, max_items=10)
        if ways == 1
        else entered
    )
    for item in answers(*[gone_on, *[copies(gone_on) for _ in range(ways - 1)]]):
        item.finish()


@pytest.mark.parametrize("boxes", [[], ["a", "b"], ["a", "refused"], ["a", "broken", "b"]])
@pytest.mark.parametrize("ways", [1, 2])
def test_items_go_with_their_request(boxes: list[str], ways: int) -> None:
    owner = Owner()
    gc.collect()
    gc.disable()
    try:
        run([Item({"box": boxes}, owner, number) for number in range(3)], ways)
        left = [one for one in gc.get_objects() if isinstance(one, Item)]
    finally:
        gc.enable()
    assert owner.done + owner.failures == 3
    assert not left
