"""What is known at a wavelength: spectral lines at rest, and in the observed frame sky, atmosphere and arms.

Nearness alone proves little where lines are dense, so every neighbour comes with the chance that a random
place would be as near to one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imo_engine.instrument import ARM_OVERLAPS, ARMS, TELLURIC_BANDS, sky_lines
from imo_engine.spectral_lines import ABSORPTION_LINES, EMISSION_LINES, SpectralLine

__all__ = [
    "LINES",
    "SPEED_OF_LIGHT",
    "Nearby",
    "arm_overlap",
    "lines_within",
    "names",
    "nearest_arm_edge",
    "nearest_lines",
    "nearest_sky_line",
    "place",
    "telluric_band",
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


def nearest_sky_line(observed: float, *, tolerance: float = 0.0) -> Nearby:
    """Return the bright night-sky line nearest to an observed wavelength, vacuum Angstrom."""
    table = sky_lines()
    row = table[np.argmin(np.abs(table["wavelength"] - observed))]
    wavelength = float(row["wavelength"])
    chance = _chance(table["wavelength"], observed, abs(observed - wavelength) + tolerance)
    return Nearby(f"{row['species']} {wavelength:.0f}", wavelength, observed - wavelength, "Angstrom", chance)


def telluric_band(low: float, high: float) -> str:
    """Name the band of the atmosphere that covers most of an observed range, if at least half of it."""
    width = max(high - low, 1e-9)
    shares = [((min(high, last) - max(low, first)) / width, name) for name, first, last in TELLURIC_BANDS]
    share, name = max(shares)
    return name if share >= 0.5 or (low == high and share >= 0) else ""


def arm_overlap(low: float, high: float) -> str:
    """Name the overlap of two arms that holds the middle of an observed range; empty if none does."""
    middle = (low + high) / 2
    return next((name for name, (first, last) in ARM_OVERLAPS.items() if first <= middle <= last), "")


def nearest_arm_edge(observed: float) -> Nearby:
    """Return the end of an arm nearest to an observed wavelength, vacuum Angstrom."""
    edges = [(f"{colour} end of the {arm} arm", edge) for arm, ends in ARMS.items() for colour, edge in _ends(ends)]
    name, edge = min(edges, key=lambda one: abs(one[1] - observed))
    chance = _chance(np.array([edge for _, edge in edges]), observed, abs(observed - edge))
    return Nearby(name, edge, observed - edge, "Angstrom", chance)


def place(low: float, high: float, *, tolerance: float = _AT_THE_END) -> str:
    """Say which part of the spectrograph an observed range is: whole arms, or the end of one; empty if neither.

    >>> place(3600, 5750), place(3600, 3900), place(5000, 5100)
    ('B arm', 'blue end of the B arm', '')
    """
    covered, outside = [], high - low
    for arm, (first, last) in ARMS.items():
        common = max(0.0, min(high, last) - max(low, first))
        if common >= _MOST_OF_AN_ARM * (last - first):
            covered.append(arm)
            outside -= common
    if covered and outside <= 0.15 * (high - low):
        return f"{covered[0]} arm" if len(covered) == 1 else f"{' and '.join(covered)} arms"
    for arm, (first, last) in ARMS.items():
        if high - low > 0.5 * (last - first) or low < first - tolerance or high > last + tolerance:
            continue
        if low - first <= tolerance:
            return f"blue end of the {arm} arm"
        if last - high <= tolerance:
            return f"red end of the {arm} arm"
    return ""


def _ends(ends: tuple[float, float]) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("blue", ends[0]), ("red", ends[1])


def _chance(wavelengths: np.ndarray, place: float, distance: float) -> float:
    """Return the chance that a random place near ``place`` has one of ``wavelengths`` within ``distance``."""
    number = max(1, int(np.sum(np.abs(wavelengths - place) <= _NEIGHBOURHOOD)))
    density = number / (2 * _NEIGHBOURHOOD)
    return float(1 - np.exp(-2 * density * distance))
