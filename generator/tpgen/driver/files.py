"""Small files that operators name, such as labels: found beside the TOML, and put beside the stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..diagnostics import Bag
from ..emit.repo_plan import Content
from ..ir.graph import Call, Graph, Node
from ..ir.op import Trait, attributes_of

FileKey = tuple[str, str]  # call label, attribute


def named_files(graph: Graph, base: Path) -> Iterator[tuple[Node, Call, str, Path]]:
    """The files of a graph's calls, models left out: node, call, attribute and path."""
    for node, call in graph.calls():
        for attribute in attributes_of(type(call.op)):
            value = getattr(call.op, attribute.name)
            is_model = attribute.name == "model" and call.op.has(Trait.INFERENCE)
            if attribute.declared.file and value and not is_model:
                yield node, call, attribute.name, base / value


def check_files(graph: Graph, base: Path, bag: Bag) -> None:
    """Report the files that cannot be read."""
    for node, call, attribute, path in named_files(graph, base):
        try:
            with path.open("rb"):
                pass
        except OSError as problem:
            reason = "there is no file" if isinstance(problem, FileNotFoundError) else problem.strerror
            bag.error(
                "TP118",
                f"{reason}: {path}",
                call.spans.get(attribute, call.span),
                hint="paths are relative to the TOML file",
                node=node.title,
            )


def file_contents(graph: Graph, base: Path) -> dict[FileKey, tuple[Path, dict[str, Content]]]:
    """The contents of the files, by call label and attribute; the path tells equal names apart."""
    return {
        (call.label, attribute): (path, {path.name: path.read_bytes()})
        for _, call, attribute, path in named_files(graph, base)
    }
