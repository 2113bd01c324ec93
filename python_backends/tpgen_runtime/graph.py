"""Graphs that are more than a chain: branches, joins, and sub-graphs that run on the elements of lists.

Where ways part, each follower gets its own copy of an item. The copies share a `Journey`: a leaf of the
graph answers once, and a copy whose leaves were all answered elsewhere (by a `Break`) goes no further.
"""

from . import callers, lanes
from .filters import BREAK, ERROR, RUN, SERIAL_SKIP, SKIP, SUBGRAPH_SKIP
from .stage import RESULT, Item, Node


class Journey:
    """What the copies of one item share.

    ``open`` has a bit for every leaf that is still to answer. ``kept`` are the values that maps ask for, by
    node and key. ``lane`` is the one that the journey begins in.
    """

    __slots__ = ("answers", "kept", "lane", "leaves", "open", "owner")

    def __init__(self, owner, leaves):
        self.owner = owner
        self.leaves = leaves
        self.open = (1 << len(leaves)) - 1
        self.kept = {}
        self.answers = {}
        self.lane = lanes.current()

    @property
    def caller(self):
        return self.owner.caller

    def failed(self, item, message):
        """An operator broke: no copy goes on."""
        lanes.tell(lambda: self._failed(item, message), self.lane)

    def ended(self, item, leaves):
        """A filter ended the item: it answers for these leaves."""
        lanes.tell(lambda: self._ended(item, leaves), self.lane)

    def answer(self, item, leaves):
        """The item answers for these leaves; gives what is answered once all have, else None."""
        is_open, self.open = self.open, self.open & ~leaves
        for position, leaf in enumerate(self.leaves):
            if is_open & leaves & 1 << position:
                self.answers[leaf] = item
        if self.open or not is_open:
            return None
        return self._whole(item)

    def _failed(self, item, message):
        if self.open:
            self.open = 0
            self.answers.clear()
            self.owner.failed(item, message)

    def _ended(self, item, leaves):
        answer = self.answer(item, leaves)
        if answer is not None:
            answer.finish()

    def _whole(self, last):
        """The answer. Items know their journey, so it lets go of them: a cycle would keep images for long."""
        answers, self.answers = self.answers, {}
        if len(self.leaves) == 1:
            return _copy(last, self.owner)
        whole = Item({}, self.owner, last.index, last.within)
        for leaf in self.leaves:
            item = answers[leaf]
            whole.update((f"{leaf}.{key}", value) for key, value in item.items())
            if RESULT not in item:
                whole.reason = whole.reason or item.reason
        return whole


class CallingNode(Node):
    """A node that runs a sub-graph."""

    def map_reduce(self, items, run, split, merge, *, at_once, max_items, drop_absent=False, when=None):
        """Run a sub-graph on the elements of a list, of all items together; gives the items that go on.

        ``run`` takes elements through the sub-graph, ``at_once`` of them in one go. The lists of the keys
        ``merge`` of its ends, in the order of ``split``, become keys of the item. Items without elements go
        on at once, then those with the fewest. An item with more than ``max_items`` elements fails.
        """
        waiting = []
        for item in items:
            status = self._status(item, when)
            if status == SKIP:
                yield item
            if status != RUN:
                continue
            if not _is_list(item[split]):
                if self._break(item, TypeError(f"'{split}' is no list")):
                    yield item
                continue
            if len(item[split]) > max_items:
                problem = f"{len(item[split])} elements are more than max_items = {max_items}"
                self._decline(item, problem, merge)
                yield item
                continue
            gather = _Gather(item, self.name, split)
            if not gather.elements:
                self._merge(gather, merge, drop_absent)
                yield item
            else:
                waiting.append(gather)
        waiting.sort(key=lambda gather: len(gather.elements))
        elements = [element for gather in waiting for element in gather.elements]
        done = 0
        for start in range(0, len(elements), at_once):
            for element in run(elements[start : start + at_once]):
                element.owner.finished(element)
            while done < len(waiting) and waiting[done].is_complete:
                if self._merge(waiting[done], merge, drop_absent):
                    yield waiting[done].item
                done += 1

    def jump(self, items, run, when=None):
        """Run a sub-graph on the items themselves; gives those that go on."""
        items, ready = self._sorted(items, when)
        returns = {id(item): _Return(item, self) for item in ready}
        for copy in run([_copy(item, returns[id(item)]) for item in ready]):
            copy.finish()
        for item in items:
            if id(item) not in returns or not returns[id(item)].is_broken:
                yield item

    def _merge(self, gather, merge, drop_absent):
        """Put the results of an item's elements together; False if the item failed with one of them."""
        item = gather.item
        rows = gather.taken()
        if gather.message is not None:
            return self.fail(item, gather.message)
        reason = _reason(rows)
        if reason is not None:
            self.lose(item, reason, merge)
            return True
        if drop_absent:
            rows = [row for row in rows if all(key in row for key in merge)]
        if RESULT in merge:
            item.reason = None
        for key in merge:
            item[key] = [row[key] for row in rows]
        return True


class GraphNode(CallingNode):
    """A node of a graph with branches, or with filters that let items pass by several nodes.

    ``leaves`` has a bit for every leaf that the node leads to; ``chain`` and ``subgraph`` are the names of
    the nodes that an item passes by with `SERIAL_SKIP` and `SUBGRAPH_SKIP`.
    """

    def __init__(self, name, where, *, leaves=1, chain=(), subgraph=(), **options):
        super().__init__(name, where, **options)
        self._leaves = leaves
        self._passed = {SERIAL_SKIP: chain, SUBGRAPH_SKIP: subgraph}

    def enter(self, items, when):
        """The items that enter, by a filter; see `Node.enter`."""
        entered = 0
        try:
            for item in callers.wanted(items):
                if not item.owner.open & self._leaves:
                    continue
                if self.name in item.passes_by:
                    item.left = True
                    yield item
                    continue
                item.passes_by = ()
                if self._on_error is not None:
                    self._on_error.remember(item)
                status = self._decided(item, when)
                if status == RUN:
                    entered += 1
                    item.left = False
                    yield item
                    continue
                self.skipped += 1
                if status in (BREAK, ERROR):
                    self._end(item)
                elif status is not None:
                    item.left = True
                    item.passes_by = self._passed.get(status, ())
                    yield item
        finally:
            self._count(entered)

    def take(self, items, sources):
        """The items with new dictionaries: ``sources`` are (key, node, key of the node) of its map."""
        for item in items:
            if self.name in item.passes_by:
                yield item
                continue
            kept = item.owner.kept
            made = Item({}, item.owner, item.index, item.within)
            for key, node, source in sources:
                if (node, source) in kept:
                    made[key] = kept[node, source]
                else:
                    made.reason = made.reason or kept.get((node, None))
            yield made

    def keep(self, items, keys):
        """Remember the values of these keys for maps; a missing one leaves the reason why."""
        for item in items:
            kept = item.owner.kept
            for key in keys:
                if key in item:
                    kept[self.name, key] = item[key]
            kept[self.name, None] = item.reason
            yield item

    def _end(self, item):
        item.owner.ended(item, self._leaves)


class _Gather:
    """The owner of the elements of one item's list."""

    def __init__(self, item, node, split):
        self.item = item
        self.message = None
        self._waiting = len(item[split])
        within = f"{item.label}, [{node}] element "
        self.elements = [Item(item, self, number, within) for number in range(self._waiting)]
        for element, value in zip(self.elements, item[split], strict=True):
            element[split] = value

    @property
    def caller(self):
        return self.item.owner.caller

    @property
    def is_complete(self):
        return self._waiting == 0 or self.message is not None

    def taken(self):
        """The elements. They know their owner, so it lets go of them: a cycle would keep images for long."""
        elements, self.elements = self.elements, []
        return elements

    def finished(self, element):
        if self.message is None:  # of an item that has failed nobody asks for the others
            self._waiting -= 1
            self.elements[element.index] = element  # behind a branch it is another one than at the start

    def failed(self, element, message):
        self.message = self.message or message


class _Return:
    """The owner of an item that a sub-graph runs on."""

    def __init__(self, item, node):
        self._item = item
        self._node = node
        self.is_broken = False

    @property
    def caller(self):
        return self._item.owner.caller

    def finished(self, copy):
        self._item.clear()
        self._item.update(copy)
        self._item.reason = copy.reason
        if copy.reason is not None and RESULT not in copy:
            self._node.lose(self._item, copy.reason)

    def failed(self, copy, message):
        self.is_broken = not self._node.fail(self._item, message)


def travel(items, leaves=("",)):
    """Begin: each item gets its journey. ``leaves`` are the names of the graph's ends."""
    for item in items:
        item.owner = Journey(item.owner, leaves)
        item.passes_by = ()
        yield item


def copies(items):
    """A copy of each item (of a list), for another follower of the node that it comes from."""
    return [_copy(item, item.owner) for item in items]


def answers(*ends):
    """The items that are answered: ``ends`` are the items that reach each leaf, in the order of `travel`."""
    for position, items in enumerate(ends):
        for item in items:
            answer = item.owner.answer(item, 1 << position)
            if answer is not None:
                yield answer


def _reason(elements):
    """Why an element has no result: the first one's; None if all have one, or end without a reason."""
    lost = (element.reason for element in elements if RESULT not in element)
    return next((reason for reason in lost if reason is not None), None)


def _is_list(value):
    """True for what has elements; code without types may leave anything."""
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0


def _copy(item, owner):
    made = Item(item, owner, item.index, item.within)
    made.reason = item.reason
    made.passes_by = item.passes_by
    return made
