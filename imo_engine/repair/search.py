"""The smallest set of ranges whose replacement reaches a log p: greedy, then without what is not needed.

Narrow ranges are tried first: two lines are a better answer than half of the spectrum with both in it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from imo_engine.repair.candidates import Range

__all__ = ["Search", "covered"]

Mask = NDArray[np.bool_]

_QUICK = 3  # baselines that pick the candidates for which all are asked
_SHORT_LIST = 8
_LOCAL = 16  # shares of what can be replaced, one of which is tried first
_ALMOST = 0.85  # of the best gain is good enough for a narrower range
_LEAST_GAIN = 0.05  # of what is missing; with less, no few ranges will do
_CUTS = (2, 4, 8)  # shares of a range that are cut off at one end


def covered(ranges: Sequence[Range], usable: Mask) -> Mask:
    """Return the usable pixels within any of the ranges, (N,)."""
    inside = np.zeros(len(usable), bool)
    for start, stop in ranges:
        inside[start:stop] = True
    return inside & usable


class Search:
    """Looks for ranges; the log p of a set is the median over baselines."""

    def __init__(
        self,
        log_prob: Callable[[Sequence[Mask], int | None], NDArray[np.float64]],
        usable: Mask,
        target: float,
        *,
        most_ranges: int,
        most_pixels: int,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare a search.

        Args:
            log_prob: log p, (n, M), of the spectrum with each of n masks replaced, of the first so many baselines
                or of all.
            usable: (N,) pixels that can be replaced.
            target: log p to reach, nats.
            most_ranges: How many ranges at most.
            most_pixels: How many replaced pixels at most.
            may_go_on: Asked before each step; what is found by then is the result.
        """
        self._log_prob, self._usable, self._target = log_prob, usable, target
        self._most_ranges, self._most_pixels, self._may_go_on = most_ranges, most_pixels, may_go_on
        self._known: dict[tuple[tuple[Range, ...], int | None], float] = {}

    def run(self, candidates: Sequence[Range], own: float) -> list[Range]:
        """Return disjoint ranges, the most important first; they need not reach the target.

        Args:
            candidates: Ranges to choose from.
            own: log p of the spectrum as it is.
        """
        local = min(self._most_pixels, max(1, int(self._usable.sum()) // _LOCAL))
        ranges, reached = self._add(candidates, own, local)
        if not reached:
            ranges, reached = self._add(candidates, own, self._most_pixels)
        ranges = _joined(ranges)
        if reached:
            ranges = self._trim(self._drop(ranges))
        return self._by_importance(ranges)

    def _medians(self, sets: Sequence[Sequence[Range]], baselines: int | None = None) -> NDArray[np.float64]:
        keys = [(tuple(sorted(one)), baselines) for one in sets]
        new = list(dict.fromkeys(key for key in keys if key not in self._known))
        if new:
            values = np.median(self._log_prob([covered(key[0], self._usable) for key in new], baselines), axis=1)
            self._known.update(zip(new, values.tolist(), strict=True))
        return np.array([self._known[key] for key in keys])

    def _add(self, candidates: Sequence[Range], own: float, most_pixels: int) -> tuple[list[Range], bool]:
        """Add, one after the other, the range that helps most; of those that reach the target, the narrowest."""
        chosen: list[Range] = []
        now = own
        while len(chosen) < self._most_ranges and self._may_go_on():
            before = int(covered(chosen, self._usable).sum())
            pixels = {one: int(covered([*chosen, one], self._usable).sum()) for one in candidates}
            open_ = [one for one in candidates if before < pixels[one] <= most_pixels]
            if not open_:
                break
            if len(open_) > _SHORT_LIST:
                quick = self._medians([[*chosen, one] for one in open_], _QUICK)
                open_ = [open_[k] for k in np.argsort(-quick, kind="stable")[:_SHORT_LIST]]
            after = self._medians([[*chosen, one] for one in open_])
            enough = [k for k in range(len(open_)) if after[k] >= self._target]
            gain = float(after.max()) - now
            if not enough and gain < _LEAST_GAIN * (self._target - now):
                break
            good = enough or [k for k in range(len(open_)) if after[k] - now >= _ALMOST * gain]
            best = min(good, key=lambda k: (pixels[open_[k]], -after[k]))
            chosen.append(open_[best])
            now = float(after[best])
            if enough:
                return chosen, True
        return chosen, False

    def _drop(self, ranges: list[Range]) -> list[Range]:
        """Leave out, the widest first, ranges without which the target is reached too."""
        while len(ranges) > 1 and self._may_go_on():
            without = [ranges[:k] + ranges[k + 1 :] for k in range(len(ranges))]
            spare = np.flatnonzero(self._medians(without) >= self._target)
            if not len(spare):
                break
            ranges = without[max(spare, key=lambda k: ranges[k][1] - ranges[k][0])]
        return ranges

    def _trim(self, ranges: list[Range]) -> list[Range]:
        """Cut off ends without which the target is reached too, until no eighth of any range can go."""
        ranges = list(ranges)
        for k in sorted(range(len(ranges)), key=lambda k: ranges[k][0] - ranges[k][1]):
            while self._may_go_on():
                narrower = _narrower(*ranges[k], self._usable)
                if not narrower:
                    break
                values = self._medians([[*ranges[:k], one, *ranges[k + 1 :]] for one in narrower])
                enough = np.flatnonzero(values >= self._target)
                if not len(enough):
                    break
                ranges[k] = narrower[enough[0]]
        return ranges

    def _by_importance(self, ranges: list[Range]) -> list[Range]:
        """Put first what raises log p most, then what raises it most with that replaced, and so on."""
        ordered: list[Range] = []
        left = list(ranges)
        while len(left) > 1:
            best = int(np.argmax(self._medians([[*ordered, one] for one in left])))
            ordered.append(left.pop(best))
        return ordered + left


def _narrower(start: int, stop: int, usable: Mask) -> list[Range]:
    """Return the range with ends cut off, the narrowest first; each begins and ends with a usable pixel."""
    width = stop - start
    cuts = sorted({max(1, width // share) for share in _CUTS if width > 1}, reverse=True)
    found = []
    for cut in cuts:
        for first, last in ((start + cut, stop), (start, stop - cut)):
            inside = first + np.flatnonzero(usable[first:last])
            if len(inside):
                found.append((int(inside[0]), int(inside[-1]) + 1))
    return list(dict.fromkeys(found))


def _joined(ranges: Sequence[Range]) -> list[Range]:
    """Return the ranges without overlaps, touching ones as one."""
    out: list[Range] = []
    for start, stop in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(stop, out[-1][1])
        else:
            out.append((start, stop))
    return out
