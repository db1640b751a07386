"""p-values by counting."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["counted_p"]


def counted_p(values: ArrayLike, ordinary: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return p-values by counting: (1 + how many ordinary values, (n,) rising, reach each value) / (n + 1).

    NaN where a value is NaN. If a value comes from where the ordinary ones come from, P(p <= a) is at most a.

    >>> counted_p([0.5, 2.0, 9.0], np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.75, 0.25]
    """
    given = np.asarray(values, np.float64)
    reach = len(ordinary) - np.searchsorted(ordinary, given, side="left")
    return np.where(np.isnan(given), np.nan, (1 + reach) / (len(ordinary) + 1))
