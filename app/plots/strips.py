"""Two strips of dots over one axis of log p, as SVG that takes the page's colours and width."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

__all__ = ["Dot", "Strip", "strips_svg", "ticks_between"]

_LEFT, _RIGHT = 3.0, 97.0  # per cent of the width
_ROW, _DOTS, _AXIS = 44, 28, 30  # pixels: height of a strip, of its dots below its top, of the axis
_LIFTS = (0, -5, 5, -2.5, 2.5)  # pixels, so that equal values are seen as several


@dataclass(frozen=True)
class Dot:
    """One value, and what it says when pointed at."""

    value: float
    title: str


@dataclass(frozen=True)
class Strip:
    """One line of the plot.

    Attributes:
        name: CSS class of its dots.
        title: Words above it.
        changed: With the range swapped.
        unchanged: As they are.
    """

    name: str
    title: str
    changed: Sequence[Dot]
    unchanged: Sequence[Dot]


def ticks_between(low: float, high: float, *, most: int = 5) -> list[float]:
    """Return round numbers from ``low`` to ``high``, ``most`` at most.

    >>> ticks_between(-312.0, 25.0), ticks_between(1.2, 3.1, most=4)
    ([-300.0, -200.0, -100.0, 0.0], [1.5, 2.0, 2.5, 3.0])
    """
    if not high > low:
        return [low]
    power = 10.0 ** np.floor(np.log10((high - low) / most))
    for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power):
        first, last = int(np.ceil(low / step)), int(np.floor(high / step))
        if last - first < most:
            break
    return [float(round(step * k, 10)) for k in range(first, last + 1)]


def strips_svg(strips: Sequence[Strip], axis: str, label: str) -> str:
    """Return the plot: changed values as full dots with their median, unchanged ones as rings.

    Args:
        strips: From top to bottom.
        axis: Words below the axis.
        label: The plot in words, for who cannot see it.
    """
    values = [dot.value for strip in strips for dot in (*strip.changed, *strip.unchanged)]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 1, high + 1

    def x(value: float) -> str:
        return f"{_LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low):.2f}%"

    bottom = _ROW * len(strips) + 2
    parts = []
    for tick in ticks_between(low, high):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="0" y2="{bottom}"/>')
        share = (tick - low) / (high - low)
        anchor = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        text = f"{tick:g}".replace("-", "−")
        parts.append(f'<text class="tick" x="{x(tick)}" y="{bottom + 11}" text-anchor="{anchor}">{text}</text>')
    parts.append(f'<text class="axis" x="50%" y="{bottom + 25}" text-anchor="middle">{escape(axis)}</text>')
    for number, strip in enumerate(strips):
        top = _ROW * number
        y = top + _DOTS
        parts.append(f'<text class="name" x="0" y="{top + 12}">{escape(strip.title)}</text>')
        for kind, radius, dots in (("unchanged", 3.2, strip.unchanged), ("changed", 3.4, strip.changed)):
            for place, dot in enumerate(dots):
                lift = _LIFTS[place % len(_LIFTS)] if len(dots) > 1 else 0
                parts.append(
                    f'<circle class="{kind} {strip.name}" cx="{x(dot.value)}" cy="{y + lift}" r="{radius}">'
                    f"<title>{escape(dot.title)}</title></circle>"
                )
            if len(dots) > 1:
                middle = x(float(np.median([dot.value for dot in dots])))
                ends = f'y1="{y - 10}" y2="{y + 10}"'
                parts.append(f'<line class="median {kind} {strip.name}" x1="{middle}" x2="{middle}" {ends}/>')
    return (
        f'<svg class="strips" role="img" aria-label="{escape(label)}" width="100%" height="{bottom + _AXIS}">'
        f"{''.join(parts)}</svg>"
    )
