"""How strongly regions of an attribution count: significance over baselines, best window size, fall of log p."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from imo_engine.attribution.record import Attribution
from imo_engine.reasons.peaks import Region
from imo_engine.reasons.significance import Significance

__all__ = ["Strength", "significance_of_mean", "strengths"]

_LARGEST_SIGMA = 37.0  # where the tail of the normal distribution leaves double precision
_COARSEST = 4  # times the width of a region; coarser windows see mostly its surroundings
_FINE_ENOUGH = 0.4  # of the best window's significance, for a finer one to tell where the peak is


@dataclass(frozen=True)
class Strength:
    """What a region counts for.

    Attributes:
        significance: Of the combination's mean over the region (:func:`significance_of_mean`).
        window: Index of the window size whose mean over the region is most significant.
        finest: Index of the finest one that still sees it well.
        log_prob_drop: Nats by which log p falls, see :class:`imo_engine.reasons.features.Feature`.
        p_value: The smallest corrected one in the region, None without a null distribution.
    """

    significance: float
    window: int
    finest: int
    log_prob_drop: float
    p_value: float | None = None


def strengths(
    attribution: Attribution, regions: Sequence[Region], significance: Significance | None = None
) -> list[Strength | None]:
    """Measure regions of the combined attribution that are in order of their peaks, the highest first.

    A chunk of a coarse window that holds a higher region tells of that one: its pixels do not count for the
    lower region at that window size. A region of which nothing is left at any size is the coarse windows'
    shadow of a higher one: None.
    """
    # each baseline's own combination
    single = np.sum(attribution.weights[:, None, :] * np.nan_to_num(attribution.values), axis=0)
    sizes = attribution.window_sizes
    finite = np.isfinite(attribution.mean)
    shadow = np.zeros((len(sizes), len(attribution.valid)), bool)
    found: list[Strength | None] = []
    for region in regions:
        by_window = np.full(len(sizes), -np.inf)
        means = np.zeros(len(sizes))
        largest, p = 0.0, 1.0
        if significance is not None:
            p = float(np.nanmin(significance.combined_corrected_p[region.pixels], initial=1.0))
        for index, size in enumerate(sizes):
            own = region.pixels[finite[index, region.pixels] & ~shadow[index, region.pixels]]
            if len(own) and size <= max(_COARSEST * len(region.pixels), min(sizes)):
                by_window[index] = significance_of_mean(attribution.values[index][:, own].mean(axis=1))
                means[index] = attribution.mean[index, own].mean()
                largest = max(largest, size * float(attribution.mean[index, own].max()))
                if significance is not None:
                    p = min(p, float(significance.corrected_p[index, own].min()))
        for index, size in enumerate(sizes):
            if size > 1:
                shadow[index, max(region.start - size + 1, 0) : region.stop + size - 1] = True
        if not np.isfinite(by_window).any():
            found.append(None)
            continue
        window = min(range(len(sizes)), key=lambda k: (-by_window[k], sizes[k]))
        seen = [k for k in range(len(sizes)) if by_window[k] >= _FINE_ENOUGH * by_window[window]] or [window]
        found.append(
            Strength(
                significance_of_mean(single[:, region.pixels].mean(axis=1)),
                window,
                min(seen, key=sizes.__getitem__),
                max(largest, float(means[window]) * len(region.pixels)),
                None if significance is None else p,
            )
        )
    return found


def significance_of_mean(single: NDArray[np.float64]) -> float:
    """Return by how many sigma the mean of one number a baseline, (baseline,), differs from 0, with its sign.

    With M baselines, t = mean / (standard deviation / sqrt(M)) follows Student's t with M - 1 degrees of
    freedom if there is nothing; the sigma is that of a normal distribution with the same tail. At most 37,
    which also stands for no scatter at all.

    >>> round(significance_of_mean(np.array([1.0, 3.0])), 2)  # t = 2, but 2 baselines prove little
    1.05
    """
    mean, error = float(single.mean()), float(single.std(ddof=1)) / np.sqrt(len(single))
    if mean == 0:
        return 0.0
    t = abs(mean) / error if error > 1e-12 * abs(mean) else np.inf
    return float(np.copysign(min(-float(ndtri(stdtr(len(single) - 1, -t))), _LARGEST_SIGMA), mean))
