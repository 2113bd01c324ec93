"""`tpgen explain`: a pipeline, a diagnostic code, an operator or a key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import CODES, Bag, did_you_mean
from .options import compile_options, json_option
from .report import Report

if TYPE_CHECKING:
    from ..driver import BuildOptions


@click.command("explain")
@click.argument("subject", metavar="PIPELINE.toml|CODE|OPERATOR|KEY")
@compile_options()
@json_option
@click.pass_obj
def command(report: Report, subject: str, options: BuildOptions) -> None:
    """Explain what was decided for a pipeline, what a code means, what an operator or a key does."""
    if re.fullmatch(r"[Tt][Pp]\d+", subject):
        _explain_code(report, subject.upper())
    elif Path(subject).exists() or "/" in subject or subject.endswith(".toml"):
        _explain_pipeline(report, subject, options)
    else:
        _explain_operator(report, subject)


def _explain_code(report: Report, code: str) -> None:
    if code not in CODES:
        near = did_you_mean(code, CODES)
        raise click.UsageError(f"there is no code {code}" + (f"; did you mean {near}?" if near else ""))
    info = CODES[code]
    report.put(code=code, title=info.title, explanation=info.explanation)
    report.say(f"{code}: {info.title}\n\n{info.explanation}")


def _explain_operator(report: Report, name: str) -> None:
    from ..driver.reference_docs import name_text, names

    text = name_text(name)
    if text is None:
        near = did_you_mean(name, names())
        hint = f"did you mean '{near}'?" if near else "docs/operators.md lists the operators and keys"
        raise click.UsageError(f"'{name}' is not a file, a code, an operator or a key; {hint}")
    report.put(operator=name, explanation=text)
    report.say(text.rstrip())


def _explain_pipeline(report: Report, path: str, options: BuildOptions) -> None:
    from ..driver import compile_pipeline
    from ..driver.encrypted import scratch_folder
    from ..driver.explain import explain
    from ..driver.explain_text import explanation_text

    bag = Bag()
    with scratch_folder() as scratch:
        compiled = compile_pipeline(path, options, bag, scratch)
        bag.raise_if_errors()
        assert compiled is not None, "it compiled without an error"
        facts = explain(compiled)
    report.findings(bag.diagnostics)
    report.put(**facts.to_json())
    report.say(explanation_text(facts))
