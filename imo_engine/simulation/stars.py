"""Crude spectra of stars, for stars that got a galaxy's redshift. Analytic; vacuum wavelengths, Angstrom."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["STAR_TYPES", "star_spectrum"]

STAR_TYPES = ("A", "K", "M")

_BALMER = (6564.6, 4862.7, 4341.7, 4102.9, 3971.2, 3890.2, 3836.5, 3799.0)
# centre, width, depth
_METALS = (
    *((3934.8, 9.0, 0.8), (3969.6, 8.0, 0.75), (4305.6, 9.0, 0.45), (4227.9, 3.0, 0.4), (5175.0, 12.0, 0.3)),
    *((5270.0, 5.0, 0.2), (5894.0, 4.0, 0.45), (8500.4, 3.0, 0.3), (8544.4, 4.0, 0.45), (8664.5, 4.0, 0.4)),
)
# heads of TiO and VO bands, each degraded to the red (Kirkpatrick et al. 1991, ApJS 77, 417)
_BANDS = (
    *((4762.0, 0.35, 90.0), (4956.0, 0.45, 110.0), (5168.0, 0.5, 130.0), (5450.0, 0.4, 110.0), (5862.0, 0.45, 150.0)),
    *((6160.0, 0.55, 180.0), (6653.0, 0.45, 120.0), (7056.0, 0.55, 170.0), (7591.0, 0.45, 150.0)),
    *((8434.0, 0.4, 120.0), (8861.0, 0.35, 150.0)),
)


def star_spectrum(kind: str, wavelength: NDArray[np.float64], *, temperature: float) -> NDArray[np.float64]:
    """Return a star's flux density, median 1, (N,): a black body with the lines or bands of type A, K or M."""
    micron = wavelength / 1e4
    flux = micron**-5 / np.expm1(1.43878e4 / (micron * temperature))
    if kind == "A":
        for centre in _BALMER:
            flux = flux * (1 - 0.62 / (1 + ((wavelength - centre) / 9.0) ** 2))
    else:
        for centre, width, depth in _METALS:
            flux = flux * (1 - depth * np.exp(-0.5 * ((wavelength - centre) / width) ** 2))
        flux = flux * (1 - 0.35 / (1 + np.exp((wavelength - 4000.0) / 40.0)))
    if kind == "M":
        for head, depth, length in _BANDS:
            behind = wavelength - head
            flux = flux * (1 - depth * np.where(behind > 0, np.exp(-np.clip(behind, 0, None) / length), 0.0))
    return flux / np.median(flux)
