"""Plots as SVG, for screens and for print: thin black axes on white, colours that differ in gray as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 16, 30, 44
_COLOURS = ("#0b5394", "#c1440e", "#3d7a2a", "#7b4ba0", "#666666")
_TICKS = 6
_MOST_POINTS = 1500


@dataclass(frozen=True, slots=True)
class Series:
    """One curve or set of points; NaN leaves a gap.

    Attributes
    ----------
    name : str
    x, y : array of float, of one length
    dashed : bool
    points : bool
        Draw dots instead of a line.
    """

    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    dashed: bool = False
    points: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of a few series over one axis.

    Attributes
    ----------
    title, x_label, y_label : str
    series : sequence of Series
    y_down : bool
        The axis grows downwards.
    marks : sequence of (float, str)
        Vertical lines, with a word to each.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    y_down: bool = False
    marks: Sequence[tuple[float, str]] = ()

    def svg(self) -> str:
        """The plot as an SVG element that stands for itself."""
        x_low, x_high = _limits([s.x for s in self.series], margin=0.0)
        y_low, y_high = _limits([s.y for s in self.series], margin=0.06)
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

        def px(value: float) -> float:
            return _LEFT + (value - x_low) / (x_high - x_low) * wide

        def py(value: float) -> float:
            share = (value - y_low) / (y_high - y_low)
            return _TOP + (share if self.y_down else 1.0 - share) * high

        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{escape(self.title)}" font-family="sans-serif" font-size="11">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="18" font-size="13" font-weight="bold">{escape(self.title)}</text>',
        ]
        for value in ticks(x_low, x_high):
            out.append(f'<path d="M{px(value):.1f} {_TOP}v{high}" stroke="#e4e4e4"/>')
            out.append(
                f'<text x="{px(value):.1f}" y="{_TOP + high + 15}" text-anchor="middle">{number_text(value)}</text>'
            )
        for value in ticks(y_low, y_high):
            out.append(f'<path d="M{_LEFT} {py(value):.1f}h{wide}" stroke="#e4e4e4"/>')
            out.append(f'<text x="{_LEFT - 6}" y="{py(value) + 4:.1f}" text-anchor="end">{number_text(value)}</text>')
        for value, word in self.marks:
            out.append(f'<path d="M{px(value):.1f} {_TOP}v{high}" stroke="#888" stroke-dasharray="3 3"/>')
            out.append(f'<text x="{px(value) + 3:.1f}" y="{_TOP + 11}" fill="#555">{escape(word)}</text>')
        out.append(f'<rect x="{_LEFT}" y="{_TOP}" width="{wide}" height="{high}" fill="none" stroke="#222"/>')
        for number, series in enumerate(self.series):
            colour = _COLOURS[number % len(_COLOURS)]
            out += _drawn(series, colour, px, py)
            out += _legend(series, colour, number, len(self.series))
        out.append(
            f'<text x="{_LEFT + wide / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self.x_label)}</text>'
            f'<text transform="translate(14 {_TOP + high / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.y_label)}</text></svg>"
        )
        return "\n".join(out)


def _drawn(series: Series, colour: str, px: Any, py: Any) -> list[str]:
    x, y = np.asarray(series.x, float), np.asarray(series.y, float)
    step = max(1, -(-len(x) // _MOST_POINTS))
    x, y = x[::step], y[::step]
    if series.points:
        return [
            f'<circle cx="{px(a):.1f}" cy="{py(b):.1f}" r="2.6" fill="{colour}"/>'
            for a, b in zip(x, y, strict=True)
            if np.isfinite(a) and np.isfinite(b)
        ]
    path, pen_down = [], False
    for a, b in zip(x, y, strict=True):
        if not (np.isfinite(a) and np.isfinite(b)):
            pen_down = False
            continue
        path.append(f"{'L' if pen_down else 'M'}{px(a):.1f} {py(b):.1f}")
        pen_down = True
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    return [f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'] if path else []


def _legend(series: Series, colour: str, number: int, count: int) -> list[str]:
    if count < 2 or not series.name:
        return []
    x = _WIDTH - _RIGHT - 110 * (count - number)
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    return [
        f'<path d="M{x} 14h18" stroke="{colour}" stroke-width="2"{dash}/>'
        f'<text x="{x + 22}" y="18">{escape(series.name)}</text>'
    ]


def _limits(values: Sequence[NDArray[Any]], *, margin: float) -> tuple[float, float]:
    everything = np.concatenate([np.asarray(v, float).ravel() for v in values]) if values else np.zeros(0)
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return 0.0, 1.0
    low, high = float(everything.min()), float(everything.max())
    if high - low < 1e-12 * max(1.0, abs(low)):
        low, high = low - max(0.5, abs(low) * 0.01), high + max(0.5, abs(high) * 0.01)
    room = (high - low) * margin
    return low - room, high + room


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between the limits, about six; ``low`` alone where the limits are one."""
    if high <= low:
        return [low]
    raw = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    first = np.ceil(low / step - 1e-9)
    return [float(k * step) for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]


def number_text(value: float) -> str:
    """A number as plots show it."""
    return f"{value + 0.0:.6g}"
