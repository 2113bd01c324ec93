"""How many items the calls of a model take: a number of items is cut into calls of sizes that it accepts."""

from functools import lru_cache
from itertools import count as count_from


class Sizes:
    """The batch sizes of a model's instance groups, ``(smallest, largest)`` each.

    All groups together are one model: of fixed batches 1, 4 and 8, thirteen items are calls of 8, 4 and 1.
    """

    def __init__(self, ranges):
        self._ranges = tuple(ranges)
        self.largest = max(high for _, high in self._ranges)
        self._takes_any = (1, self.largest) in self._ranges
        self._search = lru_cache(maxsize=1024)(self._searched)

    def cut(self, items):
        """The calls for a number of items: ``(group, items, size)``, the largest first.

        The fewest calls that no row is wasted in; where there are none, the last one is filled up: its
        ``size`` is larger than its ``items``.
        """
        if self._takes_any:
            taken = [self.largest] * (items // self.largest) + [items % self.largest] * (
                items % self.largest > 0
            )
            return [(self._group_of(size), size, size) for size in taken]
        # Of the fewest calls, less than `largest` are of other sizes: as many have some that add up to calls
        # of the largest size. So what is beyond that are calls of the largest size.
        largest = self.largest
        whole = max(items - largest * largest, 0) // largest
        calls = self._search(items - whole * largest)
        return [(self._group_of(largest), largest, largest)] * whole + calls

    def _searched(self, items):
        sizes = next(sizes for rows in count_from(items) if (sizes := self._fewest(rows)) is not None)
        calls = [(self._group_of(size), size, size) for size in sorted(sizes, reverse=True)]
        missing = sum(sizes) - items
        if missing:
            group, taken, size = calls[-1]
            calls[-1] = (group, taken - missing, size)
        return calls

    def _fewest(self, rows):
        """The sizes of the fewest calls that take so many rows exactly; None if there are none."""
        best = {0: ()}
        steps = sorted({size for low, high in self._ranges for size in range(low, high + 1)}, reverse=True)
        for reached in range(1, rows + 1):
            before = [(best[reached - size], size) for size in steps if reached - size in best]
            if before:
                sizes, size = min(before, key=lambda one: len(one[0]))
                best[reached] = (*sizes, size)
        return best.get(rows)

    def _group_of(self, size):
        """The group that takes a size: where several do, the one that takes no smaller ones."""
        fitting = [(-low, group) for group, (low, high) in enumerate(self._ranges) if low <= size <= high]
        return min(fitting)[1]
