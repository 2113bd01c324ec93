"""Writes docs/operators.md and docs/errors.md from the declarations in the compiler.

`python docs/generate.py` writes them, `--check` only says which are stale (exit 1). The declarations are the
one place to change.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import tpgen.ops  # noqa: F401 - fills the registry
from tpgen.codes import CODES
from tpgen.frontend.calls import SEQUENCES, WRAPPERS
from tpgen.frontend.tables import WITHOUT_EFFECT, NodeKeys, PipelineKeys
from tpgen.ir.op import REGISTRY, AttributeField, Op, Trait, attributes_of, declared_attributes
from tpgen.ops.unsupported import UNSUPPORTED

DOCS = Path(__file__).resolve().parent
GENERATED = "<!-- Written by docs/generate.py (make docs); change the declarations, not this page. -->\n"

# What a user of an operator wants to know of its traits.
REMARKS = {
    Trait.FAILS: "An item that it can't work on fails with the reason.",
    Trait.DECLINES: "It can end an item without a result, which is not an error.",
    Trait.GPU_CONVENTION: "Named after a GPU operator; computed on the CPU with that operator's conventions.",
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
    yield f"Reads {key_list(operator.reads)}; writes {key_list(operator.writes)}."
    remarks = [text for trait, text in REMARKS.items() if trait in operator.traits]
    if operator.note:
        remarks.append(f"Differs from the original: {operator.note}.")
    yield from remarks
    yield ""
    keys = [field for field in attributes_of(operator) if field.declared.from_toml]
    if keys:
        yield from key_table(keys)
        yield ""


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
    yield from two_columns("Container", "Its operator runs as if written alone", WRAPPERS.items())


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


def main() -> int:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    check = parser.parse_args().check
    stale = []
    for name, text in (("operators.md", operators_page()), ("errors.md", errors_page())):
        path = DOCS / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
