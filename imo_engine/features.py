"""Why is it odd: what stands out of an attribution, where it lies, and whether source or instrument made it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution import Attribution
from imo_engine.changes import Change, change_in
from imo_engine.errors import InputError
from imo_engine.peaks import Region, find_regions
from imo_engine.significance import LEVEL, Significance, p_in_words
from imo_engine.spectral_lines import SpectralLine
from imo_engine.strength import Strength, strengths
from imo_engine.surroundings import (
    SPEED_OF_LIGHT,
    Nearby,
    arm_overlap,
    lines_within,
    names,
    nearest_arm_edge,
    nearest_lines,
    nearest_sky_line,
    place,
    telluric_band,
)
from imo_engine.verdicts import Evidence, evidence_for, verdict

__all__ = ["Feature", "find_features", "sentence"]

_NARROW = 400.0  # Angstrom; what is wider is no line
_GLOBAL = 0.75  # share of the known pixels
_TOP = 0.9  # of the highest value
_CHANCE = 0.4  # above which being near a spectral line says nothing
_NEAR = 1500.0  # km/s; farther from a line than this nothing is called after it
_MOSTLY = 0.6  # of the summed falls of log p
_NAMED = 2  # features in a sentence besides the first
_LINE_SLACK = 150.0  # km/s by which a line may lie outside a range that holds it


@dataclass(frozen=True)
class Feature:
    """Part of a spectrum that lowers log p when it is put into ordinary spectra."""

    pixels: tuple[int, int]
    """First pixel, and one past the last."""
    observed: tuple[float, float]
    """Wavelength range, vacuum Angstrom, observed frame."""
    rest: tuple[float, float]
    """The same in the rest frame."""
    peak: float
    """Where it is highest at the finest window size that still sees it, vacuum Angstrom, observed frame."""
    peak_rest: float
    """The same in the rest frame."""
    kind: str
    """"narrow" (to 400 Angstrom), "broad", or "global" where no part of the spectrum stands out."""
    share: float
    """Of the positive part of the combined attribution; shares of all features sum to 1 at most."""
    log_prob_drop: float
    """Nats by which log p of an ordinary spectrum falls if this range is put into it: the largest fall by a
    single chunk, or the sum of those of the best window size, which is an estimate, where the range is broader.
    Features are ranked by it, because the share also depends on which window sizes the combination prefers."""
    window_size: int
    """Pixels: the size whose mean over the range is largest against its scatter over baselines."""
    significance: float
    """Of the combination's mean over the range against its scatter over the M baselines, as the normal sigma
    whose tail is that of Student's t with M - 1 degrees of freedom: t = 5 is 3.2 sigma with 8 baselines, 1.6
    with 2. Ranges are chosen where the curve is high, so it is an upper limit."""
    p_value: float | None
    """How often an ordinary spectrum has, anywhere and at any window size, a value as high as the highest of this
    range (:mod:`imo_engine.significance`); None without a null distribution."""
    change: Change
    """Flux against the baselines."""
    lines: tuple[Nearby, ...]
    """Spectral lines nearest to the peak, rest frame."""
    line_names: str
    """Those that a narrow range holds, in words, if its peak is at one of them; else empty."""
    sky_line: Nearby
    """Nearest to the peak, observed frame."""
    telluric: str
    """Band of the atmosphere that covers at least half of the range, or empty."""
    overlap: str
    """Overlap of two arms that holds the middle of the range, or empty."""
    arm_edge: Nearby
    """End of an arm nearest to the peak."""
    place: str
    """Which part of the spectrograph the range is ("B arm", "red end of the Z arm"), or empty."""
    evidence: tuple[Evidence, ...]
    """What speaks for the instrument or for the source."""
    verdict: str
    """"instrument", "source" or "unclear", by the weight of the evidence."""

    @property
    def excess(self) -> bool:
        """Whether there is more flux than in the baselines, not less."""
        return self.change.size > 0


def find_features(
    attribution: Attribution,
    *,
    ivar: NDArray[np.floating] | None = None,
    measured: NDArray[np.bool_] | None = None,
    significance: Significance | None = None,
    limit: int = 6,
    smallest: float = 0.05,
    min_significance: float = 1.0,
) -> list[Feature]:
    """Return what stands out of the combined attribution, the largest fall of log p first.

    Args:
        attribution: Of one spectrum, with at least 2 baselines.
        ivar: (pixel,) inverse variance of its flux; 0 where unknown.
        measured: (pixel,) which pixels hold data.
        significance: Of the attribution, for p-values.
        limit: How many features at most.
        smallest: Features below this share of the largest fall of log p are left out.
        min_significance: Those below it too, sigma.

    Returns:
        Features whose pixels do not overlap; none if nothing is positive or nothing is significant.

    Raises:
        InputError: ``ivar`` or ``measured`` of another shape.
    """
    for name, array in (("ivar", ivar), ("measured", measured)):
        if array is not None and np.shape(array) != attribution.valid.shape:
            raise InputError(f"'{name}' has shape {np.shape(array)}, expected {attribution.valid.shape}")
    combined = attribution.combined
    total = float(np.sum(combined, where=combined > 0))
    regions = find_regions(combined)
    found = [
        (region, strength)
        for region, strength in zip(regions, strengths(attribution, regions, significance), strict=True)
        if strength is not None and strength.significance >= min_significance and strength.log_prob_drop > 0
    ]
    found.sort(key=lambda one: (-one[1].log_prob_drop, one[0].start))
    return [
        _describe(attribution, region, strength, float(combined[region.pixels].sum()) / total, ivar, measured)
        for region, strength in found[:limit]
        if strength.log_prob_drop >= smallest * found[0][1].log_prob_drop
    ]


def sentence(features: Sequence[Feature]) -> str:
    """Say in one sentence why a spectrum is odd.

    >>> sentence([])
    'Nothing stands out.'
    """
    if not features:
        return "Nothing stands out."
    first, *others = features
    text = _subject(first) + (", which looks instrumental" if _is_to_be_said(first) else "")
    if (
        others
        and first.kind != "global"
        and first.log_prob_drop >= _MOSTLY * sum(one.log_prob_drop for one in features)
    ):
        text = f"mostly {text}"
    text += ": "
    if abs(first.change.sigma) >= 1:
        text += f"{'excess' if first.excess else 'missing'} flux, "
    text += f"seen best at {first.window_size} pixel{'s' if first.window_size > 1 else ''}"
    if others:
        named = others[:_NAMED]
        text += f"; also {' and '.join(_subject(one) for one in named)}"
        if all(_is_to_be_said(one) for one in named):
            text += f", which {'look' if len(named) > 1 else 'looks'} instrumental"
    known = [one.p_value for one in features if one.p_value is not None]
    if known and min(known) > LEVEL:
        text += f". Ordinary spectra show as much somewhere ({p_in_words(min(known), 0.0)})"
    return text[0].upper() + text[1:] + "."


def _is_on_sky(feature: Feature) -> bool:
    return feature.verdict == "instrument" and any(one.about == "sky lines" for one in feature.evidence)


def _is_to_be_said(feature: Feature) -> bool:
    return feature.verdict == "instrument" and not _is_on_sky(feature)


def _subject(feature: Feature) -> str:
    low, high = feature.observed
    across = f"{low:.0f}-{high:.0f} Å"
    if feature.kind == "global":
        return f"the spectrum as a whole ({across}), no part of which stands out"
    if _is_on_sky(feature):
        return f"night-sky lines at {across}"
    if feature.line_names and feature.verdict != "instrument":
        return f"{feature.line_names} at {across}"
    if feature.place:
        return f"the {feature.place} ({across})"
    return f"a feature at {across}" if feature.kind == "narrow" else f"a broad range ({across})"


def _describe(
    attribution: Attribution,
    region: Region,
    strength: Strength,
    share: float,
    ivar: NDArray[np.floating] | None,
    measured: NDArray[np.bool_] | None,
) -> Feature:
    wave, stretch, sizes = attribution.wavelength, 1 + attribution.redshift, attribution.window_sizes
    low, high = float(wave[region.start]), float(wave[region.stop - 1])
    curve = attribution.mean[strength.finest, region.pixels]
    highest = region.pixels[np.flatnonzero(curve >= np.nanmax(curve))]
    peak = float(wave[highest[len(highest) // 2]])
    top = region.pixels[np.flatnonzero(curve >= _TOP * np.nanmax(curve))]
    # neither a chunk nor a plateau says better where it is
    tolerance = max(sizes[strength.finest] * float(np.median(np.diff(wave))), float(wave[top[-1]] - wave[top[0]])) / 2
    kind = "narrow" if high - low <= _NARROW else "broad"
    if len(region.pixels) >= _GLOBAL * int(np.isfinite(attribution.combined).sum()):
        kind = "global"
    change = change_in(attribution, region.start, region.stop, ivar)
    near = nearest_lines(peak / stretch, tolerance=tolerance / stretch, count=5)
    held: tuple[SpectralLine, ...] = ()
    if kind == "narrow":
        slack = _LINE_SLACK / SPEED_OF_LIGHT
        held = lines_within(low / stretch * (1 - slack), high / stretch * (1 + slack), emission=change.size > 0)
    own = {line.wavelength for line in held}
    at_peak = [one for one in near if one.wavelength in own and one.chance < _CHANCE and abs(one.offset) < _NEAR]
    line = min(at_peak, key=lambda one: one.chance, default=None)
    evidence = evidence_for(attribution, region, kind, line=line, measured=measured)
    return Feature(
        pixels=(region.start, region.stop),
        observed=(low, high),
        rest=(low / stretch, high / stretch),
        peak=peak,
        peak_rest=peak / stretch,
        kind=kind,
        share=share,
        log_prob_drop=strength.log_prob_drop,
        window_size=sizes[strength.window],
        significance=strength.significance,
        p_value=strength.p_value,
        change=change,
        lines=near[:3],
        line_names="" if line is None else names(held),
        sky_line=nearest_sky_line(peak, tolerance=tolerance),
        telluric=telluric_band(low, high),
        overlap=arm_overlap(low, high),
        arm_edge=nearest_arm_edge(peak),
        place="" if kind == "global" else place(low, high),
        evidence=evidence,
        verdict=verdict(evidence),
    )
