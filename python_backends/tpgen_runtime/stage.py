"""How a generated stage runs: items, isolation of failures, and per-node figures.

A stage gets *items*, dictionaries from keys to values, from one or several requests, and takes them
through its nodes. Whatever happens to one item stays with that item's request.

Nodes hand their items on one by one: an image goes through all operators that work on single items before
the next one is touched, while it is in the processor's cache, and a batch never holds all its decoded images.
Only where a kernel works on lists do the items wait for each other.
"""

import os
import time

from . import callers, padding
from .errors import Broken, Busy, ItemError, RemoteError
from .filters import ERROR, RUN, SKIP

RESULT = "result"
DATA = "data"
_PASSING = (TimeoutError, ConnectionError)  # errors that another attempt may not meet


class Item(dict):
    """The keys of one request element, and how it fares.

    ``index`` is its place among its owner's items, ``within`` what stands before that in messages.
    ``reason``: why ``result`` is absent, if an operator could not work on the item. ``owner`` is told when
    the item is done (`finished`) or broken (`failed`). ``left``: it passes by what is left of its node;
    ``passes_by`` are the names of the nodes that it passes by. ``came`` is how it came to a node that makes
    up for failures: its keys, and the reason.
    """

    __slots__ = ("came", "index", "left", "owner", "passes_by", "reason", "within")

    def __init__(self, values, owner=None, index=0, within=""):
        super().__init__(values)
        self.owner = owner
        self.index = index
        self.within = within
        self.reason = None
        self.left = False
        self.passes_by = ()
        self.came = None

    @property
    def label(self):
        """What messages call it: ``2``, or ``2, [crops] element 7``."""
        return f"{self.within}{self.index}"

    def finish(self):
        """No node will touch the item any more."""
        if self.owner is not None:
            self.owner.finished(self)

    def fail(self, message):
        """An operator broke: the item's request fails as a server error."""
        if self.owner is not None:
            self.owner.failed(self, message)


class Node:
    """A TOML node inside a stage: runs its operators over items and keeps its figures.

    Takes any iterable of items, and gives one that must be read to its end.
    ``where`` is the place in the TOML, ``pipeline.toml:6``. ``retry`` are further attempts after an error
    that can pass, ``on_error`` what makes up for failures (`recovery.Recovery`). ``skipped`` are items that
    end here because there is no ``result`` to take over.
    """

    def __init__(self, name, where, *, retry=0, on_error=None):
        self.name = name
        self.where = where
        self._retry = retry
        self._on_error = on_error
        self.items = 0
        self.batches = 0
        self.errors = 0
        self.skipped = 0
        self.seconds = 0.0
        self.pixels = 0
        self.padding_pixels = 0
        self.rows = 0
        self.padding_rows = 0

    def start(self, items):
        """The items that enter: all of them."""
        entered = 0
        try:
            for item in self._noted(items):
                entered += 1
                item.left = False
                yield item
        finally:
            self._count(entered)

    def take_over(self, items, key=RESULT):
        """The items that enter: those with a ``result``, which becomes ``data``. The others are done."""
        entered = 0
        try:
            for item in self._noted(items):
                if key in item:
                    entered += 1
                    item.left = False
                    item[DATA] = item.pop(key)
                    yield item
                else:
                    self.skipped += 1
                    self._end(item)
        finally:
            self._count(entered)

    def enter(self, items, when):
        """The items that enter, by a filter: where it breaks, one is done; where it skips, it passes by."""
        entered = 0
        try:
            for item in self._noted(items):
                status = self._decided(item, when)
                if status == RUN:
                    entered += 1
                    item.left = False
                    yield item
                    continue
                self.skipped += 1
                if status == SKIP:
                    item.left = True
                    yield item
                elif status is not None:
                    self._end(item)
        finally:
            self._count(entered)

    def each(self, items, function, stale=(), when=None):
        """Run a function on every item; gives those that go on.

        ``stale``: keys that its last operator writes, and others wrote before; if it fails, they go.
        ``when``: which items it runs for; where it breaks, the item leaves the node.
        """
        now = time.perf_counter
        for item in items:
            if item.left or when is not None:
                status = self._status(item, when)
                if status == SKIP:
                    yield item
                if status != RUN:
                    continue
            goes_on = True
            started = now()
            try:
                if self._retry:
                    self._attempt(lambda item=item: function(item), item)
                else:
                    function(item)
            except ItemError as problem:
                self._decline(item, problem, stale)
            except (Exception, SystemExit) as problem:  # noqa: BLE001  (it must stay with this item)
                goes_on = self._break(item, problem)
            self.seconds += now() - started
            if goes_on:
                yield item

    def together(self, items, kernel, reads, writes, when=None):
        """Run a kernel on lists of all items; gives those that go on. ``when`` as in `each`."""
        items, ready = self._sorted(items, when)
        started = time.perf_counter()
        going_on = items if not ready else self._run_batch(items, ready, kernel, reads, writes)
        self.seconds += time.perf_counter() - started
        yield from going_on

    def part(self, items, key, when=None):
        """Three lists: the items that have a key, those that have not, and those that pass by both ways.

        ``when``: which items take one of the ways, as in `each`.
        """
        having, lacking, past = [], [], []
        for item in items:
            status = self._status(item, when)
            if status == SKIP:
                past.append(item)
            elif status == RUN:
                (having if key in item else lacking).append(item)
        return having, lacking, past

    def _noted(self, items):
        """The items that are waited for; how they came is kept, if the node makes up for failures."""
        wanted = callers.wanted(items)
        return wanted if self._on_error is None else map(self._on_error.remember, wanted)

    def _count(self, entered):
        self.batches += entered > 0
        self.items += entered

    def _sorted(self, items, when):
        """The items that go on behind an operator, and those of them that it runs for."""
        going_on, ready = [], []
        for item in items:
            status = RUN if when is None and not item.left else self._status(item, when)
            if status == RUN:
                ready.append(item)
            if status != ERROR:
                going_on.append(item)
        return going_on, ready

    def _status(self, item, when):
        """`RUN`, `SKIP` (the item passes by), or `ERROR` (it has ended) for an operator of the node."""
        if item.left:
            return SKIP
        if when is None:
            return RUN
        status = self._decided(item, when)
        if status is None:
            return ERROR
        if status == ERROR:
            self._end(item)
        elif status != RUN:
            item.left = status != SKIP
            status = SKIP
        return status

    def _decided(self, item, when):
        """What a filter says; an item that it refuses loses its keys. None: filter and item broke.

        One that failed before, and so lacks the key that the filter asks for, keeps the reason of that.
        """
        try:
            status = when.status(item)
            reason = f"refused by filter '{when.name}'"
        except ItemError as problem:
            status, reason = ERROR, problem
        except (Exception, SystemExit) as problem:  # noqa: BLE001  (it must stay with this item)
            self.errors += 1
            item.fail(Broken(self._message(item, f"{type(problem).__name__}: {problem}")))
            return None
        if status == ERROR:
            if not item.reason or RESULT in item or not when.wants(item):
                self.errors += 1
                item.reason = self._message(item, reason)
            item.clear()
        return status

    def _end(self, item):
        """The item is done: what it has is its answer."""
        item.finish()

    def _attempt(self, function, item=None):
        """Call a function; again, where an error can pass and attempts are left, with the item as it was."""
        kept = dict(item) if item is not None else None
        left = self._retry
        while True:
            try:
                return function()
            except _PASSING:  # noqa: PERF203  (it is the attempts that cost)
                if left == 0:
                    raise
                left -= 1
                if item is not None:
                    item.clear()
                    item.update(kept)

    def _run_batch(self, items, ready, kernel, reads, writes):
        try:
            columns = [[item[key] for item in ready] for key in reads]
            results = self._attempt(lambda: callers.run_for(ready, kernel, *columns))
        except (Exception, SystemExit) as problem:  # noqa: BLE001  (it must stay with these items)
            if len(ready) == 1:
                goes_on = self._break(ready[0], problem)
                return [item for item in items if goes_on or item is not ready[0]]
            return self._run_alone(items, ready, kernel, reads, writes)
        finally:  # what was noted before a kernel broke is this node's, too
            padding.count(self)
        columns = results if len(writes) > 1 else (results,)
        broken = {
            id(item)
            for item, values in zip(ready, zip(*columns, strict=True), strict=True)
            if not self._store(item, writes, values)
        }
        return [item for item in items if id(item) not in broken] if broken else items

    def _run_alone(self, items, ready, kernel, reads, writes):
        """A batch broke: run its items one by one, so that only the one at fault fails."""
        broken = set()
        for item in ready:
            if not self._run_batch([item], [item], kernel, reads, writes):
                broken.add(id(item))
        return [item for item in items if id(item) not in broken]

    def _store(self, item, writes, values):
        """Keep what a kernel gave for an item; False if the operator broke on it."""
        if len(writes) == 1 and values[0] is not None and not isinstance(values[0], Exception):
            item[writes[0]] = values[0]
            if writes[0] == RESULT:
                item.reason = None
            return True
        problem = next((value for value in values if isinstance(value, ItemError | RemoteError)), None)
        if isinstance(problem, RemoteError):
            return self._break(item, problem)
        if problem is not None:
            self._decline(item, problem, writes)
            return True
        if RESULT in writes:  # whatever failed before, this operator ran
            item.reason = None
        if all(value is None for value in values):  # the kernel declined: no result, and no reason
            for key in writes:
                item.pop(key, None)
            return True
        item.update(zip(writes, values, strict=True))
        return True

    def _decline(self, item, problem, writes):
        self.lose(item, self._message(item, problem), writes)

    def lose(self, item, reason, writes=()):
        """What an operator writes is absent, for this reason."""
        self.errors += 1
        if self._on_error is not None:
            self._on_error.apply(item)
            return
        for key in (RESULT, *writes):
            item.pop(key, None)
        item.reason = reason

    def _break(self, item, problem):
        what = problem if isinstance(problem, RemoteError) else f"{type(problem).__name__}: {problem}"
        return self.fail(item, Broken(self._message(item, what), is_busy=isinstance(problem, Busy)))

    def fail(self, item, message):
        """An operator broke on an item; True if the node makes up for it, and the item goes on."""
        self.errors += 1
        if self._on_error is not None:
            self._on_error.apply(item)
            return True
        item.fail(message)
        return False

    def _message(self, item, problem):
        return f"{self.where} [{self.name}] item {item.label}: {problem}"


class Stage:
    """Base of generated stages: the wire form of its keys, its nodes, and `run`.

    ``uneven``: items take very different times, so none waits for the others of its batch.
    """

    pipeline = ""
    uneven = False
    inputs = ()
    outputs = ()
    nodes = ()

    def load(self, context):
        """Load models and user code, once per process."""

    def run(self, items):
        """Take items through the nodes; gives those that reach the end, as an iterable."""
        raise NotImplementedError

    def received(self, tensor):
        """One of Triton's tensors of a request as an array."""
        return tensor.as_numpy()

    def encode(self, port, values):
        """The tensors of an output of one request: a dictionary of arrays."""
        return port.encode(values)

    def process(self, items):
        """Run and tell the owner of every item that is left that it is done."""
        for item in self.run(items):
            item.finish()


class LoadContext:
    """What a stage may ask for while it loads: the files beside it, its share of threads, its device.

    ``device`` is torch's name of it, which only stages on a GPU ask for.
    """

    def __init__(self, directory, threads, device="cpu"):
        self.directory = directory
        self.threads = threads
        self.device = device

    def path(self, *parts):
        """The absolute path of a file that was put beside the stage."""
        return os.path.join(self.directory, *parts)
