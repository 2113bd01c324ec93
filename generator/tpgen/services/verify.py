"""Checks the served answers of a pipeline against the reference interpreter, output by output.

Every input is sent alone, then many at once (so that the server batches requests), then in one request of
several items. Each answer must be the one of its own input.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, PipelineError, Severity, did_you_mean
from ..driver import BuildOptions, Compiled, build
from ..driver.local import reference
from ..driver.precision import computes_in_less
from ..driver.values import item_for
from ..ir.graph import Entry
from ..runner.interpreter import ItemError
from .client import Client, RequestError
from .compare import HALF, Comparison, Tolerance, compare_values, is_empty
from .engines import require_engines
from .given import refuse_file_names
from .offered import choose_model
from .samples import Sample, enough_samples
from .server import TritonServer
from .sources import check_unchanged, sources_of

MINIMUM_SAMPLES = 16
CONCURRENCY = 8
_UNAVAILABLE = 503  # a queue is full, or a request waited in it for too long
MODES = ("alone", "concurrent", "batched")
Progress = Callable[[str], None]
Answer = Mapping[str, Any] | ItemError | RequestError


@dataclass
class OutputRow:
    """One output in one mode: the largest difference, what is allowed, and the inputs that differ."""

    entry: str
    output: str
    mode: str
    comparison: Comparison = field(default_factory=Comparison)
    wrong: list[int] = field(default_factory=list)
    compared: int = 0
    empty: int = 0  # of those compared, in which the reference has no value

    @property
    def ok(self) -> bool:
        return not self.wrong

    @property
    def hollow(self) -> bool:
        """True if there was no value to compare: the reference has none for any input."""
        return bool(self.compared) and self.empty == self.compared


@dataclass
class VerifyReport:
    """What was compared. ``problems`` are answers that are errors where the reference is none, or reverse.

    ``failing`` counts the inputs that have no answer in the reference either; only that is compared.
    ``refused`` are requests that never got to the pipeline, by entry and mode, with the queue's words.
    """

    samples: int
    failing: int = 0
    rows: list[OutputRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if all is equal that was to be compared."""
        return not self.refused and not self.differs

    @property
    def differs(self) -> bool:
        """True if an answer is not the reference's."""
        return bool(self.problems) or not all(row.ok for row in self.rows)

    @property
    def all_fail(self) -> bool:
        """True if no input has an answer, neither here nor there: then nothing was compared."""
        return self.failing == self.samples

    @property
    def alone(self) -> list[str]:
        """The entries of which a single input has an answer: none was sent in a batch with others."""
        return sorted({row.entry for row in self.rows if row.mode == "batched" and row.compared == 1})

    @property
    def hollow(self) -> bool:
        """True if answers were compared, and none of them has a value that can differ."""
        compared = [row for row in self.rows if row.compared]
        return bool(compared) and all(row.hollow for row in compared)

    @property
    def notes(self) -> list[str]:
        """What an answer that is equal does not show."""
        hollow: dict[tuple[str, int], list[str]] = {}
        for row in self.rows:
            if row.mode == MODES[0] and row.hollow:
                hollow.setdefault((row.entry, row.empty), []).append(row.output)
        empty = [
            f"{', '.join(outputs)} of {name} {'were' if len(outputs) > 1 else 'was'} empty in {count} of "
            f"{count} inputs: no value was compared; give inputs with --input that leave some"
            for (name, count), outputs in hollow.items()
        ]
        return empty + [
            f"only one input of {name} has an answer: no batch of several was sent" for name in self.alone
        ]

    @property
    def advice(self) -> str:
        """Where to look for the cause of answers that differ."""
        if self.problems:
            return "one side answers and the other fails: the problem above names the node, or the error"
        if all(row.ok for row in self.rows if row.mode == MODES[0]):
            return (
                "alone each input is answered right: look for an operator that keeps something between "
                "items, or a model whose rows influence each other"
            )
        return (
            "compare tpgen run with and without --reference, and with --fuse none; what is only more than "
            "rounding may do is allowed with --tolerance"
        )

    def table(self) -> str:
        """The report as text."""
        figures = f"{'compared':>8} {'largest difference':>19} {'allowed':>10}"
        lines = [f"{'output':<28} {'sent':<11} {figures}  result"]
        for row in self.rows:
            verdict = "ok" if row.ok else f"DIFFERS for {_listed(row.wrong)}"
            verdict = "empty" if row.ok and row.hollow else verdict
            verdict = verdict if row.compared else "not compared"
            found, allowed = row.comparison.difference, row.comparison.allowed
            name = f"{row.entry}:{row.output}"
            figures = f"{row.compared:>8} {found:>19.3g} {allowed:>10.3g}"
            lines.append(f"{name:<28} {row.mode:<11} {figures}  {verdict}")
        lines += [f"problem: {problem}" for problem in self.problems[:10]]
        if len(self.problems) > 10:
            lines.append(f"... and {len(self.problems) - 10} more problems")
        lines += [
            f"refused: {len(words)} requests to {name}, {mode}, and so not compared: {words[0]}"
            for (name, mode), words in self.refused.items()
        ]
        equal = "empty, as the reference is" if self.hollow else "equal to the reference"
        total = "NOT equal to the reference" if self.differs else equal
        if self.refused and not self.differs:
            total += ", but for the requests that a queue refused"
        total = "nothing compared" if self.all_fail else total
        failing = f"; {self.failing} without an answer in both" if self.failing else ""
        lines += [f"note: {note}" for note in self.notes]
        lines.append(f"{self.samples} inputs: {total}{failing}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "failing": self.failing,
            "outputs": [
                {
                    "entry": row.entry,
                    "output": row.output,
                    "mode": row.mode,
                    "compared": row.compared,
                    "empty": row.empty,
                    "difference": row.comparison.difference,
                    "allowed": row.comparison.allowed,
                    "wrong": row.wrong,
                }
                for row in self.rows
            ],
            "problems": self.problems,
            "notes": self.notes,
            "refused": [
                {"entry": name, "mode": mode, "requests": len(words), "reason": words[0]}
                for (name, mode), words in self.refused.items()
            ],
        }


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(n) for n in numbers[:5])
    return f"input {shown}" + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def verify(
    target: Path,
    samples: Sequence[Mapping[str, Any]] = (),
    *,
    entry: str | None = None,
    tolerance: float | None = None,
    url: str | None = None,
    tritonserver: str | Path | None = None,
    isolated: bool = False,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Serve a pipeline (or a built repository) and compare its answers with the reference.

    Args:
        target: a TOML file, or a repository that tpgen built; its TOML must be where `sources_of` looks.
        samples: inputs by key; at least 16 distinct ones are made from them.
        entry: the only one to check. By default all are, but those that are no roots only where no samples
            are given.
        tolerance: allowed difference of float outputs; default 1e-4 times the reference's largest value, and
            with engines in less than fp32 a hundredth of the range of its values.
        url: check a server that runs already, in place of starting one.
        tritonserver: the server binary, where it is not to be looked for.
        isolated: run the server in an environment that holds only the generated requirements.
        options: of the build, if ``target`` is a TOML file.
        progress: is told what happens.

    Raises:
        PipelineError: the pipeline is wrong, the server does not start, or does not have its entry.
        ToolMissing: an engine is still to be built.
        RequestError: no server answers, or not any more.
    """
    say = progress or _say_nothing
    with tempfile.TemporaryDirectory(prefix="tpgen-verify-") as scratch:
        if target.is_dir():
            repository, sources = target, sources_of(target)
        elif url:
            repository, sources = target, [(target, options or BuildOptions())]
        else:
            repository = Path(scratch) / "repository"
            built = build(target, repository, options)
            require_engines(repository, target)
            sources = [(target, options or BuildOptions())]
            say(f"built {', '.join(built.pipelines)}")
        pipeline = None if target.is_dir() else target
        server = (
            nullcontext()
            if url
            else TritonServer(repository, tritonserver=tritonserver, isolated=isolated, pipeline=pipeline)
        )
        with server as running:
            address = url or running.grpc_url  # type: ignore[union-attr]
            report = VerifyReport(0)
            names: list[str] = []
            for source, chosen in sources:
                compiled, interpreter = reference(source, chosen)
                if target.is_dir():
                    check_unchanged(target, compiled)
                names += [one.name for one in compiled.reference.entries]
                is_half = tolerance is None and computes_in_less(compiled.graph)
                allowed: Tolerance = HALF if is_half else tolerance
                for one in _to_check(compiled, entry, samples):
                    with Client(address) as client:
                        choose_model(client, one.name)
                    refuse_file_names(one, samples)
                    given = [item_for(one, sample) for sample in samples]
                    checked = enough_samples(one, given, MINIMUM_SAMPLES)
                    report.samples += len(checked)
                    say(f"{one.name}: {len(checked)} inputs")
                    expected = [interpreter.run(one, [sample])[0] for sample in checked]
                    with Client(address) as client:
                        _check_entry(client, one, checked, expected, allowed, report)
    if entry is not None and entry not in names:
        near = did_you_mean(entry, names)
        hint = f"did you mean '{near}'?" if near else f"entries: {', '.join(names)}"
        raise PipelineError([Diagnostic("TP706", Severity.ERROR, f"there is no entry '{entry}'", hint=hint)])
    return report


def _to_check(compiled: Compiled, wanted: str | None, samples: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The entries to check: the samples of the roots are not what the others take."""
    entries = compiled.reference.entries
    if wanted is not None:
        return [entry for entry in entries if entry.name == wanted]
    return [entry for entry in entries if not (entry.is_added and samples)]


def _say_nothing(_text: str) -> None:
    """The default progress."""


def _check_entry(
    client: Client,
    entry: Entry,
    samples: Sequence[Sample],
    expected: Sequence[dict[str, Any] | ItemError],
    tolerance: Tolerance,
    report: VerifyReport,
) -> None:
    def ask(sample: Sample) -> Answer:
        try:
            return client.infer(entry.name, sample)
        except RequestError as problem:
            return _an_answer(problem)

    answers: dict[str, Sequence[Answer | None]] = {"alone": [ask(sample) for sample in samples]}
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        answers["concurrent"] = list(pool.map(ask, samples))
    answers["batched"] = _ask_batched(client, entry, samples, expected)
    for mode in MODES:
        _compare(entry, mode, answers[mode], expected, tolerance, report)
    failing = [outcome for outcome in expected if isinstance(outcome, ItemError)]
    report.failing += len(failing)
    if len(failing) == len(expected):
        report.problems.append(
            f"{entry.name}: every input fails, so no answer could be compared: {failing[0]}"
        )


def _an_answer(problem: RequestError) -> RequestError:
    """An error that a server sent; if none sent it, there is nothing to compare."""
    if problem.status is None:
        raise problem
    return problem


def _ask_batched(
    client: Client, entry: Entry, samples: Sequence[Sample], expected: Sequence[dict[str, Any] | ItemError]
) -> list[Answer | None]:
    """Requests of several items; items that fail would fail their whole request and are left out (None)."""
    answers: list[Answer | None] = [None] * len(samples)
    good = [index for index, outcome in enumerate(expected) if not isinstance(outcome, ItemError)]
    for start in range(0, len(good), entry.max_batch):
        chosen = good[start : start + entry.max_batch]
        columns = {key: [samples[index][key] for index in chosen] for key in samples[chosen[0]]}
        try:
            answer = client.infer(entry.name, columns)
        except RequestError as problem:
            for index in chosen:
                answers[index] = _an_answer(problem)
            continue
        for row, index in enumerate(chosen):
            answers[index] = {key: values[row] for key, values in answer.items()}
    return answers


def _compare(
    entry: Entry,
    mode: str,
    answers: Sequence[Answer | None],
    expected: Sequence[dict[str, Any] | ItemError],
    tolerance: Tolerance,
    report: VerifyReport,
) -> None:
    rows = {port.key: OutputRow(entry.name, port.key, mode) for port in entry.outputs}
    for index, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
        if answer is None:
            continue
        if isinstance(answer, RequestError) and answer.status == _UNAVAILABLE:
            report.refused.setdefault((entry.name, mode), []).append(answer.message)
            continue
        if isinstance(answer, RequestError) or isinstance(wanted, ItemError):
            if not _fail_alike(answer, wanted):
                report.problems.append(
                    f"{mode}, input {index}: server: {_said(answer)}; reference: {_said(wanted)}"
                )
            continue
        assert not isinstance(answer, ItemError)
        for key, row in rows.items():
            found = compare_values(answer.get(key), wanted.get(key), tolerance)
            row.comparison = row.comparison.worst(found)
            row.compared += 1
            row.empty += is_empty(wanted.get(key))
            if not found.equal:
                row.wrong.append(index)
    report.rows += rows.values()


def _fail_alike(answer: Answer, wanted: Answer) -> bool:
    """True if both are errors, and lay the blame on the same side: the input (400) or an operator."""
    if not (isinstance(answer, RequestError) and isinstance(wanted, ItemError)):
        return False
    return wanted.is_input == (answer.status == 400)


def _said(answer: Answer) -> str:
    return f"error: {answer}" if isinstance(answer, Exception) else "an answer"
