"""Scores of a map of attributions against the pixels where the cause is known to be.

All functions take values, (n,), of the valid pixels alone: the larger, the more a pixel is blamed. Equal values
are one group: no order among them is invented, because inverse occlusion is constant over a chunk.
"""

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError

__all__ = [
    "area_under_roc",
    "average_precision",
    "expected_average_precision",
    "lift",
    "normalised",
    "soft_area",
]


def average_precision(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the average precision with equal values as one step, as scikit-learn defines it.

    A constant map scores exactly the share of true pixels.

    >>> average_precision(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False]))
    0.8333333333333333
    """
    size, true = _groups(values, truth)
    precision = np.cumsum(true) / np.cumsum(size)
    return float(np.sum(true * precision) / true.sum())


def expected_average_precision(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the mean of the average precision over all orders of equal values (McSherry & Najork 2008).

    Slightly above :func:`average_precision` where there are ties, equal to it where there are none.
    """
    size, true = _groups(values, truth)
    total = int(true.sum())
    seen, found = np.cumsum(size) - size, np.cumsum(true) - true  # before each group
    place = np.arange(int(size.sum()))  # of each pixel in the order, group by group
    group = np.repeat(np.arange(len(size)), size)
    others = np.divide(true - 1, size - 1, out=np.zeros(len(size)), where=size > 1)[group]
    above = found[group] + (place - seen[group]) * others  # true ones before it, given that it is true itself
    return float(np.sum((true / size)[group] * (above + 1) / (place + 1)) / total)


def normalised(score: float, chance: float) -> float:
    """Return (score - chance) / (1 - chance): 0 for chance, 1 for perfection.

    Raises:
        InputError: chance is perfect already.
    """
    if not chance < 1:
        raise InputError(f"'chance' is {chance}; expected less than 1")
    return (score - chance) / (1 - chance)


def area_under_roc(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the area under the receiver operating curve; equal values count half.

    Raises:
        InputError: nothing is true, or everything.
    """
    size, true = _groups(values, truth)
    false = size - true
    if not false.sum():
        raise InputError("'truth' is true everywhere")
    below = false.sum() - np.cumsum(false)
    return float(np.sum(true * (below + false / 2)) / (true.sum() * false.sum()))


def lift(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the share of the positive values that lies on true pixels, over the share of true pixels.

    1 is chance, also for a map without a positive value.
    """
    _groups(values, truth)
    positive = np.maximum(values, 0.0)
    total = positive.sum()
    return float(positive[truth].sum() / total / truth.mean()) if total > 0 else 1.0


def soft_area(values: NDArray[np.floating], weight: NDArray[np.floating]) -> float:
    """Return how early the pixels in their order collect the ``weight``, (n,), not negative: 0 chance, 1 best order.

    The area under the curve of collected weight against pixels taken, less that of chance, over the largest that
    is possible. Needs no threshold, so it is defined for the faintest outliers too.

    Raises:
        InputError: weights that are negative, or equal everywhere.
    """
    if values.shape != weight.shape or values.ndim != 1:
        raise InputError(f"'values' {values.shape} and 'weight' {weight.shape} are not the same pixels")
    if not (len(weight) and np.isfinite(weight).all() and (weight >= 0).all() and np.ptp(weight) > 0):
        raise InputError("'weight' is negative, not finite, or the same everywhere")
    largest = _collected(weight, weight) - 0.5
    return float((_collected(values, weight) - 0.5) / largest)


def _collected(values: NDArray[np.floating], weight: NDArray[np.floating]) -> float:
    _, group = np.unique(-values, return_inverse=True)
    size, mass = np.bincount(group), np.bincount(group, weights=weight)
    taken = np.concatenate([[0.0], np.cumsum(size)]) / len(values)
    share = np.concatenate([[0.0], np.cumsum(mass)]) / mass.sum()
    return float(np.trapezoid(share, taken))


def _groups(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pixels and true pixels of each group of equal values, the largest value first.

    Raises:
        InputError: other pixels, NaN, or nothing true.
    """
    if values.shape != truth.shape or values.ndim != 1:
        raise InputError(f"'values' {values.shape} and 'truth' {truth.shape} are not the same pixels")
    if np.isnan(values).any():
        raise InputError("'values' has NaN; leave out what is not valid")
    if not truth.any():
        raise InputError("'truth' is true nowhere")
    _, group = np.unique(-values, return_inverse=True)
    size = np.bincount(group)
    return size, np.bincount(group, weights=truth, minlength=len(size)).astype(np.int64)
