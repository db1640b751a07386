"""Attribution profiles: where along the wavelength axis a spectrum is odd, so that spectra can be compared by cause.

A profile is the share of the positive combined attribution in each of the same logarithmic wavelength bins, for every
spectrum. In the rest frame profiles agree for the same lines and continua of sources at different redshifts, in the
observed frame for the same trouble of the instrument or the sky.
"""

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import Attribution
from imo_engine.errors import InputError

__all__ = ["BIN_EDGES", "FRAMES", "attribution_profile", "profile_distances"]

FRAMES = ("rest", "observed")
"""Frames in which profiles are made."""

_STEP = 0.002  # 600 km/s
_BLUR = np.array([0.25, 0.5, 0.25])  # so that neighbouring bins count as near

BIN_EDGES: NDArray[np.float64] = np.exp(np.arange(np.log(1500.0), np.log(11000.0), _STEP))
"""(B + 1,) vacuum Angstrom: edges of the bins, 600 km/s wide."""


def attribution_profile(attribution: Attribution, frame: str) -> NDArray[np.float32]:
    """Return the profile of one attribution, (B,); it sums to 1, or is 0 everywhere if nothing is positive.

    Args:
        attribution: Of one spectrum.
        frame: "rest" or "observed".

    Raises:
        InputError: another frame.
    """
    if frame not in FRAMES:
        raise InputError(f"'frame' is {frame!r}; expected one of {', '.join(FRAMES)}")
    wave = attribution.wavelength / (1 + attribution.redshift) if frame == "rest" else attribution.wavelength
    combined = attribution.combined
    positive = np.where(np.isfinite(combined) & (combined > 0), combined, 0.0)
    place = np.searchsorted(BIN_EDGES, wave, side="right") - 1
    inside = (place >= 0) & (place < len(BIN_EDGES) - 1)
    binned = np.bincount(place[inside], positive[inside], len(BIN_EDGES) - 1)
    blurred = np.convolve(binned, _BLUR, "same")
    total = blurred.sum()
    return (blurred / total if total > 0 else blurred).astype(np.float32)


def profile_distances(profiles: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the Hellinger distances, (n, m), of profiles (n, B) and (m, B): 0 for the same, 1 without overlap.

    A profile that is 0 everywhere has distance 1 to all.

    >>> profile_distances(np.array([[0.5, 0.5, 0.0]]), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))
    array([[0., 1.]])
    """
    overlap = np.sqrt(np.asarray(profiles, float)) @ np.sqrt(np.asarray(others, float)).T
    distance: NDArray[np.float64] = np.sqrt(np.clip(1 - overlap, 0, 1))
    return distance
