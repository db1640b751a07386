"""Does replacing what a map blames bring log p back? The only score for outliers without a place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError
from imo_engine.model.outlier_model import OutlierModel

__all__ = ["block_gains", "highest_pixels", "repair_scores", "shifted"]

_LARGEST = 1.0
"""A repair that does more, or as much harm, counts as this: one mismatch of a baseline must not outweigh all others."""


def highest_pixels(values: NDArray[np.floating], budget: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose the ``budget`` valid pixels with the highest values, (N,); all valid ones if there are fewer.

    Of equal values, runs of neighbours are taken whole in random order, and the last one is cut to its middle.
    """
    chosen = np.zeros(len(values), bool)
    known = np.flatnonzero(~np.isnan(values))
    if budget >= len(known):
        chosen[known] = True
        return chosen
    level = np.partition(values[known], len(known) - budget)[len(known) - budget]
    chosen[known[values[known] > level]] = True
    tied = known[values[known] == level]
    runs = np.split(tied, np.flatnonzero(np.diff(tied) > 1) + 1)
    left = budget - int(chosen.sum())
    for number in rng.permutation(len(runs)):
        run = runs[number]
        skip = max(0, len(run) - left) // 2
        taken = run[skip : skip + left]
        chosen[taken] = True
        left -= len(taken)
        if not left:
            break
    return chosen


def shifted(chosen: NDArray[np.bool_], valid: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Move all chosen pixels, (N,), by one random number of valid pixels, around the ends: same widths, other place."""
    index = np.flatnonzero(valid)
    moved = np.zeros(len(chosen), bool)
    if len(index) > 1:
        moved[index] = np.roll(chosen[index], int(rng.integers(1, len(index))))
    return moved


def repair_scores(
    model: OutlierModel,
    flux: NDArray[np.floating],
    log_prob: float,
    clean_log_prob: float,
    replacements: NDArray[np.floating],
    values: NDArray[np.floating],
    budgets: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return [log p(repaired) - log p(x)] / [log p(clean) - log p(x)] less the same of random regions, (budget,).

    Both shares are limited to -1 ... 1 before the difference is taken.

    Args:
        model: Encoder and flow.
        flux: (N,) the outlier.
        log_prob: Of it, nats.
        clean_log_prob: Of its twin, nats.
        replacements: (M, N) what is put in: baselines at the redshift that had no part in the attribution, or the
            twin itself; the mean over them is returned.
        values: (N,) the map; NaN where not valid.
        budgets: Pixels that are replaced.
        rng: Of ties and of the random regions, which have the widths of those that are replaced.

    Raises:
        InputError: the twin is not more probable than the outlier.
    """
    deficit = clean_log_prob - log_prob
    if not deficit > 0:
        raise InputError(f"'clean_log_prob' is {clean_log_prob:g}, not above that of the outlier, {log_prob:g}")
    valid = ~np.isnan(values)
    hybrids = []
    for budget in budgets:
        chosen = highest_pixels(values, budget, rng)
        for baseline in replacements:
            hybrids.append(np.where(chosen, baseline, flux))
            hybrids.append(np.where(shifted(chosen, valid, rng), baseline, flux))
    found = model.log_prob(np.array(hybrids, dtype=flux.dtype)).astype(float).reshape(len(budgets), -1, 2)
    share = np.clip((found - log_prob) / deficit, -_LARGEST, _LARGEST)
    result: NDArray[np.float64] = (share[..., 0] - share[..., 1]).mean(axis=1)
    return result


def block_gains(
    model: OutlierModel,
    flux: NDArray[np.floating],
    log_prob: float,
    replacement: NDArray[np.floating],
    valid: NDArray[np.bool_],
    *,
    width: int,
    count: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Replace random ranges of ``width`` pixels, one at a time: the ranges, (count, N), and the gains in log p."""
    pixel = np.arange(len(flux))
    starts = rng.integers(0, max(1, len(flux) - width), count)
    blocks = (pixel >= starts[:, None]) & (pixel < starts[:, None] + width) & valid
    hybrids = np.where(blocks, replacement, flux).astype(flux.dtype)
    return blocks, model.log_prob(hybrids).astype(float) - log_prob
