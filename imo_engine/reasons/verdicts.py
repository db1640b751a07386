"""Source or instrument: what speaks for either, in words, and how much."""

from collections.abc import Sequence

import numpy as np

from imo_engine.reasons.deviations import Comparison
from imo_engine.reasons.evidence import HINT, STRONG, Evidence
from imo_engine.reasons.line_evidence import line_evidence, other_redshift_evidence
from imo_engine.reasons.spectrum_facts import SpectrumFacts, sky_left
from imo_engine.spectra.instrument import TELLURIC_BANDS
from imo_engine.spectra.landmarks import SPEED_OF_LIGHT, lines_within, names
from imo_engine.spectra.spectral_lines import EMISSION_LINES, SpectralLine

__all__ = ["evidence_for"]

_NARROW = 40.0  # Angstrom: what is wider is no unresolved line
_STEP_WIDTH = 12.0  # Angstrom
_STEP_SHARE = 0.4  # of an arm's deviation
_WITHIN = 0.7
_WHOLE_ARMS = 0.4  # of a step, that the levels of the arms as a whole explain
_COVERED = 0.8  # of an overlap
_SOME_LINE = 1500.0  # km/s
_OVERLAP_REACH = 35.0  # Angstrom from an overlap
_LEAST_OVERLAP, _OVERLAP_WIDTH = 20.0, 160.0  # Angstrom: of what two arms that disagree make
_WIDE_OVERLAP = 200.0  # Angstrom; being in a wider one says nothing
_AGREE = 0.6  # of a deviation, for steps that do not explain it
_BROAD = 100.0  # Angstrom: what is wider is a continuum
_SPIKE_SIGMA = 6.0
_FINER_THAN_RESOLVED = 0.75
_NEGATIVE = -5.0  # sigma
_NEGATIVE_WIDTHS = (1, 3, 7, 15)  # pixels
_ISOLATED = 2  # ranges besides
_ISOLATED_SIGMA = 6.0
_ISOLATED_WIDTH = 15.0  # Angstrom
_MEASURED = 0.8
_SKY_SIDE = 40  # pixels


def evidence_for(
    start: int, stop: int, facts: SpectrumFacts, held: Sequence[SpectralLine], *, excess: bool
) -> tuple[Evidence, ...]:
    """Gather what speaks for the instrument and for the source of a deviation.

    Args:
        start: First pixel.
        stop: One past the last pixel.
        facts: Of the spectrum.
        held: Emission lines of the range at the given redshift.
        excess: Whether there is more flux than the twin has.

    Returns:
        Observations, the weightiest first.
    """
    one = facts.comparison
    low, high = float(one.wavelength[start]), float(one.wavelength[stop - 1])
    narrow = high - low <= _NARROW
    found = _sky(start, stop, facts) + _negative(one, start, stop)
    if narrow and not found:
        found += _spike(one, start, stop)
    if not found:
        found += _steps(start, stop, facts)
    if not found:
        found += [one for one in _overlap(facts, low, high, held=True) if one.weight == STRONG]
    if not found:
        found += other_redshift_evidence(start, stop, facts) or line_evidence(start, stop, facts, held)
    if all(evidence.weight < STRONG for evidence in found):
        found += _overlap(facts, low, high, held=any(line.major for line in held))
    if not found and narrow:
        found += _alone(start, stop, facts, excess=excess)
    if not found and high - low > _BROAD:
        found += _smooth(start, stop, facts)
    return tuple(sorted(found + _air_and_gaps(one, start, stop), key=lambda one: -one.weight))


def _air_and_gaps(one: Comparison, start: int, stop: int) -> list[Evidence]:
    """Look whether a range lies in a band of the atmosphere, and whether it was measured at all."""
    low, high = float(one.wavelength[start]), float(one.wavelength[stop - 1])
    found = []
    for name, first, last in TELLURIC_BANDS if one.spectrograph is not None else ():
        if min(high, last) - max(low, first) >= (high - low) / 2:
            found = [Evidence("instrument", HINT, "atmosphere", f"it lies in the atmosphere's {name} band")]
    share = float(np.mean(one.ivar[start:stop] > 0))
    if share < _MEASURED:
        found.append(Evidence("instrument", HINT, "mask", f"only {share:.0%} of its pixels were measured"))
    return found


def _sky(start: int, stop: int, facts: SpectrumFacts) -> list[Evidence]:
    whole = facts.sky
    if whole is None or not whole.is_there:
        return []
    one = facts.comparison
    here = sky_left(one, max(0, start - _SKY_SIDE), min(len(one.flux), stop + _SKY_SIDE))
    if here is None or abs(here.sigma) < 4 or np.sign(here.sigma) != np.sign(whole.sigma):
        return []
    what = "left" if whole.sigma > 0 else "taken away"
    text = (
        f"night-sky lines are {what} here as in the whole spectrum, {abs(whole.over_chance):.0f} times more than chance"
    )
    return [Evidence("instrument", STRONG, "sky lines", text)]


def _negative(one: Comparison, start: int, stop: int) -> list[Evidence]:
    """Look for flux that is negative beyond its noise, by the file's ivar."""
    worst, width = 0.0, 1
    inside = np.flatnonzero(one.good[start:stop]) + start
    for size in _NEGATIVE_WIDTHS:
        if len(inside) < size:
            break
        weight = one.ivar[inside]
        kernel = np.ones(size)
        total = np.convolve(one.flux[inside] * weight, kernel, "valid") / np.sqrt(np.convolve(weight, kernel, "valid"))
        if len(total) and float(total.min()) < worst:
            worst, width = float(total.min()), size
    if worst > _NEGATIVE:
        return []
    over = "in one pixel" if width == 1 else f"over {width} pixels"
    text = f"the flux is {worst:.1f} sigma {over}, and no source has negative flux"
    return [Evidence("instrument", STRONG, "negative flux", text)]


def _spike(one: Comparison, start: int, stop: int) -> list[Evidence]:
    spectrograph = one.spectrograph
    width, sigma, place = _half_width(one, start, stop)
    if spectrograph is None or sigma < _SPIKE_SIGMA:
        return []
    resolved = spectrograph.resolution(place)
    if width >= _FINER_THAN_RESOLVED * resolved:
        return []
    text = f"it is {width:.1f} Å wide at half maximum, and the instrument resolves {resolved:.1f} Å"
    return [Evidence("instrument", STRONG, "width", text)]


def _half_width(one: Comparison, start: int, stop: int) -> tuple[float, float, float]:
    """Return full width at half maximum (Angstrom), significance and wavelength of the highest deviation.

    The width is infinite where it is not known, because pixels beside it were not measured.
    """
    inside = np.flatnonzero(one.good[start:stop]) + start
    if not len(inside):
        return np.inf, 0.0, float(one.wavelength[start])
    sigma = one.difference / one.noise
    top = int(inside[np.argmax(np.abs(sigma[inside]))])
    size = one.difference * np.sign(one.difference[top])
    half = size[top] / 2
    edges = []
    for way in (-1, 1):
        pixel = top
        while 0 <= pixel + way < len(size) and size[pixel + way] > half:
            pixel += way
        beyond = pixel + way
        if not (0 <= beyond < len(size) and one.good[beyond]):
            return np.inf, float(abs(sigma[top])), float(one.wavelength[top])  # it may go on where nothing was measured
        outer = size[beyond]
        part = (size[pixel] - half) / max(size[pixel] - outer, 1e-12)
        edges.append(abs(pixel - top) + min(float(part), 1.0))
    step = float(np.gradient(one.wavelength)[top])
    return sum(edges) * step, float(abs(sigma[top])), float(one.wavelength[top])


def _overlap(facts: SpectrumFacts, low: float, high: float, *, held: bool) -> list[Evidence]:
    """Look whether a range is where two arms overlap, in a spectrum without a step there."""
    spectrograph = facts.comparison.spectrograph
    if spectrograph is None or any(step.is_there for step in facts.steps):
        return []
    middle = (low + high) / 2
    for name, (first, last) in spectrograph.overlaps.items():
        if last - first > _WIDE_OVERLAP:
            continue
        covers = min(high, last) - max(low, first) >= _COVERED * (last - first)
        near = first - _OVERLAP_REACH <= middle <= last + _OVERLAP_REACH and high - low >= _LEAST_OVERLAP
        if (covers or near) and high - low <= _OVERLAP_WIDTH:
            text = f"it lies where the {name} {spectrograph.part}s meet"
            return [Evidence("instrument", STRONG if covers or not held else HINT, "overlap", text)]
    return []


def _steps(start: int, stop: int, facts: SpectrumFacts) -> list[Evidence]:
    """Look whether a range lies in an arm that is too bright or too faint against its neighbour, as the range is."""
    one = facts.comparison
    spectrograph = one.spectrograph
    if spectrograph is None or one.wavelength[stop - 1] - one.wavelength[start] < _STEP_WIDTH:
        return []
    middle = float(one.wavelength[(start + stop) // 2])
    share = _share(one, start, stop)
    for step in facts.steps:
        names_of = [name for name in step.name.split("/") if name in facts.levels]
        if not step.is_there or len(names_of) < 2:
            continue
        arm = max(names_of, key=lambda name: abs(facts.levels[name]))
        first, last = spectrograph.arms[arm]
        alike = np.sign(share) == np.sign(facts.levels[arm]) and abs(share) > _STEP_SHARE * abs(facts.levels[arm])
        blue, red = (1 + facts.levels[name] for name in names_of)
        explained = (red / blue - 1) * np.sign(step.change) if blue > 0 else abs(step.change)
        whole = explained > _WHOLE_ARMS * abs(step.change) and facts.has_one_level(arm)
        if first <= middle <= last and alike and whole and _mostly_within(facts, first, last):
            word = "rises" if step.change > 0 else "falls"
            text = (
                f"the flux {word} by {abs(step.change):.0%} from blue to red where the {step.name} "
                f"{spectrograph.part}s meet, against that of an ordinary galaxy"
            )
            return [Evidence("instrument", STRONG, "step", text)]
    return []


def _mostly_within(facts: SpectrumFacts, low: float, high: float) -> bool:
    """Tell whether most of what deviates in the spectrum lies in a range of wavelengths."""
    wave = facts.comparison.wavelength
    pixels = [(one.stop - one.start, low <= wave[(one.start + one.stop) // 2] <= high) for one in facts.ranges]
    total = sum(count for count, _ in pixels)
    return total == 0 or sum(count for count, inside in pixels if inside) > _WITHIN * total


def _share(one: Comparison, start: int, stop: int) -> float:
    """Return by which share of the twin a range deviates, with its sign."""
    inside = slice(start, stop)
    weight = np.where(one.good[inside], one.ivar[inside], 0.0)
    twin = np.nan_to_num(one.twin[inside])
    square = float((twin**2 * weight).sum())
    return float((one.difference[inside] * twin * weight).sum()) / square if square > 0 else 0.0


def _alone(start: int, stop: int, facts: SpectrumFacts, *, excess: bool) -> list[Evidence]:
    """Judge a narrow deviation at no emission line of any redshift found, in a spectrum that is else ordinary."""
    others = [one for one in facts.ranges if not (one.start < stop and start < one.stop)]
    one = facts.comparison
    width, sigma, place = _half_width(one, start, stop)
    if not excess:
        low, high = float(one.wavelength[start]), float(one.wavelength[stop - 1])
        stretch = (1.0, 1 + one.redshift)
        lines = [line for z in stretch for line in lines_within(low / z * 0.999, high / z * 1.001, emission=False)]
        if lines:
            star = lines_within(low * 0.999, high * 1.001, emission=False)
            where = " at redshift 0, a star's" if star else ""
            return [
                Evidence("source", HINT, "spectral lines", f"{names(lines)} lie{'s' * (len(lines) == 1)} here{where}")
            ]
    rest = place / (1 + one.redshift)
    reach = rest * _SOME_LINE / SPEED_OF_LIGHT
    near = any(line.major and abs(line.wavelength - rest) <= reach for line in EMISSION_LINES)
    if near or len(others) > _ISOLATED or sigma < _ISOLATED_SIGMA or width > _ISOLATED_WIDTH:
        return []
    if one.spectrograph is None:
        return []
    word = "excess" if excess else "missing"
    text = f"{width:.1f} Å of {word} flux at no known line, and nothing else like it in the spectrum"
    return [Evidence("instrument", STRONG, "alone", text)]


def _smooth(start: int, stop: int, facts: SpectrumFacts) -> list[Evidence]:
    """Judge a broad deviation: arms that agree where they meet, better than it is large, did not make it."""
    spectrograph, share = facts.comparison.spectrograph, abs(_share(facts.comparison, start, stop))
    if spectrograph is None or not facts.steps or any(step.is_there for step in facts.steps):
        return []
    largest = max(facts.steps, key=lambda step: abs(step.change))
    if abs(largest.change) + largest.error < _AGREE * share:
        text = (
            f"{spectrograph.part}s agree where they meet ({largest.change:+.0%} ± {largest.error:.0%} at most), and "
            f"it is {share:.0%}"
        )
        return [Evidence("source", STRONG, "no step", text)]
    return []
