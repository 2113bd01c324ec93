"""For whom a stage works: the requests of its items, and whether their clients still wait.

A *caller* is the `Reply` of one request. A client that cancels, or whose deadline passes, leaves (gRPC; HTTP
clients can't say so): its items are dropped where they would enter another node, or a model be called for
them. Only the server knows who left. Asking it is a round trip, so nobody is asked before work has lasted
for a while, and never for more than a small share of the time.
"""

import threading
from time import monotonic as _now

from .errors import Broken

CANCELLED = "cancelled by the client"
_PAUSE = 0.02  # seconds; a question costs 0.01 to 0.04 ms
_MOST = 0.01  # of the time may go into questions

_here = threading.local()  # ``items``: those that the kernel works on that runs in this thread
_asking = threading.Lock()


class _Work:
    """The call of `execute` that is under way."""

    callers = ()
    due = float("inf")  # when to ask next
    some_left = False


def begin(callers):
    """The stage works for these callers from now on."""
    _Work.callers = callers
    _Work.some_left = False
    _Work.due = _now() + _PAUSE


def end():
    """The stage works for nobody."""
    _Work.due = float("inf")
    _Work.callers = ()
    _Work.some_left = False


def wanted(items):
    """The items that somebody still waits for, one by one; the others have failed."""
    return filter(_is_wanted, items)


def has_left(item):
    """True if nobody waits for the item any more."""
    if _now() >= _Work.due:
        _ask()
    return _Work.some_left and item.owner.caller.has_left


def run_for(items, kernel, *columns):
    """Call a kernel that may ask for whom it works, row by row."""
    _here.items = items
    try:
        return kernel(*columns)
    finally:
        _here.items = None  # items that are kept would keep their request's tensors


def items_of_rows(count):
    """The items that the running kernel works on, one for each of its rows; None if this is not known."""
    items = getattr(_here, "items", None)
    return items if items is not None and len(items) == count else None


def everybody():
    """All callers."""
    return _Work.callers


def _is_wanted(item):
    if _now() < _Work.due and not _Work.some_left:  # as nearly always: every item comes here at every node
        return True
    if not has_left(item):
        return True
    item.fail(Broken(CANCELLED))
    return False


def _ask():
    """Ask for all callers who left. One thread asks; others go on with what is known."""
    if not _asking.acquire(blocking=False):
        return
    try:
        started = _now()
        if started < _Work.due:
            return
        left = [caller for caller in _Work.callers if caller.leaves()]
        now = _now()
        _Work.due = now + max(_PAUSE, (now - started) / _MOST)
        _Work.some_left = _Work.some_left or bool(left)
    finally:
        _asking.release()
