"""The instrument's wavelength grid, its arms, and where night sky and atmosphere leave traces.

All wavelengths are vacuum, observed frame, in Angstrom. The grid and the arms are DESI's
(DESI Collaboration 2022, AJ 164, 207): 3600 to 9824 in steps of 0.8, 7781 pixels, arms B, R and Z.
"""

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ARMS",
    "ARM_OVERLAPS",
    "TELLURIC_BANDS",
    "desi_wavelength",
    "sky_line_mask",
    "sky_lines",
]

_FIRST, _STEP, _PIXELS = 3600.0, 0.8, 7781

ARMS: dict[str, tuple[float, float]] = {"B": (3600.0, 5800.0), "R": (5760.0, 7620.0), "Z": (7520.0, 9824.0)}
"""Wavelength range of each arm of the spectrograph."""

ARM_OVERLAPS: dict[str, tuple[float, float]] = {"B/R": (5760.0, 5800.0), "R/Z": (7520.0, 7620.0)}
"""Ranges that two arms both cover and where their fluxes are combined."""

TELLURIC_BANDS: tuple[tuple[str, float, float], ...] = (
    ("O2 γ", 6276.0, 6320.0),
    ("O2 B", 6864.0, 6948.0),
    ("H2O", 7161.0, 7340.0),
    ("O2 A", 7592.0, 7700.0),
    ("H2O", 8130.0, 8350.0),
    ("H2O", 8945.0, 9850.0),
)
"""Absorption bands of the Earth's atmosphere: name, first and last wavelength."""


@cache
def desi_wavelength() -> NDArray[np.float64]:
    """Return DESI's common grid, (7781,), vacuum Angstrom, observed frame; read-only.

    >>> wave = desi_wavelength()
    >>> len(wave), wave[[0, -1]].tolist()
    (7781, [3600.0, 9824.0])
    """
    wave = np.linspace(_FIRST, _FIRST + _STEP * (_PIXELS - 1), _PIXELS)
    wave.flags.writeable = False
    return wave


@cache
def sky_lines() -> NDArray[np.void]:
    """Return the bright night-sky lines: fields ``wavelength`` (vacuum Angstrom), ``intensity``, ``species``."""
    with resources.files("imo_engine").joinpath("sky_lines.ecsv").open(encoding="utf-8") as file:
        rows = [line.split() for line in file if not line.startswith("#")][1:]
    table = np.array(
        [(float(wave), float(intensity), species) for wave, intensity, species in rows],
        dtype=[("wavelength", float), ("intensity", float), ("species", "U4")],
    )
    table.flags.writeable = False
    return table


def sky_line_mask(
    wavelength: NDArray[np.float64], *, min_intensity: float = 2.0, half_width: float = 5.0
) -> NDArray[np.bool_]:
    """Tell which pixels lie on a bright sky line, (n_pixel,), the way the published models were trained.

    A line of ``min_intensity`` masks ``half_width`` Angstrom on either side, a ten times brighter one
    twice that (spender 0.3, ``get_skyline_mask``).
    """
    lines = sky_lines()
    lines = lines[lines["intensity"] > min_intensity]
    reach = half_width * (1 + np.log10(lines["intensity"] / min_intensity))
    mask = np.zeros(len(wavelength), bool)
    for centre, width in zip(lines["wavelength"], reach, strict=True):
        mask |= np.abs(wavelength - centre) < width
    return mask
