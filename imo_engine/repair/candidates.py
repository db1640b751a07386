"""Which parts of a spectrum may be worth replacing: where its attribution is high, from single pixels to whole arms."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import Attribution
from imo_engine.reasons.peaks import find_regions
from imo_engine.spectra.instrument import INSTRUMENTS

__all__ = ["Range", "repair_candidates"]

Range = tuple[int, int]
"""First pixel, and one past the last."""

_REGIONS = 8  # of the combination
_REGIONS_A_WINDOW = 5
_CHUNKS = 3  # of each width
_WIDTHS = (16, 64, 256, 1024, 2048, 4096)  # pixels


def repair_candidates(attribution: Attribution, instrument: str = "") -> list[Range]:
    """Return ranges of pixels that may make the spectrum odd, without order; they overlap and lie in one another.

    They are the highest regions of the combined attribution and of each window size
    (:func:`imo_engine.reasons.peaks.find_regions`), the chunks of several widths with the largest sums, and the arms or
    cameras of the instrument, if it is known: a fault of the calibration is as wide as those. Ranges begin and end with
    a valid pixel.

    Args:
        attribution: Of the spectrum.
        instrument: A name of :data:`imo_engine.spectra.instrument.INSTRUMENTS`; empty if that is not known.
    """
    valid, wave = attribution.valid, attribution.wavelength
    found: set[Range] = set()

    def add(start: int, stop: int) -> None:
        inside = np.flatnonzero(valid[start:stop])
        if len(inside):
            found.add((start + int(inside[0]), start + int(inside[-1]) + 1))

    for region in find_regions(attribution.combined)[:_REGIONS]:
        add(region.start, region.stop)
    for curve in attribution.mean:
        for region in find_regions(curve)[:_REGIONS_A_WINDOW]:
            add(region.start, region.stop)
    for width in _WIDTHS:
        if width < len(valid):
            for start in _highest_chunks(_finest_below(attribution, width), width):
                add(start, start + width)
    for low, high in INSTRUMENTS[instrument].arms.values() if instrument in INSTRUMENTS else ():
        add(int(np.searchsorted(wave, low)), int(np.searchsorted(wave, high, side="right")))
    return sorted(found)


def _finest_below(attribution: Attribution, width: int) -> NDArray[np.float64]:
    """Return the mean, (N,), of the coarsest window size that fits into ``width`` pixels."""
    sizes = attribution.window_sizes
    fitting = [k for k, size in enumerate(sizes) if size <= width] or [int(np.argmin(sizes))]
    mean: NDArray[np.float64] = np.nan_to_num(attribution.mean[max(fitting, key=sizes.__getitem__)])
    return mean


def _highest_chunks(curve: NDArray[np.float64], width: int) -> list[int]:
    """Return where the chunks with the largest sums begin; they do not overlap, and their sums are positive."""
    total = np.concatenate([[0.0], np.cumsum(curve)])
    starts = np.unique(np.append(np.arange(0, len(curve) - width + 1, max(1, width // 2)), len(curve) - width))
    sums = total[starts + width] - total[starts]
    chosen: list[int] = []
    for index in np.argsort(-sums, kind="stable"):
        start = int(starts[index])
        if len(chosen) == _CHUNKS or sums[index] <= 0:
            break
        if all(abs(start - other) >= width for other in chosen):
            chosen.append(start)
    return chosen
