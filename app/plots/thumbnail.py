"""A spectrum the size of a stamp, as SVG in the page's colours."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["stamp_path", "stamp_svg"]

_BINS = 110
_WIDTH, _HEIGHT, _PAD = 110.0, 36.0, 3.0


def stamp_path(
    wavelength: NDArray[np.floating], flux: NDArray[np.floating], good: NDArray[np.bool_], low: float, high: float
) -> str:
    """Return the SVG path of a spectrum from ``low`` to ``high``, with gaps where nothing was measured.

    Each of 110 bins shows the value that stands out most of the middle of the spectrum, so that lines stay; the
    height is that of the 1st to the 99th percentile of the bins, and what is beyond is cut off.

    Args:
        wavelength: (N,) in any frame.
        flux: (N,).
        good: (N,) which pixels hold data.
        low: Where the stamp begins, same frame.
        high: Where it ends.
    """
    inside = good & (wavelength >= low) & (wavelength < high)
    if not inside.any() or not high > low:
        return ""
    place = ((wavelength[inside] - low) / (high - low) * _BINS).astype(int)
    values = flux[inside].astype(float)
    count = np.bincount(place, minlength=_BINS)[:_BINS]
    mean = np.bincount(place, values, _BINS)[:_BINS] / np.maximum(count, 1)
    highest, lowest = np.full(_BINS, -np.inf), np.full(_BINS, np.inf)
    np.maximum.at(highest, place, values)
    np.minimum.at(lowest, place, values)
    known = count > 0
    middle, scatter = np.median(values), np.percentile(values, 84) - np.percentile(values, 16) + 1e-12
    extreme = np.where(np.abs(highest - middle) > np.abs(lowest - middle), highest, lowest)
    shown = np.where(known & (np.abs(extreme - mean) > 4 * scatter), extreme, mean)
    bottom, top = np.percentile(shown[known], [1, 99])
    if not top > bottom:
        bottom, top = bottom - 1, top + 1
    y = _HEIGHT - _PAD - (_HEIGHT - 2 * _PAD) * np.clip((shown - bottom) / (top - bottom), -0.05, 1.05)
    x = (np.arange(_BINS) + 0.5) / _BINS * _WIDTH
    begins = known & ~np.concatenate([[False], known[:-1]])
    return "".join(f"{'M' if begins[k] else 'L'}{x[k]:.1f} {y[k]:.1f}" for k in np.flatnonzero(known))


def stamp_svg(path: str, marks: Sequence[tuple[float, float, str]], low: float, high: float) -> str:
    """Return the stamp: the path over strips, (first, last wavelength, CSS class), from ``low`` to ``high``."""
    strips = []
    for first, last, name in marks:
        start, stop = (_WIDTH * (np.clip(one, low, high) - low) / (high - low) for one in (first, last))
        if last > low and first < high:
            strips.append(
                f'<rect class="{name}" x="{start:.1f}" y="0" width="{max(stop - start, 1.5):.1f}" height="{_HEIGHT}"/>'
            )
    return (
        f'<svg class="stamp" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" aria-hidden="true">'
        f'{"".join(strips)}<path d="{path}"/></svg>'
    )
