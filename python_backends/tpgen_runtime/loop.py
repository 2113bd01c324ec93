"""Loops: items that end with the key ``restart`` go on at the node that it names."""

from .filters import text_of
from .stage import RESULT

RESTART = "restart"


class Loop:
    """Takes items through a graph until they end without a ``restart``.

    ``where`` is the place in the TOML that asks for it, ``most`` how often an item may start again.
    """

    def __init__(self, where, most):
        self._where = where
        self._most = most

    def run(self, items, first, again):
        """The items that are done, as soon as they are.

        ``first`` takes items from the start on; ``again``, by the name of a node, from there on. All items
        that go on do so together, once the others of their round are done.
        """
        rounds = [(first, [self._begun(item) for item in items])]
        while rounds:
            waiting = {name: [] for name in again}
            for run, batch in rounds:
                for item in batch:
                    item.owner.waiting = waiting
                for item in run(batch):
                    if item.owner.is_done(item):
                        item.owner = item.owner.owner
                        yield item
            rounds = [(again[name], batch) for name, batch in waiting.items() if batch]

    def _begun(self, item):
        item.owner = _Turns(item.owner, self)
        return item

    def refusal(self, item, name, known, done):
        """Why an item may not go on at a node after so many times; None: it may."""
        if name not in known:
            problem = f"'{RESTART}' is {name!r}, which is none of: {', '.join(known)}"
        elif done >= self._most:
            problem = f"'{RESTART}' is {name!r} once more than max_restarts = {self._most} allows"
        else:
            return None
        return f"{self._where} [{RESTART}] item {item.label}: {problem}"


class _Turns:
    """The owner of an item on its way: decides what becomes of it at an end."""

    __slots__ = ("_done", "_loop", "owner", "waiting")

    def __init__(self, owner, loop):
        self.owner = owner
        self.waiting = {}
        self._loop = loop
        self._done = 0

    @property
    def caller(self):
        return self.owner.caller

    def finished(self, item):
        """A filter ended the item."""
        if self.is_done(item):
            item.owner = self.owner
            item.finish()

    def failed(self, item, message):
        item.owner = self.owner
        item.fail(message)

    def is_done(self, item):
        """False if the item goes on: it then waits for the next round."""
        name = item.pop(RESTART, None)  # None: so leaves it an operator of TorchPipe's style
        if name is None or (item.reason is not None and RESULT not in item):
            return True
        name = text_of(name)
        problem = self._loop.refusal(item, name, self.waiting, self._done)
        if problem is not None:
            item.pop(RESULT, None)
            item.reason = problem
            return True
        self._done += 1
        item.owner = self
        item.passes_by = ()
        self.waiting[name].append(item)
        return False
