"""The reference of operators, keys and diagnostics, as Markdown, from the declarations in the compiler.

`docs/operators.md` and `docs/errors.md` are made of it, and `tpgen explain` shows parts of it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

from .. import ops as _operators  # noqa: F401  (declares them)
from ..codes import CODES
from ..frontend.calls import FORKS, SEQUENCES, WRAPPERS
from ..frontend.filters import filter_names, key_of_filter, named_filter
from ..frontend.macros import MACROS
from ..frontend.tables import WITHOUT_EFFECT, NodeKeys, PipelineKeys
from ..ir.filters import RUNS, SWAPS, Otherwise
from ..ir.op import REGISTRY, AttributeField, Op, Trait, attributes_of, bracket_attribute, declared_attributes
from ..ops.unsupported import UNSUPPORTED
from .reference_graphs import GRAPHS

GENERATED = "<!-- Written by docs/generate.py (make docs); change the declarations, not this page. -->\n"

# What a user of an operator wants to know of its traits.
REMARKS = {
    Trait.FAILS: "An item that it can't work on fails with the reason.",
    Trait.DECLINES: "It can end an item without a result, which is not an error.",
    Trait.GPU_CONVENTION: "Named after a GPU operator, with its conventions;"
    " computed on the CPU unless `preprocess` moves it.",
}

TYPE_WORDS = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}


def operators_page() -> str:
    """The reference of all operators and keys."""
    return "\n".join(
        [
            "# Operators and keys",
            "",
            GENERATED,
            "## Keys of every node",
            "",
            *key_table(declared_attributes(NodeKeys)),
            "",
            "## Keys of `[pipeline]`",
            "",
            *key_table(declared_attributes(PipelineKeys)),
            "",
            "## Containers",
            "",
            *containers(),
            "",
            "## Names of keys",
            "",
            "In every value, these stand for the dialect's own keys.",
            "",
            *two_columns("Written", "Stands for", ((name, f"`{key}`") for name, key in MACROS.items())),
            "",
            "## Graphs",
            "",
            GRAPHS,
            "## Filters",
            "",
            *filters(),
            "",
            *(line for group in groups() for line in group_section(group)),
            "## Operators that are not compiled",
            "",
            *two_columns("Operator", "Why, and what to use", UNSUPPORTED.items()),
            "",
            "## Keys without effect",
            "",
            "They are accepted, and `tpgen explain` lists those that a pipeline has.",
            "",
            *two_columns("Key", "Why", WITHOUT_EFFECT.items()),
            "",
        ]
    )


def groups() -> list[str]:
    """The operator families, those that most pipelines need first."""
    first = ("image", "inference", "postprocess", "tensor", "keys")
    names = {operator.group for operator in REGISTRY.values()}
    return sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))


def group_section(group: str) -> Iterator[str]:
    """All operators of a family."""
    yield f"## {group[:1].upper()}{group[1:]}"
    yield ""
    for operator in dict.fromkeys(REGISTRY.values()):
        if operator.group == group:
            yield from operator_section(operator)


def operator_section(operator: type[Op]) -> Iterator[str]:
    """One operator: its names, meaning, data keys, TOML keys and remarks."""
    name, *aliases = operator.names
    yield f"### {name}"
    yield ""
    if aliases:
        yield f"Also {', '.join(f'`{alias}`' for alias in aliases)}."
        yield ""
    yield (inspect.getdoc(operator) or "").replace("``", "`")
    yield ""
    yield data_keys(operator)
    yield from remarks(operator)
    yield ""
    keys = toml_keys(operator)
    if keys:
        yield from key_table(keys)
        yield ""


def operator_text(operator: type[Op]) -> str:
    """The same for a terminal."""
    lines = [", ".join(operator.names), "", inspect.getdoc(operator) or "", "", data_keys(operator)]
    lines += [*remarks(operator), ""]
    for field in toml_keys(operator):
        lines += [f"  {', '.join(field.spellings)}  ({_facts(field)})", f"      {meaning(field)}"]
    return "\n".join(lines).replace("`", "").rstrip() + "\n"


def _facts(field: AttributeField) -> str:
    """The values of a key and its default, as a phrase."""
    given = default(field)
    given = given if given in ("", "required") else f"default {given}"
    return "; ".join(fact for fact in (values(field), given) if fact)


def data_keys(operator: type[Op]) -> str:
    """What the operator takes from an item and puts there, as a sentence."""
    return f"Reads {key_list(operator.reads)}; writes {key_list(operator.writes)}."


def remarks(operator: type[Op]) -> list[str]:
    """What else a user should know, one sentence each."""
    found = [text for trait, text in REMARKS.items() if trait in operator.traits]
    brackets = bracket_attribute(operator)
    if brackets is not None:
        found.insert(0, f"In brackets: {meaning(brackets)}")
    return [*found, f"Differs from the original: {operator.note.rstrip('.')}."] if operator.note else found


def toml_keys(operator: type[Op]) -> list[AttributeField]:
    """The attributes that are keys of the node."""
    return [field for field in attributes_of(operator) if field.is_key]


def key_list(keys: tuple[str, ...]) -> str:
    """The keys as a phrase."""
    return ", ".join(f"`{key}`" for key in keys) or "what its parameters say"


def key_table(fields: Iterable[AttributeField]) -> Iterator[str]:
    """A table of TOML keys."""
    yield "| key | default | values | meaning |"
    yield "|---|---|---|---|"
    for field in fields:
        names = ", ".join(f"`{spelling}`" for spelling in field.spellings)
        yield f"| {names} | {default(field)} | {cell(values(field))} | {cell(meaning(field))} |"


def default(field: AttributeField) -> str:
    """What an absent key stands for."""
    if field.required:
        return "required"
    if field.default in (None, "", ()):
        return ""
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, tuple):
        return f"`{','.join(map(str, field.default))}`"
    return f"`{field.default}`"


def values(field: AttributeField) -> str:
    """The type of a key, with its choices or bounds."""
    declared = field.declared
    if declared.choices:
        return ", ".join(f"`{choice}`" for choice in declared.choices if choice != "")
    bounds = ""
    if declared.ge is not None and declared.le is not None:
        bounds = f" {declared.ge} to {declared.le}"
    elif declared.ge is not None:
        bounds = f" ≥ {declared.ge}"
    elif declared.le is not None:
        bounds = f" ≤ {declared.le}"
    words = re.sub(r"\b(str|int|float|bool)\b", lambda match: TYPE_WORDS[match[0]], field.annotation)
    words = re.sub(r"tuple\[(\w+), \.\.\.\]", r"list of \1s", words)
    return re.sub(r"dict\[.*\]", "table", words) + bounds


def meaning(field: AttributeField) -> str:
    """The key's documentation, with the one target that it is for."""
    target = field.declared.target
    return field.declared.doc + (f" Target {target} only." if target else "")


def containers() -> Iterator[str]:
    """What may stand around operators in `backend`."""
    sequences = ", ".join(f"`{name}[...]`" for name in sorted(SEQUENCES, key=len, reverse=True))
    yield f"{sequences}: the operators one after another; the `result` of each is the `data` of the next."
    yield ""
    yield "`HasKey(key=k)[A,B]`: A runs for the items that have the key, B for the others; `NotHasKey` is its"
    yield "opposite. A and B are one operator or a sequence each, and without B the others go on as they are."
    yield "What an item has when it comes to the container decides, whatever A does to the key."
    yield ""
    yield from two_columns("Container", "Its operator runs as if written alone", WRAPPERS.items())


def filters() -> Iterator[str]:
    """What `filter` and the parentheses before an operator may say."""
    yield "Before a node they are its key `filter`, before an operator of a sequence they stand in"
    yield "parentheses, and decide for each item on its own. Skip passes over the node or the operator; Break"
    yield "ends the item at a node, and inside a sequence the sequence."
    yield ""
    yield from two_columns("Filter", "What it does", [(name, _filter_text(name)) for name in filter_names()])
    yield ""
    yield _USER_FILTERS
    yield from two_columns("Status", "What becomes of the item", _STATUS_MEANINGS.items())
    yield _USER_STATUSES


_USER_FILTERS = """\
`Python[module:name]` is a function of your own in `module.py` beside the TOML, read and not run by the
compiler. Its parameters are the keys of the item that it reads, those behind `*` come from the node's TOML
keys; it writes nothing, and arrays are read-only. An item that lacks the `result` it reads ends, as with
`swap`. It returns one of:
"""
_USER_STATUSES = """
Where all of its `return`s are constants, only these are possible, which gives better types. An `ItemError`
fails the item as bad input; any other exception, or another value, as an error of the code. A class with
`forward(self, item)` in TorchPipe's style works, too, if it only reads keys that are written out."""
_STATUS_MEANINGS = {
    RUNS: "runs, with `data` as it is",
    SWAPS: "its `result` becomes `data`, then it runs; without a `result` it is Break",
    Otherwise.SKIP.value: "passes over the node, or the operator of the sequence",
    Otherwise.SERIAL_SKIP.value: "passes over the longest chain of nodes from here; ends a sequence",
    Otherwise.SUBGRAPH_SKIP.value: "passes over all nodes that are reached through this one; ends a sequence",
    Otherwise.BREAK.value: "ends here: its keys are the answer; ends a sequence",
    Otherwise.ERROR.value: "fails, as bad input",
}


def _filter_text(name: str) -> str:
    key = key_of_filter(name)
    return named_filter(name, "KEY").meaning + (f"; KEY is what the node's `{key}` names" if key else "")


def two_columns(left: str, right: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A table of names and texts, sorted by name."""
    yield f"| {left} | {right} |"
    yield "|---|---|"
    for name, text in sorted(rows, key=lambda row: row[0].casefold()):
        yield f"| `{name}` | {cell(text)} |"


def cell(text: str) -> str:
    """The text as it can stand in a table."""
    return text.replace("``", "`").replace("|", "\\|")


def errors_page() -> str:
    """The reference of all diagnostics."""
    lines = ["# Diagnostics", "", GENERATED, "`tpgen explain CODE` shows one of these.", ""]
    for code, info in sorted(CODES.items()):
        lines += [f"## {code}: {info.title}", "", info.explanation, ""]
    return "\n".join(lines)


_SIDES = {True: "have", False: "do not have"}


def names() -> list[str]:
    """All that `name_text` knows."""
    operators = {*REGISTRY, *FORKS, *WRAPPERS, *SEQUENCES, *UNSUPPORTED}
    return sorted({*operators, *filter_names(), *WITHOUT_EFFECT, *_key_owners()})


def name_text(name: str) -> str | None:
    """What an operator, a container or a key is, for a terminal; None: there is none."""
    if name in REGISTRY:
        return operator_text(REGISTRY[name])
    if name in SEQUENCES:
        return f"{name}[...]: the operators in it, one after another.\n"
    if name in FORKS:
        return (
            f"{name}(key=k)[A,B]: A for the items that {_SIDES[FORKS[name][0]]} the key, B for the others.\n"
        )
    if name in WRAPPERS:
        return f"{name}[...]: its operator runs as if written alone; {_plain(WRAPPERS[name])}\n"
    if name in UNSUPPORTED:
        return f"{name} is not compiled: {_plain(UNSUPPORTED[name])}\n"
    if name in WITHOUT_EFFECT:
        return f"The key '{name}' is accepted and has no effect: {_plain(WITHOUT_EFFECT[name])}\n"
    if name in filter_names() and name not in _key_owners():
        return f"{name}: a filter; {_plain(_filter_text(name))}\n"
    return _key_text(name)


def _key_text(name: str) -> str | None:
    """What a key means to all that take it; ``Operator::key`` tells of that operator only."""
    owners = _key_owners()
    operator, _, key = ("", "", name) if name in owners else name.rpartition("::")
    if operator and operator not in REGISTRY:
        return None
    wanted = REGISTRY[operator].names[0] if operator else None
    told = [
        f"{key}: a key of {_listed(places)}  ({_facts(field)})\n    {meaning(field)}\n"
        for field, places in owners.get(key, {}).items()
        if wanted is None or wanted in places
    ]
    return _plain("\n".join(told)) or None


def _key_owners() -> dict[str, dict[AttributeField, list[str]]]:
    """For each spelling of a key: its declarations, and what takes the key as declared so."""
    found: dict[str, dict[AttributeField, list[str]]] = {}
    takers: list[tuple[str, Iterable[AttributeField]]] = [
        ("every node", declared_attributes(NodeKeys)),
        ("[pipeline]", declared_attributes(PipelineKeys)),
        *((cls.names[0], toml_keys(cls)) for cls in dict.fromkeys(REGISTRY.values())),
    ]
    for taker, fields in takers:
        for field in fields:
            for spelling in field.spellings:
                found.setdefault(spelling, {}).setdefault(field, []).append(taker)
    return found


def _listed(places: list[str]) -> str:
    """The names as a phrase."""
    return " and ".join([part for part in (", ".join(places[:-1]), places[-1]) if part])


def _plain(text: str) -> str:
    return text.replace("`", "")
