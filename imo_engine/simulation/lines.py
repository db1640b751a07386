"""Emission lines of simulated galaxies: which there are, where, and their profiles on a wavelength grid.

Wavelengths are vacuum, rest frame, Angstrom; intensities of the lines of one galaxy are equivalent
widths with respect to the galaxy's normalisation, that is, integrated flux in Angstrom where the median
flux at rest 5300 to 5850 Angstrom is 1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LINE_NAMES", "LINE_WAVELENGTHS", "SPEED_OF_LIGHT", "line_index", "render_lines", "to_air", "to_vacuum"]

SPEED_OF_LIGHT = 299792.458
"""km/s."""

_LINES = (
    ("[Ne V] 3426", 3426.85),
    ("[O II] 3726", 3727.10),
    ("[O II] 3729", 3729.86),
    ("H11", 3771.70),
    ("H10", 3798.98),
    ("H9", 3836.47),
    ("[Ne III] 3869", 3869.86),
    ("H8", 3890.15),
    ("[Ne III] 3967", 3968.59),
    ("Hε", 3971.20),
    ("Hδ", 4102.89),
    ("Hγ", 4341.69),
    ("[O III] 4363", 4364.44),
    ("He I 4471", 4472.73),
    ("He II 4686", 4687.02),
    ("Hβ", 4862.71),
    ("[O III] 4959", 4960.30),
    ("[O III] 5007", 5008.24),
    ("He I 5876", 5877.25),
    ("[O I] 6300", 6302.05),
    ("[O I] 6364", 6365.54),
    ("[N II] 6548", 6549.86),
    ("Hα", 6564.60),
    ("[N II] 6584", 6585.27),
    ("He I 6678", 6680.00),
    ("[S II] 6716", 6718.29),
    ("[S II] 6731", 6732.67),
    ("He I 7065", 7067.14),
    ("[Ar III] 7135", 7137.77),
    ("[O II] 7320", 7322.01),
    ("[O II] 7330", 7332.00),
    ("[S III] 9069", 9071.10),
    ("[S III] 9532", 9533.20),
)

LINE_NAMES: tuple[str, ...] = tuple(name for name, _ in _LINES)
"""The lines that every simulated galaxy has, possibly with no flux."""

LINE_WAVELENGTHS: NDArray[np.float64] = np.array([wavelength for _, wavelength in _LINES])
"""(L,) vacuum, rest frame, Angstrom."""
LINE_WAVELENGTHS.flags.writeable = False


def line_index(*names: str) -> list[int]:
    """Return the positions of lines in :data:`LINE_NAMES`.

    >>> line_index("Hβ", "Hα")
    [15, 22]
    """
    return [LINE_NAMES.index(name) for name in names]


def to_air(vacuum: ArrayLike) -> NDArray[np.float64]:
    """Convert vacuum to air wavelengths above 2000 Angstrom (Morton 2000, ApJS 130, 403, eq. 8).

    >>> float(to_air(6564.60).round(1))
    6562.8
    """
    wave = np.asarray(vacuum, np.float64)
    s2 = (1e4 / wave) ** 2
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)
    return np.where(wave > 2000, wave / index, wave)


def to_vacuum(air: ArrayLike) -> NDArray[np.float64]:
    """Invert :func:`to_air` to 1e-6 Angstrom."""
    air = np.asarray(air, np.float64)
    wave = air.copy()
    for _ in range(3):
        wave = wave + (air - to_air(wave))
    return wave


def render_lines(
    wavelength: NDArray[np.float64],
    centre: NDArray[np.float64],
    flux: NDArray[np.float64],
    sigma: NDArray[np.float64],
    *,
    reach: float = 5.0,
) -> NDArray[np.float64]:
    """Add up Gaussian lines on an increasing grid.

    Args:
        wavelength: (N,) Angstrom.
        centre: (n, L) Angstrom, in the frame of ``wavelength``.
        flux: (n, L) integral of each line over wavelength.
        sigma: (n, L) Angstrom.
        reach: Standard deviations at which a line is cut off.

    Returns:
        (n, N) flux density.
    """
    n, count = len(centre), len(wavelength)
    out = np.zeros(n * count)
    low = np.searchsorted(wavelength, centre - reach * sigma)
    high = np.searchsorted(wavelength, centre + reach * sigma)
    high[flux == 0] = low[flux == 0]
    row, line = np.nonzero(high > low)
    length = (high - low)[row, line]
    if len(row):
        start = np.repeat(low[row, line] - np.concatenate([[0], np.cumsum(length)[:-1]]), length)
        pixel = start + np.arange(length.sum())
        which = np.repeat(np.arange(len(row)), length)
        s = sigma[row, line][which]
        u = (wavelength[pixel] - centre[row, line][which]) / s
        value = flux[row, line][which] / (np.sqrt(2 * np.pi) * s) * np.exp(-0.5 * u * u)
        out += np.bincount(row[which] * count + pixel, weights=value, minlength=n * count)
    return out.reshape(n, count)
