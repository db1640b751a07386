"""Do the highest places of a map lie on the cause? Peaks after non-maximum suppression, with ties in mind."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError

__all__ = ["chance_of_hits", "dilate", "hits"]

_DRAWS = 32


def dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Widen what is true in (N,) by ``radius`` pixels to both sides.

    >>> dilate(np.array([False, False, True, False, False]), 1).tolist()
    [False, True, True, True, False]
    """
    before = np.concatenate([[0], np.cumsum(mask)])
    pixel = np.arange(len(mask))
    return before[np.minimum(pixel + radius + 1, len(mask))] > before[np.maximum(pixel - radius, 0)]


def hits(
    values: NDArray[np.floating],
    truth: NDArray[np.bool_],
    *,
    radius: int,
    most: int = 3,
    rng: np.random.Generator | None = None,
) -> NDArray[np.float64]:
    """Return the probability that one of the highest 1, 2, ... ``most`` places lies on the truth, (most,).

    A place is the run of neighbouring pixels that share the highest value; it counts by the share of them that is
    true, as if one was picked at random. What is within ``radius`` pixels of it is then no place any more. Runs
    far apart with the same value are taken in random order, and the mean over orders is returned.

    Args:
        values: (N,) NaN where not valid.
        truth: (N,) already widened by what counts as near.
        radius: Pixels suppressed on both sides of a place.
        most: How many places.
        rng: Of the order of equal places.

    Raises:
        InputError: shapes that differ, or nothing but NaN.
    """
    if values.shape != truth.shape or values.ndim != 1:
        raise InputError(f"'values' {values.shape} and 'truth' {truth.shape} are not the same pixels")
    known = ~np.isnan(values)
    if not known.any():
        raise InputError("'values' has no valid pixel")
    rng = np.random.default_rng(0) if rng is None else rng
    found = []
    for _ in range(_DRAWS):
        probability, unique = _one_order(values, truth, known, radius, most, rng)
        found.append(probability)
        if unique:
            break
    result: NDArray[np.float64] = np.mean(found, axis=0)
    result[0] = truth[known & (values == values[known].max())].mean()  # known exactly
    widest: NDArray[np.float64] = np.maximum.accumulate(result)
    return widest


def _one_order(
    values: NDArray[np.floating],
    truth: NDArray[np.bool_],
    known: NDArray[np.bool_],
    radius: int,
    most: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], bool]:
    free, missed, unique = known.copy(), 1.0, True
    result = np.zeros(most)
    for number in range(most):
        if free.any():
            tied = np.flatnonzero(free & (values == values[free].max()))
            runs = np.split(tied, np.flatnonzero(np.diff(tied) > 1) + 1)
            if len(runs) > 1:
                unique = False
                size = np.array([len(run) for run in runs])
                runs = [runs[rng.choice(len(runs), p=size / size.sum())]]
            missed *= 1 - truth[runs[0]].mean()
            free[max(0, runs[0][0] - radius) : runs[0][-1] + radius + 1] = False
        result[number] = 1 - missed
    return result, unique


def chance_of_hits(share: float, most: int = 3) -> NDArray[np.float64]:
    """Return what :func:`hits` gives for places at random when ``share`` of the pixels is true, (most,)."""
    return np.array([1 - (1 - share) ** number for number in range(1, most + 1)])
