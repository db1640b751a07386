"""Means over kinds and strengths, and how sure they are: bootstrap by spectrum, the same draws for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimates", "estimate", "macro_mean"]

_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Estimates:
    """Scores of k contenders.

    Attributes:
        mean: (k,) mean over cells of the mean over their cases; NaN without a single case.
        error: (k,) its standard deviation over resamplings.
        difference: (k,) mean less that of the reference, over the cases that both have.
        difference_error: (k,) its standard deviation over the same resamplings.
        cases: (k,) cases that have a score.
    """

    mean: NDArray[np.float64]
    error: NDArray[np.float64]
    difference: NDArray[np.float64]
    difference_error: NDArray[np.float64]
    cases: NDArray[np.int64]


def macro_mean(values: NDArray[np.float64], cells: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return the mean over cells of the mean over cases: values, (case, k), NaN where missing, to (k,)."""
    ones = [np.ones((1, len(cell))) for cell in cells]
    mean: NDArray[np.float64] = _macro(values, cells, ones)[0]
    return mean


def estimate(
    values: NDArray[np.float64], cells: Sequence[NDArray[np.int64]], reference: int, *, seed: int = 0
) -> Estimates:
    """Estimate means, errors, and differences to one contender.

    Args:
        values: (case, k) scores, NaN where missing.
        cells: Rows of each kind and strength; cases are drawn anew within each.
        reference: Column to compare with.
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    counts = [rng.multinomial(len(cell), np.full(len(cell), 1 / len(cell)), _DRAWS).astype(float) for cell in cells]
    apart = values - values[:, [reference]]
    with np.errstate(invalid="ignore"):
        return Estimates(
            mean=macro_mean(values, cells),
            error=_spread(_macro(values, cells, counts)),
            difference=macro_mean(apart, cells),
            difference_error=_spread(_macro(apart, cells, counts)),
            cases=np.isfinite(values).sum(axis=0),
        )


def _macro(
    values: NDArray[np.float64], cells: Sequence[NDArray[np.int64]], counts: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return macro means, (draw, k), of cases that count as often as ``counts``, (draw, cases of the cell), say."""
    draws = len(counts[0]) if counts else 1
    total, number = np.zeros((2, draws, values.shape[1]))
    for cell, count in zip(cells, counts, strict=True):
        known = np.isfinite(values[cell])
        weight = count @ known
        mean = np.divide(count @ np.where(known, values[cell], 0.0), weight, out=np.zeros_like(total), where=weight > 0)
        total += mean
        number += weight > 0
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def _spread(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(draws)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, draws, 0.0).sum(axis=0) / count
    variance = np.where(known, draws - mean, 0.0) ** 2
    return np.where(known.any(axis=0), np.sqrt(variance.sum(axis=0) / count), np.nan)
