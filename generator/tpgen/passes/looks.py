"""Which values have to say at run time what layout and colour order they have.

Where two ways meet that bring images of differing layout or colour order, only the values know. Each gets a
*tag* where it was made, because there both are known, and keeps it wherever it goes; whoever depends on it
reads it. Values that never get to such a place have no tag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeAlias

from ..ir.graph import Call, Graph, Node
from ..ir.op import Trait
from ..types import Array, Color, Layout, ListOf, State, Type, varying

# Layout and colour order, None where they vary; then the position of the read key that says what they are.
Look: TypeAlias = tuple[str | None, str | None]
Given: TypeAlias = Look | tuple[str | None, str | None, int | None]


def tagged_writers(graph: Graph) -> frozenset[str]:
    """The calls (and entry inputs, see `sent`) whose images have to carry a tag."""
    types = graph.types
    assert types is not None
    calls = {call.label: call for _, call in graph.calls() if call.label in types.before}
    found: set[str] = set()
    waiting = [state for state in _asked(graph) if varying(state.type)]
    while waiting:
        for label in waiting.pop().writers - found:
            found.add(label)
            if label in calls and any(map(varying, types.written.get(label, {}).values())):
                read = (types.before[label][key] for key in calls[label].op.inputs())
                waiting += [state for state in read if varying(state.type)]
    return frozenset(found)


def _asked(graph: Graph) -> Iterator[State]:
    """The states of the keys of which somebody may want to know."""
    assert graph.types is not None
    for label, types in graph.types.turned.items():
        states = graph.types.before[label]
        yield from (states[key] for key, type_ in types.items() if asked_look(states[key].type, type_))
    for entry in graph.entries:
        final = graph.types.final.get(entry.root, {})
        yield from (final[port.key] for port in entry.outputs if port.key in final)
    for stage in graph.stages:
        yield from (port.state for port in (*stage.inputs, *stage.outputs))


def takes(graph: Graph, call: Call) -> tuple[Look | None, ...]:
    """For each key that a call reads, the layout and colour order that images are turned to; None: as is."""
    assert graph.types is not None
    before, read = graph.types.before.get(call.label, {}), graph.types.turned.get(call.label, {})
    return tuple(asked_look(before[key].type, read[key]) if key in read else None for key in call.op.inputs())


def gives(graph: Graph, call: Call, tagged: Collection[str]) -> tuple[Given | None, ...]:
    """For each key that a call writes, what its images are tagged with; None: they are not."""
    assert graph.types is not None
    keys = call.op.outputs()
    if call.label not in tagged or call.op.has(Trait.FORWARDS) or call.jump is not None:
        return (None,) * len(keys)
    before, written = graph.types.before[call.label], graph.types.written[call.label]
    read = call.op.inputs()
    like = next((at for at, key in enumerate(read) if varying(before[key].type)), None)
    return tuple(_given(written.get(key), like) for key in keys)


def _given(type_: Type | None, like: int | None) -> Given | None:
    image = _image(type_)
    if image is None or not image.is_image:
        return None
    return (*look(image), like) if image.varies else look(image)


def default_look(graph: Graph, node: Node, tagged: Collection[str]) -> Look | None:
    """What the image is tagged with that a node gives for one that failed; None: it is not."""
    assert graph.types is not None
    image = _image(graph.types.results.get(node.name))
    if image is None or not image.is_image or node.calls[-1].label not in tagged:
        return None
    return look(image)


def look(image: Array) -> Look:
    """The layout and colour order as the runtime takes them; None where they vary."""
    layout = None if image.layout is Layout.VARIES else image.layout.value
    return layout, None if image.color is Color.VARIES else image.color.value


def asked_look(before: Type | None, read: Type) -> Look | None:
    """What an image is turned to where a call reads it; None where it does not ask."""
    found, wanted = varying(before), _image(read)
    if found is None or wanted is None or (found.layout, found.color) == (wanted.layout, wanted.color):
        return None
    layout = wanted.layout.value if wanted.layout is not found.layout else None
    return layout, wanted.color.value if wanted.color is not found.color else None


def decisions(graph: Graph) -> Iterator[str]:
    """What is brought into one layout or colour order where it is read, for people."""
    assert graph.types is not None
    for node, call in graph.calls():
        for key, asked in zip(call.op.inputs(), takes(graph, call), strict=True):
            if asked is not None:
                found = graph.types.before[call.label][key].type
                into = " ".join(part for part in asked if part)
                yield f"{node.title}: '{key}' is {found}; each is brought to {into} for {call.op.name}"


def _image(type_: Type | None) -> Array | None:
    while isinstance(type_, ListOf):
        type_ = type_.item
    return type_ if isinstance(type_, Array) else None
