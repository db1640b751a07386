"""Whether emission lines fit another redshift than the given one, as in the commonest fault of a survey.

Narrow emission is looked for at every place by matched filters; at every redshift the strengths at the places of the
strong lines are added up. A line counts only as far as its partners allow: [O III] 4959 is not stronger than 5007,
[N II] 6548 not than 6584, and there is no strong H-beta without H-alpha where both are in range.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from imo_engine.reasons.deviations import Comparison
from imo_engine.spectra.spectral_lines import EMISSION_LINES

__all__ = ["OtherRedshift", "count_emission_lines", "emission_strength", "other_redshift"]

_LINES = (
    *("[O II] 3729", "[Ne III] 3869", "Hδ", "Hγ", "Hβ", "[O III] 4959", "[O III] 5007"),
    *("[O I] 6300", "[N II] 6548", "Hα", "[N II] 6584", "[S II] 6716", "[S II] 6731"),
)
_FILTERS = (1.5, 2.5, 4.5)  # pixels, standard deviation
_BROAD_FILTER, _BROADER = 14.0, 1.2  # pixels; what is seen better by this, by so much, is no narrow line
_CONTINUUM = 151  # pixels
_LOW, _HIGH, _STEP = -0.005, 1.2, 6e-5  # of redshift; the step is of ln(1 + z)
_ENOUGH = 12.0  # sigma: beyond this a line does not count more
_SEEN = 4.0  # sigma
_HERE, _ELSEWHERE = 1.2e-3, 4e-3  # of ln(1 + z)
_ANOTHER_OBJECT = 0.01  # of ln(1 + z): nearer ones may be wings and outflows
_FEWEST, _FEWEST_DARK = 5, 3  # lines; off night-sky lines
_STRONGEST = ("[O II] 3729", "[O III] 5007", "Hα", "[N II] 6584")  # one of these is the strongest of every galaxy
_SCORE = 300.0
_GIVEN_EXPLAINS = 0.35  # of the other's score
_FIRST_PARTNER = 99.0  # sigma: of a line that is out of range, and so does not limit others


@dataclass(frozen=True)
class OtherRedshift:
    """Another redshift that emission lines fit.

    Attributes:
        redshift: The other one.
        lines: Names of the lines that are seen there, the strongest first.
        instead: Whether it takes the place of the given one, which explains hardly any emission; else the
            lines are those of a second source.
    """

    redshift: float
    lines: tuple[str, ...]
    instead: bool

    def words(self, given: float) -> str:
        """Say it in a sentence without its full stop."""
        names = ", ".join(self.lines[:3])
        if self.instead:
            return f"Emission lines fit z = {self.redshift:.4f}, not {given:.4f} ({names})"
        return f"A second set of emission lines fits z = {self.redshift:.4f} ({names})"


@cache
def _line_table() -> tuple[tuple[str, ...], NDArray[np.float64]]:
    by_name = {line.name: line.wavelength for line in EMISSION_LINES}
    return _LINES, np.array([by_name[name] - (1.38 if name == "[O II] 3729" else 0.0) for name in _LINES])


def emission_strength(
    wavelength: NDArray[np.float64], flux: NDArray[np.float64], variance: NDArray[np.float64], good: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return by how many sigma there is narrow emission above the surroundings at each pixel, (N,), at best width."""
    known = np.flatnonzero(good)
    filled = np.interp(np.arange(len(flux)), known, flux[known])
    above = filled - median_filter(filled, _CONTINUUM, mode="nearest")
    weight = np.where(good, 1 / variance, 0.0)
    best = np.max([_matched(above, weight, sigma) for sigma in _FILTERS], axis=0)
    return np.where(_matched(above, weight, _BROAD_FILTER) > _BROADER * best, 0.0, best)


def _matched(above: NDArray[np.float64], weight: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return by how many sigma a Gaussian of ``sigma`` pixels fits at each pixel, (N,); 0 where nothing is known."""
    total: NDArray[np.float64] = gaussian_filter1d(above * weight, sigma, mode="constant")
    square = gaussian_filter1d(weight, sigma / np.sqrt(2), mode="constant") / (2 * sigma * np.sqrt(np.pi))
    return np.where(square > 0, total / np.sqrt(np.maximum(square, 1e-30)), 0.0)


def other_redshift(one: Comparison, variance: NDArray[np.float64], dark: NDArray[np.bool_]) -> OtherRedshift | None:
    """Look for another redshift that explains emission lines which the given one does not; None if there is none.

    Args:
        one: A spectrum beside its ordinary twin at the given redshift.
        variance: (N,) of the flux, with what the model does not know.
        dark: (N,) where no night-sky line is; three lines must be there.
    """
    wavelength, flux, redshift, good = one.wavelength, one.flux, one.redshift, one.good
    if good.sum() < _CONTINUUM or redshift > _HIGH:
        return None
    left = emission_strength(wavelength, one.difference, variance, good)
    z, score, strength = _scores(wavelength, left)
    distance = np.abs(np.log1p(z) - np.log1p(redshift))
    best = int(np.argmax(np.where(distance > _ELSEWHERE, score, -1.0)))
    # lines that are strong enough do not count more there, but they say better where they are
    near = np.abs(np.log1p(z) - np.log1p(z[best])) < _HERE
    best = int(np.argmax(np.where(near, strength.sum(axis=0), -1.0)))
    seen = strength[:, best] > _SEEN
    places = np.searchsorted(wavelength, _line_table()[1] * (1 + z[best])).clip(0, len(wavelength) - 1)
    if score[best] < _SCORE or seen.sum() < _FEWEST or (seen & dark[places]).sum() < _FEWEST_DARK:
        return None
    if _LINES[int(np.argmax(strength[:, best]))] not in _STRONGEST:
        return None
    z_given, score_given, _ = _scores(wavelength, emission_strength(wavelength, flux, variance, good))
    near = np.abs(np.log1p(z_given) - np.log1p(redshift)) < _HERE
    explained = float(score_given[near].max(initial=0.0))
    instead = explained < _GIVEN_EXPLAINS * score[best]
    if not instead and distance[best] < _ANOTHER_OBJECT:
        return None
    order = [k for k in np.argsort(-strength[:, best]) if seen[k]]
    return OtherRedshift(float(z[best]), tuple(_LINES[k] for k in order), instead)


def count_emission_lines(
    wavelength: NDArray[np.float64],
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
    good: NDArray[np.bool_],
    redshift: float,
) -> int:
    """Return how many of the strong emission lines are seen, at 4 sigma, at a redshift."""
    good = good & (ivar > 0)
    if not good.any():
        return 0
    variance = np.divide(1.0, ivar, out=np.ones(len(flux)), where=good)
    z, _, strength = _scores(wavelength, emission_strength(wavelength, np.asarray(flux, float), variance, good))
    near = np.abs(np.log1p(z) - np.log1p(redshift)) < _HERE
    return int((strength[:, near] > _SEEN).sum(axis=0).max(initial=0))


def _scores(
    wavelength: NDArray[np.float64], strength: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return redshifts, (Z,), how well lines fit each, (Z,), and what each line counts, (line, Z), sigma."""
    names, rest = _line_table()
    logs = np.arange(np.log1p(_LOW), np.log1p(_HIGH), _STEP)
    places = np.log(rest)[:, None] + logs
    at = np.interp(places, np.log(wavelength), strength, left=np.nan, right=np.nan)
    count = np.maximum(np.nan_to_num(at), 0.0)
    partner = dict(zip(names, np.where(np.isnan(at), _FIRST_PARTNER, np.maximum(at, 0.0)), strict=True))
    nebula = 1.2 * np.maximum(partner["Hα"], partner["[N II] 6584"])
    limits = {
        "[O III] 4959": partner["[O III] 5007"],
        "[N II] 6548": partner["[N II] 6584"],
        "Hβ": 1.2 * partner["Hα"],
        "Hγ": partner["Hβ"],
        "Hδ": partner["Hγ"],
        "[O I] 6300": partner["Hα"],
        "[S II] 6716": nebula,
        "[S II] 6731": nebula,
        "[Ne III] 3869": np.maximum(partner["[O III] 5007"], partner["[O II] 3729"]),
    }
    for name, limit in limits.items():
        row = names.index(name)
        count[row] = np.minimum(count[row], limit)
    return np.expm1(logs), (np.minimum(count, _ENOUGH) ** 2).sum(axis=0), count
