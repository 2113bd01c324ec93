"""Branches that run at the same time, each in a *lane*: a thread that takes one track to its end.

What becomes of an item must not depend on which branch is faster. So what a lane tells of items (one failed,
one ended) counts in the order in which the branches stand in the graph: it waits until the lanes before are
done.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

_MOST_THREADS = 8  # of one process; a branch that finds none free runs in the thread that waits for it

_here = threading.local()  # ``lane``: the one that this thread works on
_pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="lane")


def in_parallel(*tracks, where=True):
    """Take tracks, iterables of items, to their ends, all at the same time; gives a list for each.

    The tracks have no operator in common. An exception that leaves one is raised once all are done.
    ``where`` it would not pay, they take turns: many items keep the cores busy without it.
    """
    if not where:
        return [list(track) for track in tracks]
    section = _Section(len(tracks))
    first, *others = (_Lane(section, number, track) for number, track in enumerate(tracks))
    running = [(lane, _pool.submit(lane.run)) for lane in others]
    ends = [first]
    first.run()
    for lane, future in running:
        if future.cancel():  # no thread was free
            lane.run()
        else:
            future.result()
        ends.append(lane)
    for lane in ends:
        if lane.problem is not None:
            raise lane.problem
    return [lane.items for lane in ends]


def current():
    """The lane that this thread works on; None where there is none."""
    return getattr(_here, "lane", None)


def tell(event, home=None):
    """Call ``event``, which says what became of an item: now, in a lane when it is its turn.

    ``home`` is the lane (None: no lane) that the item set out in. It may await the event, so nothing is put
    off there, only in the lanes that it parts into.
    """
    lane = current()
    if lane is home:
        event()
    else:
        lane.section.tell(lane.number, lambda: tell(event, home))


class _Lane:
    """One track. ``items`` are those at its end, ``problem`` an exception that left it."""

    def __init__(self, section, number, track):
        self.section = section
        self.number = number
        self._track = track
        self.items = []
        self.problem = None

    def run(self):
        outer, _here.lane = current(), self
        try:
            self.items = list(self._track)
        except BaseException as problem:  # noqa: BLE001  (raised again by `in_parallel`)
            self.problem = problem
        finally:
            _here.lane = outer
            self.section.finish(self.number)


class _Section:
    """The lanes of one call of `in_parallel`: whose turn it is to tell, and what the others have to tell."""

    def __init__(self, lanes):
        self._outer = current()  # events may have something to tell there
        self._lock = threading.RLock()
        self._waiting = [[] for _ in range(lanes)]
        self._finished = [False] * lanes
        self._turn = 0

    def tell(self, number, event):
        with self._lock:
            if number == self._turn:
                self._call(event)
            else:
                self._waiting[number].append(event)

    def finish(self, number):
        with self._lock:
            self._finished[number] = True
            while self._turn < len(self._finished) and self._finished[self._turn]:
                self._turn += 1
                if self._turn < len(self._finished):
                    for event in self._waiting[self._turn]:
                        self._call(event)

    def _call(self, event):
        lane, _here.lane = current(), self._outer
        try:
            event()
        finally:
            _here.lane = lane
