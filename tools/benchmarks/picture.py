"""The growth curves as a picture: SVG written by hand, so that nothing has to be installed for it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 96, 34, 44
COLOURS = ["#0b6e4f", "#b5532a", "#5b5b5b", "#7a4fb0", "#2a6fb5"]

type Curve = Sequence[tuple[float, float]]


def growth(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return three charts side by side, of `make bench --json`'s lines: requests, files by rows, files by pairs."""
    requests: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if match := re.fullmatch(r"warm request, ([\d,]+) rows?", line["what"]):
            for name in ("ours", *line["ratios"]):
                requests.setdefault(name, []).append((_number(match[1]), line[name]))
    rows: dict[str, list[tuple[float, float]]] = {}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        match = re.fullmatch(r"file, ([\d,]+) rows, ([\d,]+) pairs: (CPU|memory)", line["what"])
        if not match:
            continue
        curves, size = (rows, match[1]) if match[2] == "1,000" else (pairs, match[2])
        for name in ("ours", *line["ratios"]):
            label = f"{name}, CPU ms" if match[3] == "CPU" else "ours, memory MB"
            curves.setdefault(label, []).append((_number(size), line[name]))
    charts = [
        chart("Warm request: CPU ms by rows", requests),
        chart("File of 1,000 pairs: by rows", rows),
        chart("File of 700,000 rows: by pairs", pairs),
    ]
    parts = [f'<g transform="translate({n * WIDTH} 0)">{each}</g>' for n, each in enumerate(charts)]
    size = f'viewBox="0 0 {WIDTH * len(charts)} {HEIGHT}" width="{WIDTH * len(charts)}" height="{HEIGHT}"'
    style = "<style>text{font:11px sans-serif;fill:#333}.title{font-size:13px;font-weight:bold}</style>"
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', style, background, *parts, "</svg>\n"])


def chart(title: str, curves: Mapping[str, Curve]) -> str:
    """Return a chart with both axes logarithmic, a curve with dots for each name."""
    points = [point for curve in curves.values() for point in curve]
    (left, right), (low, high) = (_decades([point[axis] for point in points]) for axis in (0, 1))

    def x(value: float) -> float:
        return round(LEFT + (math.log10(value) - left) / (right - left) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>']
    for power in range(left, right + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{10.0**power:,.10g}</text>')
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<path d="M{LEFT} {at}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{10.0**power:,.10g}</text>')
    labels = _apart({name: y(sorted(curve)[-1][1]) for name, curve in curves.items()})
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        dots = [(x(size), y(value)) for size, value in sorted(curve)]
        line = " ".join(f"{across},{down}" for across, down in dots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across}" cy="{down}" r="2.5" fill="{colour}"/>' for across, down in dots]
        place = f'x="{dots[-1][0] + 6}" y="{labels[name] + 4}"'
        parts.append(f'<text {place} style="fill:{colour}">{escape(name)}</text>')
    return "\n".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around positive values, two different ones."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Return the heights moved down where labels would cover each other."""
    moved: dict[str, float] = {}
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        moved[name] = max(height, max(moved.values(), default=-math.inf) + 12)
    return moved


def _number(text: str) -> int:
    return int(text.replace(",", ""))
