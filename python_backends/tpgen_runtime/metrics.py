"""Per-node figures on Triton's metrics endpoint.

Each process adds up its figures and hands the differences over once a second: a call into the server per
item, or even per batch, would cost more than many operators do. Rates and means come from the ratios:
``items / batches`` is the batch size, ``seconds / batches`` the latency of a batch.
"""

import threading

_FAMILIES = (
    ("items", "tpgen_node_items_total", "Items that entered the node"),
    ("batches", "tpgen_node_batches_total", "Batches that the node worked on"),
    ("errors", "tpgen_node_errors_total", "Items that the node's operators could not work on"),
    ("skipped", "tpgen_node_skipped_total", "Items that ended in front of the node"),
    ("seconds", "tpgen_node_seconds_total", "Time spent in the node, in seconds"),
)
# Of nodes that make images with padding, or call a model: published from the first one on.
_WASTE = (
    ("pixels", "tpgen_node_image_pixels_total", "Pixels of the images that padding operators made"),
    ("padding_pixels", "tpgen_node_padding_pixels_total", "Those of them that are padding"),
    ("rows", "tpgen_node_model_rows_total", "Rows that the node's models computed"),
    ("padding_rows", "tpgen_node_padding_rows_total", "Those of them that only fill up a batch"),
)
_OF_SOME = frozenset(figure for figure, _, _ in _WASTE)
_PARTS = {"padding_pixels": "pixels", "padding_rows": "rows"}
_PERIOD_S = 1.0


class _Sum:
    """The figures of several nodes of one name: what items run that start again are further ones."""

    def __init__(self, nodes):
        self.name = nodes[0].name
        self._nodes = nodes

    def __getattr__(self, figure):
        return sum(getattr(node, figure) for node in self._nodes)


def _by_name(nodes):
    found = {}
    for node in nodes:
        found.setdefault(node.name, []).append(node)
    return [_Sum(same) if len(same) > 1 else same[0] for same in found.values()]


class Metrics:
    """Publishes the figures of a stage's nodes. Does nothing where the server has no metrics."""

    def __init__(self, stage, pb_utils):
        self._nodes = _by_name(stage.nodes)
        self._counters = []
        # What ran before, to warm up, nobody asked for.
        figures = [figure for figure, _, _ in (*_FAMILIES, *_WASTE)]
        self._sent = {
            (node.name, figure): getattr(node, figure) for node in self._nodes for figure in figures
        }
        self._closing = threading.Event()
        try:
            # The families must stay referenced: a collected one breaks its counters.
            self._families = [
                pb_utils.MetricFamily(name=name, description=text, kind=pb_utils.MetricFamily.COUNTER)
                for _, name, text in (*_FAMILIES, *_WASTE)
            ]
            for (figure, _, _), family in zip((*_FAMILIES, *_WASTE), self._families, strict=True):
                for node in self._nodes:
                    counter = _Counter(family, {"pipeline": stage.pipeline, "node": node.name})
                    if figure not in _OF_SOME:
                        counter.show()
                    self._counters.append((node, figure, counter))
        except Exception as problem:  # noqa: BLE001  (figures are never worth a failed load)
            pb_utils.Logger.log_verbose(f"no metrics for {stage.pipeline}: {problem}")
            self._counters = []
        self._thread = threading.Thread(target=self._publish_forever, daemon=True, name="tpgen-metrics")
        if self._counters:
            self._thread.start()

    def close(self):
        """Publish what is left and stop."""
        self._closing.set()
        if self._counters:
            self._thread.join(timeout=5.0)

    def _publish_forever(self):
        while not self._closing.wait(_PERIOD_S):
            self._publish()
        self._publish()

    def _publish(self):
        for node, figure, counter in self._counters:
            value = getattr(node, figure)
            if getattr(node, _PARTS.get(figure, figure)):
                counter.show()  # a part of nothing is shown, too
            difference = value - self._sent[node.name, figure]
            if difference:
                counter.increment(difference)
                self._sent[node.name, figure] = value


class _Counter:
    """A counter that is not shown before it counts, unless it is told to."""

    def __init__(self, family, labels):
        self._family = family
        self._labels = labels
        self._shown = None

    def show(self):
        """Publish it from now on."""
        if self._shown is None:
            self._shown = self._family.Metric(labels=self._labels)

    def increment(self, by):
        """Add to it."""
        self.show()
        self._shown.increment(by)
