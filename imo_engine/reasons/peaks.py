"""Find what stands out of a curve: narrow peaks, broad ones below them, and plateaus with holes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Region", "find_regions"]

LEVEL = 1 / 3
"""Share of its peak above which a region extends."""

_BRIDGE = 10  # pixels that a region may always cross
_REACH = 32  # pixels around a region in which what is lower belongs to it
_WALL = 64  # pixels; a wider region is not passed below
_MOST = 250  # regions looked at; the rest is far below what anybody would look at


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a curve.

    Attributes:
        start: First pixel.
        stop: One past the last pixel.
        pixels: Those of [start, stop) that belong to it: above 0 and no part of a higher region.
    """

    start: int
    stop: int
    pixels: NDArray[np.int64]


def find_regions(curve: NDArray[np.float64]) -> list[Region]:
    """Divide the positive parts of a curve, (pixel,), into regions, the highest peak first.

    The highest pixel that belongs to nothing yet begins a region. It extends to either side as long as the
    curve stays above a third of that height, across gaps of up to 10 pixels or half of its width so far if
    its mean stays above that level too; it passes below narrow higher regions without taking their pixels.
    What lies within 32 pixels of a higher region is part of it; what clings to a broad one, within half of
    its width, is left out. NaN is no gap: nothing is known there. No pixel belongs to two regions.
    """
    known = np.flatnonzero(np.isfinite(curve))
    height = curve[known]
    free = height > 0
    owner = np.full(len(height), -1)
    found: list[tuple[int, int]] = []
    for _ in range(_MOST):
        if not free.any():
            break
        top = int(np.argmax(np.where(free, height, -np.inf)))
        start, stop = _extent(_visible(height, owner, found, LEVEL * height[top]), top, LEVEL * height[top])
        inside = np.flatnonzero(free[start:stop]) + start
        free[inside] = False
        belongs = _neighbour(found, int(inside[0]), int(inside[-1]) + 1, _REACH)
        if belongs is not None:
            found[belongs] = min(found[belongs][0], int(inside[0])), max(found[belongs][1], int(inside[-1]) + 1)
            owner[inside] = belongs
        elif _neighbour(found, int(inside[0]), int(inside[-1]) + 1, None) is None:
            owner[inside] = len(found)
            found.append((int(inside[0]), int(inside[-1]) + 1))
    return [
        Region(int(known[start]), int(known[stop - 1]) + 1, known[owner == number])
        for number, (start, stop) in enumerate(found)
    ]


def _visible(
    height: NDArray[np.float64], owner: NDArray[np.int64], found: list[tuple[int, int]], level: float
) -> NDArray[np.float64]:
    """Return the curve without higher regions: narrow ones at the ``level``, broad ones at 0."""
    below = np.array([level if stop - start < _WALL else 0.0 for start, stop in found] + [0.0])
    return np.where(owner >= 0, below[owner], height)


def _neighbour(found: list[tuple[int, int]], start: int, stop: int, reach: int | None) -> int | None:
    """Return the first region within whose range, widened by ``reach`` or half its width, all of [start, stop) lies."""
    for number, (first, last) in enumerate(found):
        more = (last - first) // 2 if reach is None else reach
        if first - more <= start and stop <= last + more:
            return number
    return None


def _extent(height: NDArray[np.float64], top: int, level: float) -> tuple[int, int]:
    """Return [start, stop) of the region around ``top``."""
    above = np.flatnonzero(height >= level)
    breaks = np.flatnonzero(np.diff(above) > 1)
    first = above[np.concatenate([[0], breaks + 1])]
    last = above[np.concatenate([breaks, [len(above) - 1]])] + 1
    total = np.concatenate([[0.0], np.cumsum(height)])
    left = right = int(np.searchsorted(first, top, side="right")) - 1

    def reaches(start: int, stop: int, gap: int) -> bool:
        inner = int(last[right]) - int(first[left])
        return gap <= max(_BRIDGE, inner // 2) and total[stop] - total[start] >= level * (stop - start)

    while True:
        start, stop = int(first[left]), int(last[right])
        if left and reaches(int(first[left - 1]), stop, start - int(last[left - 1])):
            left -= 1
        elif right + 1 < len(first) and reaches(start, int(last[right + 1]), int(first[right + 1]) - stop):
            right += 1
        else:
            return start, stop
