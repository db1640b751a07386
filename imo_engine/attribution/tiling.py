"""Chunks of a spectrum: which pixels are replaced together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError

__all__ = ["Tiling", "tile"]


@dataclass(frozen=True, eq=False)
class Tiling:
    """Chunks [start, stop) of one window size, in order; together they cover every pixel.

    Attributes:
        window_size: Pixels of a full chunk.
        starts: (chunk,) first pixel of each chunk.
        stops: (chunk,) one past the last pixel.
        n_pixel: Pixels of the spectrum.
    """

    window_size: int
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    n_pixel: int

    def __len__(self) -> int:
        return len(self.starts)

    def paint(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Write each chunk's value, (..., chunk), to all its pixels, (..., pixel); averaged where chunks overlap.

        A chunk whose value is NaN does not count.
        """
        known = np.isfinite(values)
        total = self._spread(np.where(known, values, 0.0))
        count = self._spread(known.astype(np.float64))
        with np.errstate(invalid="ignore"):
            return np.where(count > 0.5, total / np.maximum(count, 1), np.nan)

    def _spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if (self.starts[1:] >= self.stops[:-1]).all():  # plain tiles: no rounding by sums and differences
            return np.repeat(values, self.stops - self.starts, axis=-1)
        painted = np.zeros((*values.shape[:-1], self.n_pixel))
        for chunk, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            painted[..., start:stop] += values[..., chunk, None]
        return painted


def tile(n_pixel: int, window_size: int, *, offset: int = 0, stride: int | None = None) -> Tiling:
    """Cover ``n_pixel`` pixels with chunks of ``window_size``.

    Args:
        n_pixel: Pixels of the spectrum.
        window_size: Pixels of a full chunk; the last one may be shorter.
        offset: Where the first full chunk begins; [0, offset) is a chunk of its own length.
        stride: Pixels from one chunk to the next; by default the window size (plain tiles), and no more
            than that.

    Raises:
        InputError: a number that is not positive, or a stride that would leave gaps.

    >>> tiling = tile(10, 4, offset=2)
    >>> list(zip(tiling.starts.tolist(), tiling.stops.tolist()))
    [(0, 2), (2, 6), (6, 10)]
    """
    if n_pixel < 1 or window_size < 1 or offset < 0:
        raise InputError(
            "expected 'n_pixel' and 'window_size' above 0 and 'offset' not below; "
            f"got {n_pixel}, {window_size}, {offset}"
        )
    step = window_size if stride is None else stride
    if not 1 <= step <= window_size:
        raise InputError(f"'stride' is {step}; expected 1 to the window size, {window_size}")
    first = min(offset, n_pixel)
    starts = np.arange(first, n_pixel, step, dtype=np.int64)
    stops = np.minimum(starts + window_size, n_pixel)
    if len(starts):  # sliding windows: one that reaches the end is enough
        keep = int(np.argmax(stops == n_pixel)) + 1
        starts, stops = starts[:keep], stops[:keep]
    if first:
        starts, stops = np.insert(starts, 0, 0), np.insert(stops, 0, first)
    return Tiling(window_size, starts, stops, n_pixel)
