"""What is known at a wavelength: spectral lines at rest, and in the observed frame sky, atmosphere and arms.

Nearness alone proves little where lines are dense, so every neighbour comes with the chance that a random
place would be as near to one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imo_engine.spectra.instrument import Instrument
from imo_engine.spectra.spectral_lines import ABSORPTION_LINES, EMISSION_LINES, SpectralLine

__all__ = [
    "LINES",
    "SPEED_OF_LIGHT",
    "Nearby",
    "lines_within",
    "names",
    "nearest_lines",
    "place",
]

SPEED_OF_LIGHT = 299_792.458
"""km/s."""

LINES: tuple[SpectralLine, ...] = EMISSION_LINES + ABSORPTION_LINES

_NEIGHBOURHOOD = 300.0  # Angstrom on either side in which lines are counted
_MOST_OF_AN_ARM = 0.75
_AT_THE_END = 50.0  # Angstrom


@dataclass(frozen=True)
class Nearby:
    """Something at a known wavelength near the place that was asked about.

    Attributes:
        name: What it is called.
        wavelength: Vacuum Angstrom, in the frame of the question.
        offset: The place minus ``wavelength``, in ``unit``.
        unit: "km/s" or "Angstrom".
        chance: How probable it is that a random place in the neighbourhood is as near to one, 0 to 1.
    """

    name: str
    wavelength: float
    offset: float
    unit: str
    chance: float


def nearest_lines(rest_wavelength: float, *, tolerance: float = 0.0, count: int = 3) -> tuple[Nearby, ...]:
    """Return the ``count`` spectral lines nearest to a rest-frame wavelength, the nearest first.

    Args:
        rest_wavelength: Vacuum Angstrom.
        tolerance: How well the place is known, Angstrom; widens the chance.
        count: How many.
    """
    everything = np.array([line.wavelength for line in LINES])
    major = np.array([line.wavelength for line in LINES if line.major])
    found = []
    for line in sorted(LINES, key=lambda one: abs(one.wavelength - rest_wavelength))[:count]:
        distance = abs(rest_wavelength - line.wavelength) + tolerance
        chance = _chance(everything, rest_wavelength, distance)
        if line.major:
            chance = min(chance, _chance(major, rest_wavelength, distance))
        offset = SPEED_OF_LIGHT * (rest_wavelength / line.wavelength - 1)
        found.append(Nearby(line.name, line.wavelength, offset, "km/s", chance))
    return tuple(found)


def lines_within(rest_low: float, rest_high: float, *, emission: bool | None = None) -> tuple[SpectralLine, ...]:
    """Return the spectral lines of a rest-frame range, vacuum Angstrom: major ones first, then by wavelength.

    Args:
        rest_low: Where it begins.
        rest_high: Where it ends.
        emission: Only those seen in emission, or only those in absorption; if there are none, the others.
    """
    chosen = LINES if emission is None else EMISSION_LINES if emission else ABSORPTION_LINES
    inside = [line for line in chosen if rest_low <= line.wavelength <= rest_high]
    if not inside and emission is not None:
        return lines_within(rest_low, rest_high)
    return tuple(sorted(inside, key=lambda line: (not line.major, line.wavelength)))


def names(lines: Sequence[SpectralLine], *, limit: int = 3) -> str:
    """Name lines as people do: a multiplet once, without wavelengths.

    >>> names(lines_within(6540, 6600))
    'Hα + [N II]'
    """
    species = list(dict.fromkeys(re.sub(r" \d+$", "", line.name) for line in lines))
    return " + ".join(species[:limit]) + (" and others" if len(species) > limit else "")


def place(low: float, high: float, instrument: Instrument | None, *, tolerance: float = _AT_THE_END) -> str:
    """Say which part of a spectrograph an observed range is: whole arms, or the end of one.

    Empty if it is neither, or the instrument is not known.

    >>> from imo_engine.spectra.instrument import INSTRUMENTS
    >>> desi = INSTRUMENTS["DESI"]
    >>> place(3600, 5750, desi), place(3600, 3900, desi), place(5000, 5100, desi), place(3600, 5750, None)
    ('B arm', 'blue end of the B arm', '', '')
    """
    if instrument is None:
        return ""
    arms, part = instrument.arms, instrument.part
    covered, outside = [], high - low
    for arm, (first, last) in arms.items():
        common = max(0.0, min(high, last) - max(low, first))
        if common >= _MOST_OF_AN_ARM * (last - first):
            covered.append(arm)
            outside -= common
    if covered and outside <= 0.15 * (high - low):
        return f"{covered[0]} {part}" if len(covered) == 1 else f"{' and '.join(covered)} {part}s"
    for arm, (first, last) in arms.items():
        if high - low > 0.5 * (last - first) or low < first - tolerance or high > last + tolerance:
            continue
        if low - first <= tolerance:
            return f"blue end of the {arm} {part}"
        if last - high <= tolerance:
            return f"red end of the {arm} {part}"
    return ""


def _chance(wavelengths: np.ndarray, place: float, distance: float) -> float:
    """Return the chance that a random place near ``place`` has one of ``wavelengths`` within ``distance``."""
    number = max(1, int(np.sum(np.abs(wavelengths - place) <= _NEIGHBOURHOOD)))
    density = number / (2 * _NEIGHBOURHOOD)
    return float(1 - np.exp(-2 * density * distance))
