"""Branches that run at the same time: what they tell counts in their order, whoever is faster."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tpgen_runtime.graph import Journey
from tpgen_runtime.lanes import in_parallel, tell
from tpgen_runtime.stage import Item


class Owner:
    """Notes what becomes of its item."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def failed(self, item: Item, message: str) -> None:
        self.heard.append(f"failed: {message}")

    def finished(self, item: Item) -> None:
        self.heard.append(f"finished: {dict(item)}")


def test_tracks_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)

    def track(name: str) -> Iterator[str]:
        meeting.wait()  # nobody passes unless all three are on their way
        yield name

    assert in_parallel(track("a"), track("b"), track("c")) == [["a"], ["b"], ["c"]]


def test_where_it_does_not_pay_tracks_take_turns() -> None:
    seen: list[str] = []

    def track(name: str) -> Iterator[int]:
        for number in range(3):
            seen.append(f"{name}{number}")
            yield number

    assert in_parallel(track("a"), track("b"), where=False) == [[0, 1, 2], [0, 1, 2]]
    assert seen == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_what_is_told_counts_in_the_order_of_the_tracks() -> None:
    told: list[str] = []
    second_is_done = threading.Event()

    def slow() -> Iterator[None]:
        assert second_is_done.wait(30)
        tell(lambda: told.append("first"))
        yield None

    def fast() -> Iterator[None]:
        tell(lambda: told.append("second"))
        second_is_done.set()
        yield None

    in_parallel(slow(), fast())
    assert told == ["first", "second"]


def test_the_first_track_does_not_wait_to_tell() -> None:
    told: list[str] = []
    is_told = threading.Event()

    def first() -> Iterator[None]:
        tell(lambda: told.append("first"))
        is_told.set()
        yield None

    def second() -> Iterator[None]:
        assert is_told.wait(30)
        assert told == ["first"]
        yield None

    in_parallel(first(), second())


@pytest.mark.parametrize("breaks_first", [True, False])
def test_of_an_item_that_ends_in_two_branches_the_first_one_counts(breaks_first: bool) -> None:
    owner = Owner()
    journey = Journey(owner, ("",))
    second_is_done = threading.Event()

    def first() -> Iterator[Item]:
        assert second_is_done.wait(30)
        if breaks_first:
            journey.ended(Item({"from": "first"}, journey), 1)
        else:
            journey.failed(Item({}, journey), "first")
        yield from ()

    def second() -> Iterator[Item]:
        journey.failed(Item({}, journey), "second")
        second_is_done.set()
        yield from ()

    in_parallel(first(), second())
    assert owner.heard == ["finished: {'from': 'first'}" if breaks_first else "failed: first"]


def test_lanes_inside_of_lanes_tell_in_the_order_of_the_outer_ones() -> None:
    told: list[str] = []
    second_is_done = threading.Event()

    def slow() -> Iterator[None]:
        assert second_is_done.wait(30)
        tell(lambda: told.append("first"))
        yield None

    def one(name: str) -> Iterator[str]:
        tell(lambda: tell(lambda: told.append(name)))  # an element's journey tells that of its item
        yield name

    def fast() -> Iterator[str]:
        for ends in in_parallel(one("second, a"), one("second, b")):
            yield from ends
        second_is_done.set()

    assert in_parallel(slow(), fast())[1] == ["second, a", "second, b"]
    assert told == ["first", "second, a", "second, b"]


def test_a_journey_inside_of_a_lane_waits_for_no_other_lane() -> None:
    element = Owner()
    is_heard = threading.Event()

    def slow() -> Iterator[None]:
        assert is_heard.wait(30)
        yield None

    def fast() -> Iterator[None]:
        journey = Journey(element, ("",))  # of a sub-graph that a node of this lane runs
        journey.ended(Item({"from": "fast"}, journey), 1)
        if element.heard == ["finished: {'from': 'fast'}"]:
            is_heard.set()
        yield None

    in_parallel(slow(), fast())


def test_more_tracks_than_threads_all_come_to_their_ends() -> None:
    def outer(number: int) -> Iterator[int]:
        for ends in in_parallel(*(iter([number * 10 + inner]) for inner in range(6))):
            yield from ends

    found = in_parallel(*(outer(number) for number in range(12)))
    assert found == [[number * 10 + inner for inner in range(6)] for number in range(12)]


def test_an_exception_is_raised_once_all_are_done() -> None:
    done: list[str] = []

    def breaks() -> Iterator[None]:
        raise KeyError("broken")
        yield None

    def works() -> Iterator[None]:
        yield None
        done.append("works")

    with pytest.raises(KeyError, match="broken"):
        in_parallel(breaks(), works())
    assert done == ["works"]
