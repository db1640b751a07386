"""The instruments that observed a spectrum: arms, resolution, and where night sky and atmosphere leave traces.

All wavelengths are vacuum, observed frame, in Angstrom. The common grid is DESI's (DESI Collaboration 2022,
AJ 164, 207): 3600 to 9824 in steps of 0.8, 7781 pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ARMS",
    "ARM_OVERLAPS",
    "INSTRUMENTS",
    "TELLURIC_BANDS",
    "Instrument",
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


@dataclass(frozen=True)
class Instrument:
    """A spectrograph on the ground.

    Attributes:
        name: What it is called in :attr:`imo_engine.spectra.spectra.Spectra.instrument`.
        part: What its parts are called: "arm" or "camera".
        arms: Wavelength range of each part, by its name.
        overlaps: Ranges that two parts both cover, where their fluxes are combined, by the names of the two.
        resolving_power: Wavelength over the full width at half maximum of an unresolved line, at some wavelengths in
            ascending order; between them it is interpolated.
    """

    name: str
    part: str
    arms: Mapping[str, tuple[float, float]]
    overlaps: Mapping[str, tuple[float, float]]
    resolving_power: tuple[tuple[float, float], ...]

    def resolution(self, wavelength: float) -> float:
        """Return the full width at half maximum, Angstrom, of an unresolved line at an observed wavelength."""
        at, power = zip(*self.resolving_power, strict=True)
        return wavelength / float(np.interp(wavelength, at, power))


INSTRUMENTS: dict[str, Instrument] = {
    one.name: one
    for one in (
        Instrument("DESI", "arm", ARMS, ARM_OVERLAPS, ((3600.0, 2000.0), (9824.0, 5458.0))),
        Instrument(
            "SDSS",
            "camera",
            {"blue": (3800.0, 6150.0), "red": (5800.0, 9220.0)},
            {"blue/red": (5800.0, 6150.0)},
            ((3800.0, 1850.0), (9220.0, 2200.0)),
        ),
        Instrument(
            "BOSS",
            "camera",
            {"blue": (3560.0, 6350.0), "red": (5650.0, 10400.0)},
            {"blue/red": (5650.0, 6350.0)},
            ((3700.0, 1560.0), (6000.0, 2000.0), (9000.0, 2650.0)),
        ),
    )
}
"""Spectrographs by name. DESI: 1.8 Angstrom in all arms (DESI Collaboration 2022, AJ 164, 207). SDSS and BOSS: two
cameras behind a dichroic at about 6000 Angstrom, ranges and resolving power from Smee et al. (2013, AJ 146, 32)."""


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
    with resources.files("imo_engine.spectra").joinpath("sky_lines.ecsv").open(encoding="utf-8") as file:
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
