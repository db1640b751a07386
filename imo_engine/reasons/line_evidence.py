"""What spectral lines say of a deviation: at the given redshift, and at another one that emission lines fit."""

from collections.abc import Sequence

import numpy as np

from imo_engine.reasons.deviations import Comparison
from imo_engine.reasons.evidence import HINT, STRONG, Evidence
from imo_engine.reasons.spectrum_facts import SpectrumFacts
from imo_engine.spectra.landmarks import SPEED_OF_LIGHT, names
from imo_engine.spectra.spectral_lines import EMISSION_LINES, SpectralLine

__all__ = ["line_evidence", "other_redshift_evidence"]

_LINE_WIDTH = 30.0  # Angstrom, around a major line: too wide for a few bad pixels
_AWAY = 120.0  # Angstrom from an overlap
_LINE_SLACK = 350.0  # km/s
_PARTNER_SEEN, _PARTNERS = 4.0, 2  # sigma; lines
_DOUBLETS = {("[O III] 5007", "[O III] 4959"): 2.98}
_DOUBLET_WIDTH = 8.0  # Angstrom
_BROAD = 100.0  # Angstrom: what is wider is a continuum


def line_evidence(start: int, stop: int, facts: SpectrumFacts, held: Sequence[SpectralLine]) -> list[Evidence]:
    """Look for spectral lines in the range and for others that differ from the twin's as well."""
    if not held:
        return []
    one, own = facts.comparison, {line.name for line in held}
    width = float(one.wavelength[stop - 1] - one.wavelength[start])
    if len(own) == 1 and width <= _DOUBLET_WIDTH and (text := _missing_partner(one, own)):
        return [Evidence("instrument", STRONG, "doublet", text)]
    seen = [line for line in facts.lines if line.line.name not in own and abs(line.sigma) > _PARTNER_SEEN]
    if len(seen) >= _PARTNERS or any(_are_doublet(line.line.name, own) for line in seen):
        strongest = sorted(seen, key=lambda line: -abs(line.sigma))[:3]
        text = f"{names([line.line for line in strongest])} differ{'s' * (len(strongest) == 1)} from the twin's as well"
        return [Evidence("source", STRONG, "spectral lines", text)]
    elsewhere = _lines_elsewhere(start, stop, facts, own)
    if elsewhere:
        return [Evidence("source", STRONG, "spectral lines", f"{elsewhere} deviate from the twin's as well")]
    if width >= _LINE_WIDTH and any(line.major for line in held) and not _near_overlap(one, start, stop):
        speed = SPEED_OF_LIGHT * width / float(one.wavelength[start])
        text = f"it spreads over {speed:,.0f} km/s around {names(held)}, too wide for a few bad pixels"
        return [Evidence("source", STRONG, "spectral lines", text)]
    return [Evidence("source", HINT, "spectral lines", f"{names(held)} lie{'s' * (len(held) == 1)} here")]


def _lines_elsewhere(start: int, stop: int, facts: SpectrumFacts, own: set[str]) -> str:
    """Name other lines that other deviating ranges of the spectrum hold; empty if none do."""
    one = facts.comparison
    stretch, found = 1 + one.redshift, []
    for other in facts.ranges:
        low, high = float(one.wavelength[other.start]), float(one.wavelength[other.stop - 1])
        if (other.start < stop and start < other.stop) or high - low > _BROAD:
            continue
        inside = [line for line in EMISSION_LINES if low / stretch * 0.999 <= line.wavelength <= high / stretch * 1.001]
        found += [line for line in inside if line.name not in own]
    return names(found)


def _near_overlap(one: Comparison, start: int, stop: int) -> bool:
    spectrograph, middle = one.spectrograph, float(one.wavelength[(start + stop) // 2])
    overlaps = {} if spectrograph is None else spectrograph.overlaps
    return any(first - _AWAY <= middle <= last + _AWAY for first, last in overlaps.values())


def _are_doublet(name: str, own: set[str]) -> bool:
    return any(name in pair and (set(pair) - {name}) & own for pair in _DOUBLETS)


def other_redshift_evidence(start: int, stop: int, facts: SpectrumFacts) -> list[Evidence]:
    """Look for lines at another redshift that emission lines of the spectrum fit."""
    other, wave = facts.other, facts.comparison.wavelength
    if other is None:
        return []
    if other.instead:
        return [Evidence("source", STRONG, "redshift", f"emission lines fit z = {other.redshift:.4f}")]
    place = float(wave[(start + stop) // 2])
    slack = (float(wave[stop - 1]) - float(wave[start])) / 2 + place * _LINE_SLACK / SPEED_OF_LIGHT
    for line in EMISSION_LINES:
        if line.name in other.lines and abs(line.wavelength * (1 + other.redshift) - place) <= slack:
            return [
                Evidence("source", STRONG, "redshift", f"{line.name} of a second source at z = {other.redshift:.4f}")
            ]
    return []


def _missing_partner(one: Comparison, own: set[str]) -> str:
    """Say that one line of a doublet with a fixed ratio changes and the other does not; empty if that is not so."""
    for (strong, weak), ratio in _DOUBLETS.items():
        if (strong in own) == (weak in own):
            continue
        there, missing, expected = (strong, weak, 1 / ratio) if strong in own else (weak, strong, ratio)
        of_there, of_missing = _line_difference(one, there), _line_difference(one, missing)
        if of_there is None or of_missing is None:
            continue
        error = np.hypot(of_missing[1], of_there[1] * expected)
        if abs(of_there[0] * expected - of_missing[0]) > 5 * error + 0.5 * abs(of_there[0] * expected):
            return f"{there} changes and {missing}, whose flux is a fixed share of it, does not"
    return ""


def _line_difference(one: Comparison, name: str) -> tuple[float, float] | None:
    """Return flux of spectrum minus twin within 350 km/s of a line, and its error; None if it was not measured."""
    line = next(line for line in EMISSION_LINES if line.name == name)
    centre = line.wavelength * (1 + one.redshift)
    inside = np.abs(one.wavelength - centre) <= centre * _LINE_SLACK / SPEED_OF_LIGHT
    if not inside.any() or np.mean(one.good[inside]) < 0.8:
        return None
    there = inside & one.good
    return float(one.difference[there].sum()), float(np.sqrt((one.noise[there] ** 2).sum()))
