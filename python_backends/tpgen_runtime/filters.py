"""What decides, item by item, whether a node or an operator of a sequence runs."""

from .errors import ItemError

RUN, SKIP, SERIAL_SKIP, SUBGRAPH_SKIP = "Run", "Skip", "SerialSkip", "SubGraphSkip"
BREAK, ERROR = "Break", "Error"
SWAP_STATUS = "Swap"  # a verdict only: the item runs, and its result becomes data
_STATUSES = (RUN, SKIP, SERIAL_SKIP, SUBGRAPH_SKIP, BREAK, ERROR)
_SHOWN = 40  # characters of what is no status


class Filter:
    """``checks`` are made by the functions below; ``moves`` are (source, target) keys.

    ``verdict`` says the status of an item for which all checks hold; whatever it raises passes through.
    """

    def __init__(self, *checks, moves=(), verdict=None, name=""):
        self._checks = checks
        self._moves = moves
        self._verdict = verdict
        self.name = name

    def status(self, item):
        """`RUN` (the keys are then moved), or what the first check that does not hold says."""
        for key, wanted, otherwise in self._checks:
            if not _holds(item, key, wanted):
                return otherwise
        moves, status = self._moves, RUN
        if self._verdict is not None:
            status = self._verdict(item)
            if status == SWAP_STATUS:
                moves, status = _TO_DATA, RUN if "result" in item else BREAK
        if status != RUN:
            return status
        moved = [(target, item[source]) for source, target in moves]
        for source, _ in moves:
            item.pop(source, None)
        item.update(moved)
        return RUN

    def wants(self, item):
        """True if the item lacks a key that a check asks for."""
        return any(key is not None and wanted is True and key not in item for key, wanted, _ in self._checks)


def _holds(item, key, wanted):
    if wanted is True or wanted is False:
        return (key in item) is wanted
    return key in item and text_of(item[key]) == wanted


def text_of(value):
    """A value as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def has(key, otherwise):
    """The item has the key."""
    return key, True, otherwise


def lacks(key, otherwise):
    """The item does not have the key."""
    return key, False, otherwise


def equals(key, value, otherwise):
    """The item has the key, and its value, as text, is this one."""
    return key, value, otherwise


def own_status(key):
    """The verdict that items bring under a key."""

    def verdict(item):
        status = text_of(item[key])
        if status not in _STATUSES:
            raise ItemError(f"{status[:_SHOWN]!r} is no status; known: {', '.join(_STATUSES)}")
        return status

    return verdict


def never(otherwise):
    """No item."""
    return None, True, otherwise


_TO_DATA = (("result", "data"),)
ALL = Filter()
SWAP = Filter(has("result", BREAK), moves=_TO_DATA)
OR = Filter(lacks("result", SKIP))
