"""Where a spectrum deviates from its ordinary twin, at every width, in units of what ordinary spectra show.

The sum of spectrum minus twin over a window, weighted by the file's inverse variance, is compared with its noise and
with what the model does not know: a share of the continuum that depends on the rest wavelength, a share of what the
twin has beyond its continuum (lines), and a factor by observed wavelength (sky lines, ends of arms).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d

from imo_engine.reasons.deviation_null import WIDTHS, DeviationNull
from imo_engine.spectra.instrument import INSTRUMENTS, Instrument

__all__ = ["Comparison", "DeviantRange", "deviant_ranges", "noise_from_neighbours", "window_sums"]

_CONTINUUM = 75  # every second pixel: of the median that is the twin's continuum
_OWN = 0.3  # of a window, in what was found before, from which on it says nothing new
_SLACK = 2  # pixels
_MOST = 12
_REMARKABLE = 2.0  # comparable score of what is listed where there are no ordinary spectra to count


@dataclass(frozen=True, eq=False)
class Comparison:
    """One spectrum beside its ordinary twin; normalised flux, observed frame.

    Attributes:
        wavelength: (N,) vacuum Angstrom.
        flux: (N,)
        ivar: (N,) inverse variance of the flux; 0 where nothing was measured.
        redshift: As given.
        twin: (N,) flux of the twin; NaN where the decoder does not reach.
        null: What ordinary spectra show.
        instrument: Name of a spectrograph, or empty where the file does not say.
        noise_is_known: Whether ``ivar`` is the file's; else it was estimated from neighbouring pixels.
    """

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    redshift: float
    twin: NDArray[np.float64]
    null: DeviationNull
    instrument: str = ""
    noise_is_known: bool = True

    @cached_property
    def good(self) -> NDArray[np.bool_]:
        """(N,) where there is something to compare."""
        return (self.ivar > 0) & np.isfinite(self.twin)

    @property
    def spectrograph(self) -> Instrument | None:
        """What is known of the instrument, None if it is not known."""
        return INSTRUMENTS.get(self.instrument)

    @cached_property
    def difference(self) -> NDArray[np.float64]:
        """(N,) spectrum minus twin; 0 where nothing is known."""
        return np.where(self.good, self.flux - np.nan_to_num(self.twin), 0.0)

    @cached_property
    def noise(self) -> NDArray[np.float64]:
        """(N,) standard deviation of the flux by its ivar; infinite where nothing was measured."""
        sigma: NDArray[np.float64] = np.sqrt(
            np.divide(1.0, self.ivar, out=np.full(len(self.ivar), np.inf), where=self.ivar > 0)
        )
        return sigma

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """(width, N) deviation of windows around each pixel, ordinary spreads, signed; NaN if nothing is known."""
        return self.null.scores(*window_sums(self), self.wavelength, self.redshift)

    def without(self, start: int, stop: int) -> "Comparison":
        """Return the same as if pixels [start, stop) had not been measured."""
        ivar = self.ivar.copy()
        ivar[start:stop] = 0.0
        return replace(self, ivar=ivar)


@dataclass(frozen=True)
class DeviantRange:
    """Pixels [start, stop) that deviate from the twin.

    Attributes:
        start: First pixel.
        stop: One past the last pixel.
        peak: Pixel in the middle of the window that deviates most.
        width: Of this window, pixels.
        score: Its deviation in units of the ordinary spread, with its sign.
        comparable: The same on one scale for all widths
            (:meth:`~imo_engine.reasons.deviation_null.DeviationNull.comparable`).
        p_value: How often an ordinary spectrum deviates as much anywhere, at any width.
    """

    start: int
    stop: int
    peak: int
    width: int
    score: float
    comparable: float
    p_value: float


def window_sums(one: Comparison) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return sums over windows of difference, twin and the twin's lines, each over its noise, (width, N)."""
    weight = np.where(one.good, one.ivar, 0.0)
    twin = np.where(one.good, np.nan_to_num(one.twin), 0.0)
    known = np.flatnonzero(one.good)
    if not len(known):
        return (np.full((len(WIDTHS), len(weight)), np.nan),) * 3
    filled = np.interp(np.arange(len(twin)), known, twin[known])
    smooth: NDArray[np.float64] = median_filter(filled[::2], _CONTINUUM, mode="nearest")
    lines = np.abs(filled - np.interp(np.arange(len(twin)), np.arange(0, len(twin), 2), smooth))
    sums = []
    for values in (one.difference, twin, lines):
        per_width = []
        for width in WIDTHS:
            total = uniform_filter1d(values * weight, width, mode="constant") * width
            square: NDArray[np.float64] = uniform_filter1d(weight, width, mode="constant") * width
            per_width.append(np.where(one.good, total / np.sqrt(np.maximum(square, 1e-12)), np.nan))
        sums.append(np.array(per_width))
    return sums[0], sums[1], sums[2]


def deviant_ranges(one: Comparison, level: float, *, most: int = _MOST) -> list[DeviantRange]:
    """Return what deviates with a p-value up to ``level``, the most remarkable first; ranges do not overlap.

    Without ordinary spectra to count p-values with, what deviates more than about one in a hundred of them.

    The most remarkable window is taken, its pixels are left out, and so on. Neighbours of the same sign become one.
    """
    found: list[DeviantRange] = []
    rest = one
    taken = np.zeros(len(one.flux), bool)
    while len(found) < most:
        comparable = one.null.comparable(np.abs(rest.score))
        for k, width in enumerate(WIDTHS):
            share: NDArray[np.float64] = uniform_filter1d(taken.astype(np.float64), width, mode="constant")
            comparable[k, share > _OWN] = -np.inf
        comparable = np.where(np.isnan(comparable), -np.inf, comparable)
        row, peak = divmod(int(np.argmax(comparable)), comparable.shape[1])
        highest = float(comparable[row, peak])
        p = float(one.null.p_value(highest))
        if not np.isfinite(highest) or (p > level if len(one.null) else highest < _REMARKABLE):
            break
        width = WIDTHS[row]
        start, stop = max(0, peak - width // 2), min(len(taken), peak + width // 2 + 1)
        start, stop = _trimmed(rest, start, stop, float(rest.score[row, peak]))
        start, stop = _free(taken, start, stop)
        found.append(DeviantRange(start, stop, peak, width, float(rest.score[row, peak]), highest, p))
        taken[start:stop] = True
        rest = rest.without(start, stop)
    return _joined(found)


def _trimmed(one: Comparison, start: int, stop: int, score: float) -> tuple[int, int]:
    """Return the shortest range inside that holds all but a twentieth of the deviation on either side."""
    signed = np.where(one.good[start:stop], one.difference[start:stop] * one.ivar[start:stop], 0.0) * np.sign(score)
    total = np.cumsum(np.maximum(signed, 0.0))
    if not total[-1] > 0 or stop - start <= 3:
        return start, stop
    first, last = (int(np.searchsorted(total, share * total[-1])) for share in (0.05, 0.95))
    return max(start, start + first - _SLACK), min(stop, start + last + 1 + _SLACK)


def _free(taken: NDArray[np.bool_], start: int, stop: int) -> tuple[int, int]:
    """Return the longest part of [start, stop) of which nothing was taken before."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], taken[start:stop], [True]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return start, stop
    first, last = runs[int(np.argmax(runs[:, 1] - runs[:, 0]))]
    return start + int(first), start + int(last)


def _joined(ranges: Sequence[DeviantRange]) -> list[DeviantRange]:
    """Join ranges of one sign that touch, or nearly do."""
    joined: list[DeviantRange] = []
    for one in ranges:
        for place, other in enumerate(joined):
            gap = max(one.start - other.stop, other.start - one.stop)
            near = max(4, min(one.stop - one.start, other.stop - other.start) // 2)
            start, stop = min(one.start, other.start), max(one.stop, other.stop)
            free = all(k is one or k is other or k.stop <= start or stop <= k.start for k in ranges)
            if gap <= near and free and np.sign(one.score) == np.sign(other.score):
                joined[place] = replace(other, start=start, stop=stop)
                break
        else:
            joined.append(one)
    return joined if len(joined) == len(ranges) else _joined(joined)


def noise_from_neighbours(flux: NDArray[np.floating], measured: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Estimate the inverse variance of a spectrum, (N,), from differences of neighbouring pixels; 0 if not measured."""
    known = np.flatnonzero(measured)
    ivar = np.zeros(len(flux))
    if len(known) < 3:
        return ivar
    step = np.abs(np.diff(np.asarray(flux, np.float64)[known]))
    scatter = 1.4826 / np.sqrt(2) * median_filter(np.append(step, step[-1]), 151, mode="nearest")
    ivar[known] = 1 / np.maximum(scatter, 1e-6) ** 2
    return ivar
