"""What decides, item by item, whether a node or an operator of a sequence runs."""

RUN, SKIP, BREAK = "Run", "Skip", "Break"


class Filter:
    """``checks`` are `has` and `lacks`; ``moves`` are (source, target) keys, copied where the item runs."""

    def __init__(self, *checks, moves=()):
        self._checks = checks
        self._moves = moves

    def status(self, item):
        """`RUN` (the keys are then moved), or what the first check that does not hold says."""
        for key, is_wanted, otherwise in self._checks:
            if (key in item) != is_wanted:
                return otherwise
        for source, target in self._moves:
            item[target] = item[source]
        for source, _ in self._moves:
            item.pop(source, None)
        return RUN


def has(key, otherwise):
    """The item has the key."""
    return key, True, otherwise


def lacks(key, otherwise):
    """The item does not have the key."""
    return key, False, otherwise


SWAP = Filter(has("result", BREAK), moves=(("result", "data"),))
OR = Filter(lacks("result", SKIP))
