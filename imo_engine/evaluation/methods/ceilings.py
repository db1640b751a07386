"""The best that a map can score which is constant over windows: what limits a window size is not its fault."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.tiling import tile

__all__ = ["block_shares", "oracle_block"]


def block_shares(mask: NDArray[np.bool_], valid: NDArray[np.bool_], window: int) -> NDArray[np.float64]:
    """Give each pixel the share of true ones among the valid pixels of its window, (N,); NaN where not valid.

    Among maps that are constant over windows of equal size, and differ between them, the order of this one has the
    largest average precision and the highest first hit; ties between windows can move both a little either way.
    """
    tiling = tile(len(mask), window)
    true, usable = _counts(mask & valid, tiling.starts, tiling.stops), _counts(valid, tiling.starts, tiling.stops)
    share = np.divide(true, usable, out=np.full(len(tiling), np.nan), where=usable > 0)
    return np.where(valid, tiling.paint(share), np.nan)


def oracle_block(weight: NDArray[np.floating], valid: NDArray[np.bool_], window: int) -> NDArray[np.float64]:
    """Return the mean of the true ``weight``, (N,), over each window: what a perfect method of that width sees."""
    tiling = tile(len(weight), window)
    before = np.concatenate([[0.0], np.cumsum(np.where(valid, weight, 0.0))])
    usable = _counts(valid, tiling.starts, tiling.stops)
    total = before[tiling.stops] - before[tiling.starts]
    mean = np.divide(total, usable, out=np.full(len(tiling), np.nan), where=usable > 0)
    return np.where(valid, tiling.paint(mean), np.nan)


def _counts(mask: NDArray[np.bool_], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    before = np.concatenate([[0], np.cumsum(mask)])
    result: NDArray[np.int64] = before[stops] - before[starts]
    return result
