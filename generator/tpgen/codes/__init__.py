"""Every diagnostic code, with the page that `tpgen explain CODE` shows: one Markdown file each.

A page says what is wrong, shows a small example and the way out; its first line is the title. Ranges: TP0xx
TOML and files; TP1xx keys, values, names, backend expressions; TP2xx graph; TP3xx types; TP4xx models; TP5xx
user code; TP6xx repository writing; TP7xx server, verify, perf; TP8xx lint of a repository; TP9xx decisions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class CodeInfo:
    """What a code means: a title of one line, and an explanation in Markdown."""

    title: str
    explanation: str


class _Pages(Mapping[str, CodeInfo]):
    """The codes in order; a page is read when it is asked for."""

    @cached_property
    def _files(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(Path(__file__).parent.glob("TP*.md"))}

    def __getitem__(self, code: str) -> CodeInfo:
        title, _, explanation = self._files[code].read_text(encoding="utf-8").partition("\n")
        return CodeInfo(title.removeprefix("# "), explanation.strip())

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


CODES: Mapping[str, CodeInfo] = _Pages()
