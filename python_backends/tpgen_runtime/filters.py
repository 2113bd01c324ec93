"""What decides, item by item, whether a node or an operator of a sequence runs."""

RUN, SKIP, SERIAL_SKIP, SUBGRAPH_SKIP = "Run", "Skip", "SerialSkip", "SubGraphSkip"
BREAK, ERROR = "Break", "Error"
_STATUSES = frozenset((RUN, SKIP, SERIAL_SKIP, SUBGRAPH_SKIP, BREAK, ERROR))


class Filter:
    """``checks`` are made by the functions below; ``moves`` are (source, target) keys.

    ``status_key`` is the key under which an item brings its own status, which counts where all checks hold.
    """

    def __init__(self, *checks, moves=(), status_key=None, name=""):
        self._checks = checks
        self._moves = moves
        self._status_key = status_key
        self.name = name

    def status(self, item):
        """`RUN` (the keys are then moved), or what the first check that does not hold says."""
        for key, wanted, otherwise in self._checks:
            if not _holds(item, key, wanted):
                return otherwise
        if self._status_key is not None:
            status = _text(item[self._status_key])
            return status if status in _STATUSES else ERROR
        for source, target in self._moves:
            item[target] = item[source]
        for source, _ in self._moves:
            item.pop(source, None)
        return RUN


def _holds(item, key, wanted):
    if wanted is True or wanted is False:
        return (key in item) is wanted
    return key in item and _text(item[key]) == wanted


def _text(value):
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


def never(otherwise):
    """No item."""
    return None, True, otherwise


ALL = Filter()
SWAP = Filter(has("result", BREAK), moves=(("result", "data"),))
OR = Filter(lacks("result", SKIP))
