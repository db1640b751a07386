"""Which values of an attribution are higher than what ordinary spectra show: p-values, for one place and for any."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import Attribution
from imo_engine.reasons.counting import counted_p
from imo_engine.reasons.null_distribution import NullDistribution

__all__ = [
    "LEVEL",
    "NO_NULL",
    "Significance",
    "p_in_words",
    "significance",
    "significance_combination",
    "significance_or_why",
]

NO_NULL = "no null distribution for this model"

LEVEL = 0.05
"""Corrected p-value up to which something is called significant, unless another level is given."""


@dataclass(frozen=True, eq=False)
class Significance:
    """p-values of one attribution, one-sided: how often an ordinary spectrum has a value as high, or higher.

    All are NaN where the attribution is.
    """

    local_p: NDArray[np.float64]
    """(window, pixel) at a single place that was chosen beforehand."""
    corrected_p: NDArray[np.float64]
    """(window, pixel) anywhere in the spectrum, at any window size or in the combination: the look-elsewhere effect
    is in it. Of ordinary spectra a share p has a value with a corrected p-value of p or less anywhere."""
    combined_local_p: NDArray[np.float64]
    """(pixel,) of the combination."""
    combined_corrected_p: NDArray[np.float64]
    """(pixel,) of the combination."""
    window_p: NDArray[np.float64]
    """(window,) of the highest value of each window size, corrected for all pixels but not for other window sizes."""
    ordinary: int
    """Number of ordinary spectra; no corrected p-value is below 1 / (this + 1)."""

    @property
    def smallest(self) -> float:
        """The smallest p-value that can be found."""
        return 1 / (self.ordinary + 1)

    @cached_property
    def anywhere(self) -> NDArray[np.float64]:
        """(pixel,) corrected p-value of the most significant window size or the combination; 1 where there is none."""
        every = np.vstack([self.corrected_p, self.combined_corrected_p])
        least: NDArray[np.float64] = np.min(every, axis=0, where=np.isfinite(every), initial=1.0)
        return least

    @property
    def spectrum_p(self) -> float:
        """How often an ordinary spectrum has, anywhere, a value as high as the highest of this one."""
        return float(self.anywhere.min())

    @property
    def discovery_q(self) -> NDArray[np.float64]:
        """(window, pixel) by Benjamini and Hochberg: among all values with q or less a share q is expected to be false.

        Weaker than the corrected p-values: it finds more places, and errs about some of them.
        """
        known = np.isfinite(self.local_p)
        found = np.full(self.local_p.shape, np.nan)
        p = self.local_p[known]
        falling = np.argsort(-p, kind="stable")
        q = np.empty_like(p)
        q[falling] = np.minimum.accumulate(p[falling] * len(p) / np.arange(len(p), 0, -1))
        found[known] = q
        return found

    def variables(self) -> dict[str, tuple[Any, ...]]:
        """Return the p-values as variables of :meth:`imo_engine.attribution.record.Attribution.to_xarray`."""
        words = {"ordinary_spectra": self.ordinary, "smallest": self.smallest}
        local, anywhere = "p-value at this place alone", "p-value for anywhere in the spectrum, at any window size"
        both = ("window", "pixel")
        return {
            "local_p": (both, self.local_p, words | {"long_name": local}),
            "corrected_p": (both, self.corrected_p, words | {"long_name": anywhere}),
            "combined_local_p": ("pixel", self.combined_local_p, words | {"long_name": local}),
            "combined_corrected_p": ("pixel", self.combined_corrected_p, words | {"long_name": anywhere}),
        }

    def regions(self, level: float = LEVEL) -> list[tuple[int, int, float]]:
        """Return runs of significant pixels: first one, one past the last, smallest corrected p-value."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.anywhere <= level, [False]]).astype(np.int8)))
        return [(int(a), int(b), float(self.anywhere[a:b].min())) for a, b in edges.reshape(-1, 2)]


def significance(attribution: Attribution, null: NullDistribution) -> Significance:
    """Compare an attribution with ordinary spectra.

    Raises:
        InputError: the null distribution is of another model or of other settings.
    """
    scores = null.scores(attribution)
    local = np.stack([one.local_p(score) for one, score in zip(null.maps, scores, strict=True)])
    corrected = counted_p(null.comparable(scores), null.highest)
    highest = np.max(scores, axis=1, where=np.isfinite(scores), initial=-np.inf)
    by_window = [counted_p(highest[k], np.sort(null.maxima[:, k])) for k in range(len(scores) - 1)]
    return Significance(local[:-1], corrected[:-1], local[-1], corrected[-1], np.array(by_window, float), len(null))


def significance_or_why(attribution: Attribution, null: NullDistribution | None) -> tuple[Significance | None, str]:
    """Return the significance and no words, or None and why there is none."""
    words = NO_NULL if null is None else null.problem(attribution)
    return (None, words) if null is None or words else (significance(attribution, null), "")


def significance_combination(attribution: Attribution, null: NullDistribution) -> NDArray[np.float64]:
    """Combine window sizes by what ordinary spectra show at each of them, (pixel,); NaN where nothing is known.

    Mean over window sizes of the score (values over their ordinary spread,
    :meth:`~imo_engine.reasons.null_distribution.NullDistribution.scores`) in units of the highest score that a tenth of
    the ordinary spectra exceed: 1 at every window size means equally remarkable. No window size is preferred because
    its values are smaller, as it is by weights of 1/variance of values per pixel.

    Raises:
        InputError: the null distribution is of another model or of other settings.
    """
    remarkable = null.scores(attribution)[:-1] / np.quantile(null.maxima[:, :-1], 0.9, axis=0)[:, None]
    known = np.isfinite(remarkable)
    count = known.sum(axis=0)
    return np.where(count > 0, np.sum(remarkable, axis=0, where=known) / np.maximum(count, 1), np.nan)


def p_in_words(p: float, smallest: float) -> str:
    """Write a p-value; one that cannot be smaller is a bound.

    >>> p_in_words(0.0323, 0.002), p_in_words(0.002, 0.002), p_in_words(1.0, 0.002)
    ('p = 0.03', 'p < 0.003', 'p = 1')
    """
    if p <= smallest:
        unit = 10.0 ** np.floor(np.log10(smallest))
        return f"p < {(np.floor(smallest / unit) + 1) * unit:.1g}"
    return f"p = {p:.2g}" if p >= 0.1 else f"p = {p:.1g}"
