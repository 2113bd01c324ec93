"""Draws line charts over a few named steps as SVG, without any library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from itertools import groupby

_WIDTH, _HEIGHT = 960, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 56, 104, 64  # margins of a panel
_INK, _MUTED, _GRID, _ALARM = "#1f2933", "#52606d", "#e4e7eb", "#b91c1c"
_LABEL_GAP = 15.0
_SIZE = f'width="{_WIDTH}" height="{_HEIGHT}"'
_FONT = 'font-family="system-ui, Helvetica, Arial, sans-serif"'


class Mark(Enum):
    """What is to know of a step; the value is its legend, empty for a sound one."""

    SOUND = ""
    UNSTABLE = "\u25cb not stable"
    FAILED = "\u00d7 failed"


@dataclass(frozen=True)
class Series:
    """A line: its name (empty: none is written), one value per step (None: a gap), its colour."""

    name: str
    values: Sequence[float | None]
    color: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes. ``marks``: one per step."""

    title: str
    unit: str
    steps: Sequence[str]
    series: Sequence[Series]
    marks: Sequence[Mark]


def svg(title: str, subtitle: str, steps_title: str, panels: Sequence[Panel]) -> str:
    """Draws panels side by side under one title.

    Args:
        title: what the chart is of.
        subtitle: how it was made.
        steps_title: what the steps on each horizontal axis are.
        panels: at least one.
    """
    width = _WIDTH / len(panels)
    used = {mark for panel in panels for mark in panel.marks}
    subtitle = " \u00b7 ".join([subtitle, *(mark.value for mark in Mark if mark.value and mark in used)])
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_SIZE} {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(24, 34, title, size=19, weight="600"),
        _text(24, 55, subtitle, size=13, color=_MUTED),
    ]
    for number, panel in enumerate(panels):
        body += _panel(panel, steps_title, number * width, width)
    return "\n".join([*body, "</svg>"]) + "\n"


def _panel(panel: Panel, steps_title: str, offset: float, width: float) -> list[str]:
    left, right = offset + _LEFT, offset + width - _RIGHT
    top, bottom = float(_TOP), float(_HEIGHT - _BOTTOM)
    values = (value for line in panel.series for value in line.values if value is not None)
    ticks = _ticks(max(values, default=1.0))
    xs = _spread(left, right, len(panel.steps))

    def y_of(value: float) -> float:
        return bottom - (bottom - top) * value / ticks[-1]

    parts = [_text(left - 48, top - 18, f"{panel.title}, {panel.unit}", size=14, weight="600")]
    for tick in ticks:
        y = y_of(tick)
        parts.append(_line([(left, y), (right, y)], _GRID if tick else _MUTED, 1))
        parts.append(_text(left - 8, y + 4, _tick_text(tick, ticks[1]), anchor="end", color=_MUTED))
    for x, step, mark in zip(xs, panel.steps, panel.marks, strict=True):
        parts.append(_text(x, bottom + 20, step, anchor="middle", color=_MUTED))
        if mark is Mark.FAILED:
            parts.append(_text(x, bottom - 6, "\u00d7", anchor="middle", size=22, color=_ALARM, weight="600"))
    parts.append(_text((left + right) / 2, bottom + 44, steps_title, anchor="middle", size=13, color=_MUTED))
    ends = []
    for line in panel.series:
        points = [
            (x, y_of(value), mark) if value is not None else None
            for x, value, mark in zip(xs, line.values, panel.marks, strict=True)
        ]
        for there, run in groupby(points, lambda point: point is not None):
            if there:
                parts.append(_line([point[:2] for point in run if point], line.color, 2.5))
        known = [point for point in points if point]
        parts += [_dot(x, y, line.color, mark) for x, y, mark in known]
        if line.name and known:
            ends.append((known[-1][1], line))
    last = max((x for x, mark in zip(xs, panel.marks, strict=True) if mark is not Mark.FAILED), default=left)
    for y, line in _apart(ends):
        parts.append(_text(last + 10, y + 4, line.name, color=line.color, weight="600"))
    return parts


def _dot(x: float, y: float, color: str, mark: Mark) -> str:
    fill = "#ffffff" if mark is Mark.UNSTABLE else color
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{color}" stroke-width="2"/>'


def _spread(left: float, right: float, count: int) -> list[float]:
    """Where the steps stand: evenly, half a step from either end."""
    pitch = (right - left) / max(count, 1)
    return [left + pitch * (index + 0.5) for index in range(count)]


def _ticks(largest: float) -> list[float]:
    """Round numbers from 0 to just above the largest value, four to six of them."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    return [step * index for index in range(math.ceil(largest * 1.001 / step) + 1)]


def _tick_text(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if step * 10**digits % 1 > 1e-9:
        digits += 1  # a step of 2.5 needs a digit more than its power of ten
    return f"{value:,.{digits}f}"


def _apart(labels: list[tuple[float, Series]]) -> list[tuple[float, Series]]:
    """Moves labels that would overlap down until they do not."""
    placed: list[tuple[float, Series]] = []
    for y, line in sorted(labels, key=lambda label: label[0]):
        lowest = placed[-1][0] + _LABEL_GAP if placed else y
        placed.append((max(y, lowest), line))
    return placed


def _line(points: Sequence[tuple[float, float]], color: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    pen = f'fill="none" stroke="{color}" stroke-width="{width}" stroke-linejoin="round"'
    return f'<polyline points="{path}" {pen}/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    color: str = _INK,
    anchor: str = "start",
    weight: str = "400",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )
