"""Why is it odd: what stands out of a spectrum, where it lies, and whether source or instrument made it.

Two things are looked at: where the spectrum deviates from its ordinary twin (:mod:`imo_engine.reasons.deviations`), and
where it makes ordinary spectra improbable (:mod:`imo_engine.attribution.occlusion`). Each has p-values counted among
ordinary spectra; what both see is one feature, with the smaller p-value times two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imo_engine.attribution.record import Attribution
from imo_engine.errors import InputError
from imo_engine.reasons.deviation_null import WIDTHS
from imo_engine.reasons.deviations import Comparison, DeviantRange, deviant_ranges
from imo_engine.reasons.evidence import Evidence, verdict
from imo_engine.reasons.other_redshift import OtherRedshift
from imo_engine.reasons.peaks import Region, find_regions
from imo_engine.reasons.significance import LEVEL, Significance
from imo_engine.reasons.spectrum_facts import SpectrumFacts
from imo_engine.reasons.strength import Strength, strengths
from imo_engine.reasons.verdicts import evidence_for
from imo_engine.spectra.landmarks import SPEED_OF_LIGHT, Nearby, lines_within, names, nearest_lines, place
from imo_engine.spectra.spectral_lines import EMISSION_LINES, SpectralLine

__all__ = ["Feature", "Findings", "find_features"]

_NARROW = 400.0  # Angstrom; what is wider is no line
_GLOBAL = 0.75  # share of the known pixels
_LINE_SLACK, _LARGEST_SLACK = 350.0, 2500.0  # km/s by which a line may lie outside; half the width of a range counts
_OF_A_LINE = 100.0  # Angstrom; a wider range may be continuum
_SEEN_LINE = 3.0  # sigma
_LIKELY = 2  # features that are not significant
_MOST = 6
_SMALLEST = 0.05  # of the largest share, where there are no p-values
_MIN_SIGNIFICANCE = 1.0  # over baselines
_CHANCE = 0.5  # p-value from which on a place is not even likely
# what convinces also where nothing is significant
_HARD = ("sky lines", "width", "negative flux", "step", "redshift", "atmosphere", "mask")
_Found = tuple[Region, Strength | None, DeviantRange | None, float, float]  # the last two: p-value and share


@dataclass(frozen=True)
class Feature:
    """Part of a spectrum that is odd."""

    pixels: tuple[int, int]
    """First pixel, and one past the last."""
    observed: tuple[float, float]
    """Wavelength range, vacuum Angstrom, observed frame."""
    rest: tuple[float, float]
    """The same in the rest frame."""
    peak: float
    """Where it is highest, vacuum Angstrom, observed frame."""
    peak_rest: float
    """The same in the rest frame."""
    kind: str
    """"narrow" (to 400 Angstrom), "broad", or "global" where no part of the spectrum stands out."""
    p_value: float | None
    """How often an ordinary spectrum shows as much anywhere; None without ordinary spectra to compare with."""
    share: float
    """Of the positive part of the combined attribution; shares of all features sum to 1 at most."""
    log_prob_drop: float
    """Nats by which log p of an ordinary spectrum falls if this range is put into it: the largest fall by a single
    chunk, or the sum of those of the best window size, which is an estimate, where the range is broader; 0 if it
    does not fall."""
    window_size: int
    """Pixels: the size whose mean over the range is largest against its scatter over baselines."""
    significance: float
    """Of the combination's mean over the range against its scatter over the baselines
    (:func:`imo_engine.reasons.strength.significance_of_mean`)."""
    deviation: float
    """Spectrum minus twin, in units of the ordinary spread at the width that shows it best, with its sign."""
    deviation_width: float
    """Of this width, Angstrom."""
    noise_sigma: float
    """Mean of spectrum minus twin over the range, in units of its noise by the file's ivar alone."""
    lines: tuple[Nearby, ...]
    """Spectral lines nearest to the peak, rest frame, the nearest first."""
    line_names: str
    """Those that a range of up to 400 Angstrom holds, in words; else empty."""
    place: str
    """Which part of the spectrograph the range is ("B arm", "red end of the Z arm"), or empty."""
    evidence: tuple[Evidence, ...]
    """What speaks for the instrument or for the source."""
    verdict: str
    """"instrument", "source" or "unclear", by the weight of the evidence."""

    @property
    def excess(self) -> bool:
        """Whether there is more flux than the twin has, not less."""
        return self.noise_sigma > 0

    @property
    def is_significant(self) -> bool:
        """Whether ordinary spectra rarely show as much; True where that is not known."""
        return self.p_value is None or self.p_value <= LEVEL


@dataclass(frozen=True)
class Findings:
    """What stands out of one spectrum.

    Attributes:
        features: What is significant, the smallest p-value first, then the largest share of the attribution;
            everything that stands out, by share, where there are no p-values.
        likely: What is most likely among the rest; empty where there are no p-values, or ordinary spectra show as much
            more often than not.
        least_p: The smallest p-value of anything; None where there are none.
        other: Another redshift that emission lines fit.
        smallest_p: The smallest p-value that can be found; 0 if unknown.
    """

    features: tuple[Feature, ...]
    likely: tuple[Feature, ...] = ()
    other: OtherRedshift | None = None
    smallest_p: float = 0.0
    least_p: float | None = None


def find_features(
    attribution: Attribution,
    comparison: Comparison,
    *,
    significance: Significance | None = None,
    limit: int = _MOST,
) -> Findings:
    """Return what stands out of one spectrum.

    Args:
        attribution: Of the spectrum, with at least 2 baselines.
        comparison: The spectrum beside its ordinary twin.
        significance: Of the attribution, for its p-values.
        limit: How many features at most.

    Raises:
        InputError: attribution and comparison are of other pixels.
    """
    if comparison.flux.shape != attribution.valid.shape:
        raise InputError(f"'comparison' has {comparison.flux.shape}, 'attribution' {attribution.valid.shape} pixels")
    deviant = deviant_ranges(comparison, LEVEL)
    facts = SpectrumFacts(comparison, deviant)
    kinds = (len(comparison.null) > 0) + (significance is not None)
    combined = attribution.combined
    total = float(np.sum(combined, where=combined > 0)) or 1.0
    regions, ranges = _regions(attribution, deviant)
    found: list[_Found] = []
    for region, strength, deviation in zip(regions, strengths(attribution, regions, significance), ranges, strict=True):
        p = _together(deviation, strength, kinds)
        if deviation is None and (strength is None or strength.significance < _MIN_SIGNIFICANCE):
            continue
        share = float(np.sum(combined[region.pixels], where=combined[region.pixels] > 0)) / total
        found.append((region, strength, deviation, p, share))
    if not kinds:
        found.sort(key=lambda one: (-one[4], one[0].start))
        chosen = [one for one in found if one[4] >= _SMALLEST * found[0][4] and one[4] > 0][:limit]
        likely: list[_Found] = []
    else:
        found.sort(key=lambda one: (one[3], -one[4], one[0].start))
        chosen = [one for one in found if one[3] <= LEVEL][:limit]
        likely = [] if chosen else [one for one in found if one[3] < _CHANCE][:_LIKELY]

    def described(picked: list[_Found]) -> tuple[Feature, ...]:
        return tuple(
            _describe(attribution, facts, region, strength, deviation, p if kinds else None, share)
            for region, strength, deviation, p, share in picked
        )

    smallest = [1 / (len(comparison.null) + 1)] * (len(comparison.null) > 0)
    smallest += [] if significance is None else [significance.smallest]
    least = found[0][3] if kinds and found else None
    return Findings(described(chosen), described(likely), facts.other, kinds * min(smallest, default=0.0), least)


def _together(deviation: DeviantRange | None, strength: Strength | None, kinds: int) -> float:
    """Return the p-value of what one or both ways of looking found, corrected for looking in ``kinds`` ways."""
    both = [] if deviation is None or not np.isfinite(deviation.p_value) else [deviation.p_value]
    if strength is not None and strength.p_value is not None:
        both.append(strength.p_value)
    return min(1.0, kinds * min(both, default=1.0))


def _regions(
    attribution: Attribution, deviant: Sequence[DeviantRange]
) -> tuple[list[Region], list[DeviantRange | None]]:
    """Return ranges that share no pixel, the highest peak of the attribution first, and what deviates in each.

    A region of the attribution that overlaps something deviant is the same thing, whose place the deviation tells.
    """
    spans: list[tuple[int, int, DeviantRange | None]] = [(one.start, one.stop, one) for one in deviant]
    for region in find_regions(attribution.combined):
        if not any(start < region.stop and region.start < stop for start, stop, _ in spans):
            spans.append((region.start, region.stop, None))
    combined = np.nan_to_num(attribution.combined, nan=-np.inf)
    spans.sort(key=lambda span: (-float(combined[span[0] : span[1]].max()), span[0]))
    regions = []
    for start, stop, _ in spans:
        known = np.flatnonzero(np.isfinite(attribution.combined[start:stop])) + start
        regions.append(Region(start, stop, known))
    return regions, [one for _, _, one in spans]


def _describe(
    attribution: Attribution,
    facts: SpectrumFacts,
    region: Region,
    strength: Strength | None,
    deviation: DeviantRange | None,
    p: float | None,
    share: float,
) -> Feature:
    wave, stretch, sizes = attribution.wavelength, 1 + attribution.redshift, attribution.window_sizes
    one = facts.comparison
    low, high = float(wave[region.start]), float(wave[region.stop - 1])
    best = max(range(len(sizes)), key=sizes.__getitem__) if strength is None else strength.window
    peak = float(wave[_peak(attribution, region, strength, deviation)])
    kind = "narrow" if high - low <= _NARROW else "broad"
    if len(region.pixels) >= _GLOBAL * int(np.isfinite(attribution.combined).sum()):
        kind = "global"
    (score, width), sigma = _deviation(one, region, deviation), _noise_sigma(one, region)
    held: tuple[SpectralLine, ...] = ()
    if kind == "narrow":
        half = SPEED_OF_LIGHT * (high - low) / (high + low)
        slack = min(max(_LINE_SLACK, half), _LARGEST_SLACK) / SPEED_OF_LIGHT
        frame = 1 + (facts.other.redshift if facts.other is not None and facts.other.instead else attribution.redshift)
        held = lines_within(low / frame * (1 - slack), high / frame * (1 + slack), emission=max(sigma, score) > 0)
        held = tuple(line for line in held if _is_seen(line, facts, high - low, sigma, score))
    emission = [line for line in held if line in EMISSION_LINES]
    evidence = () if kind == "global" else evidence_for(region.start, region.stop, facts, emission, excess=sigma > 0)
    if p is not None and p > LEVEL:
        evidence = tuple(one for one in evidence if one.about in _HARD)
    return Feature(
        pixels=(region.start, region.stop),
        observed=(low, high),
        rest=(low / stretch, high / stretch),
        peak=peak,
        peak_rest=peak / stretch,
        kind=kind,
        p_value=p,
        share=share,
        log_prob_drop=0.0 if strength is None else max(0.0, strength.log_prob_drop),
        window_size=sizes[best],
        significance=0.0 if strength is None else strength.significance,
        deviation=score,
        deviation_width=width * float(np.median(np.diff(wave))),
        noise_sigma=sigma,
        lines=nearest_lines(peak / stretch),
        line_names=names(held),
        place="" if kind == "global" else place(low, high, one.spectrograph),
        evidence=evidence,
        verdict=verdict(evidence),
    )


def _is_seen(line: SpectralLine, facts: SpectrumFacts, width: float, sigma: float, score: float) -> bool:
    """Tell whether a range may be called after a line that it holds.

    After an emission line if there is more flux and the range is narrow; else if the spectrum itself differs there with
    the sign of the range or of what deviates most in it, or has a broad permitted line there.
    """
    if line not in EMISSION_LINES:
        return width <= _OF_A_LINE
    if sigma > 0 and width <= _OF_A_LINE:
        return True
    seen = facts.own_lines + (facts.broad_lines if sigma > 0 else ())
    signs = np.sign([sigma, score])
    return any(one.line == line and bool((one.sigma * signs > _SEEN_LINE).any()) for one in seen)


def _peak(attribution: Attribution, region: Region, strength: Strength | None, deviation: DeviantRange | None) -> int:
    """Return the pixel where a range is highest: of the deviation, or of the attribution's finest window."""
    if deviation is not None:
        return int(np.clip(deviation.peak, region.start, region.stop - 1))
    if strength is None or not len(region.pixels):
        return (region.start + region.stop) // 2
    curve = attribution.mean[strength.finest, region.pixels]
    highest = region.pixels[np.flatnonzero(curve >= np.nanmax(curve))]
    return int(highest[len(highest) // 2])


def _deviation(one: Comparison, region: Region, deviation: DeviantRange | None) -> tuple[float, int]:
    """Return the deviation of a range in ordinary spreads, with its sign, and the width of its window, pixels."""
    if deviation is not None:
        return deviation.score, deviation.width
    part = one.score[:, region.start : region.stop]
    if not np.isfinite(part).any():
        return 0.0, 1
    fitting = [k for k, width in enumerate(WIDTHS) if width <= 2 * (region.stop - region.start)]
    part = np.where(np.isfinite(part[fitting]), part[fitting], 0.0)
    row, pixel = np.unravel_index(int(np.argmax(np.abs(part))), part.shape)
    return float(part[row, pixel]), WIDTHS[fitting[row]]


def _noise_sigma(one: Comparison, region: Region) -> float:
    inside = slice(region.start, region.stop)
    weight = np.where(one.good[inside], one.ivar[inside], 0.0)
    square = float(weight.sum())
    return float((one.difference[inside] * weight).sum()) / np.sqrt(square) if square > 0 else 0.0
