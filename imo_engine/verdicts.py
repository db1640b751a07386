"""Source or instrument: what speaks for either, in words, and how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution import Attribution
from imo_engine.changes import jump_at, share_on_sky_lines, spike_in
from imo_engine.instrument import ARM_OVERLAPS
from imo_engine.peaks import Region
from imo_engine.surroundings import Nearby, arm_overlap, nearest_arm_edge, telluric_band

__all__ = ["Evidence", "evidence_for", "verdict"]

_HINT, _STRONG = 1, 2
_TOUCHES = 100.0  # Angstrom from a boundary of arms
_PARTS = 10
_SPIKE_RANGE = 150  # pixels
_AT_THE_END = 30.0  # Angstrom from the end of the spectrograph's range


@dataclass(frozen=True)
class Evidence:
    """One observation.

    Attributes:
        speaks_for: "instrument" or "source".
        weight: 1 for a hint, 2 for what would convince on its own.
        about: What it is about, in a word or two, the same wherever the same thing is meant.
        text: The observation in words.
    """

    speaks_for: str
    weight: int
    about: str
    text: str


def verdict(evidence: Sequence[Evidence]) -> str:
    """Weigh evidence: "instrument" or "source" if that side has more, and more than hints; else "unclear"."""
    lead = sum(one.weight if one.speaks_for == "source" else -one.weight for one in evidence)
    side = "source" if lead > 0 else "instrument"
    convincing = lead != 0 and any(one.speaks_for == side and one.weight == _STRONG for one in evidence)
    return side if convincing else "unclear"


def evidence_for(
    attribution: Attribution,
    region: Region,
    kind: str,
    *,
    line: Nearby | None = None,
    measured: NDArray[np.bool_] | None = None,
) -> tuple[Evidence, ...]:
    """Gather what speaks for the instrument and for the source of a feature.

    Args:
        attribution: Where it was found.
        region: Its pixels.
        kind: "narrow", "broad" or "global".
        line: The spectral line at its peak, if there is one.
        measured: (pixel,) which pixels hold data.

    Returns:
        Observations, the weightiest first.
    """
    low, high = (float(attribution.wavelength[pixel]) for pixel in (region.start, region.stop - 1))
    found = []
    if kind == "narrow":
        found += _sky(attribution, region) + _spike(attribution, region)
        if line is not None:
            chance = f"by chance in {line.chance:.0%} of cases" if line.chance >= 0.005 else "hardly by chance"
            text = f"its peak is {abs(line.offset):.0f} km/s from {line.name} ({chance})"
            found.append(Evidence("source", _STRONG if line.chance < 0.2 else _HINT, "spectral line", text))
        overlap = arm_overlap(low, high)
        if overlap:
            found.append(Evidence("instrument", _HINT, "overlap", f"it lies in the {overlap} overlap of two arms"))
        edge = nearest_arm_edge((low + high) / 2)
        if (
            not overlap
            and abs(edge.offset) <= _AT_THE_END + (high - low) / 2
            and _outermost(attribution, edge.wavelength)
        ):
            found.append(Evidence("instrument", _HINT, "end", f"it lies at the {edge.name}"))
    else:
        found += _boundaries(attribution, low, high)
    band = telluric_band(low, high)
    if band and kind != "global":
        found.append(Evidence("instrument", _HINT, "atmosphere", f"it lies in the atmosphere's {band} band"))
    if measured is not None:
        share = float(np.mean(measured[region.start : region.stop]))
        if share < 0.8:
            text = f"only {share:.0%} of its pixels were measured"
            found.append(Evidence("instrument", _HINT, "mask", text))
    return tuple(sorted(found, key=lambda one: -one.weight))


def _sky(attribution: Attribution, region: Region) -> list[Evidence]:
    sky = share_on_sky_lines(attribution, region.start, region.stop)
    if sky is None or sky.share < 0.7:
        return []
    text = f"{sky.share:.0%} of the change is on night-sky lines, which fill {sky.pixels:.0%} of the pixels there"
    everywhere = share_on_sky_lines(attribution, 0, len(attribution.valid))
    if everywhere is not None and everywhere.share > 0.8:
        text += f"; so is {everywhere.share:.0%} of all deviations in the spectrum"
        return [Evidence("instrument", _STRONG, "sky lines", text)]
    if sky.chance > 0.4:
        return []
    return [Evidence("instrument", _STRONG if sky.chance < 0.1 else _HINT, "sky lines", text)]


def _spike(attribution: Attribution, region: Region) -> list[Evidence]:
    spike = spike_in(attribution, region.start, region.stop) if region.stop - region.start <= _SPIKE_RANGE else None
    found = []
    if spike is not None and spike.sigma > 8 and spike.width <= 2:
        text = f"its strongest deviation is {spike.width} pixel{'s' if spike.width > 1 else ''} wide"
        weight, text = (_STRONG, f"{text}, less than the instrument resolves") if spike.width == 1 else (_HINT, text)
        found.append(Evidence("instrument", weight, "width", text))
    if spike is not None and spike.flux_sigma < -6:
        text = f"the flux falls to {spike.flux_sigma:.0f} sigma, and no source has negative flux"
        found.append(Evidence("instrument", _STRONG, "negative flux", text))
    return found


def _boundaries(attribution: Attribution, low: float, high: float) -> list[Evidence]:
    """Look for steps where arms meet, at the overlaps that a broad range touches or crosses."""
    found = []
    for name, overlap in ARM_OVERLAPS.items():
        if low > overlap[1] + _TOUCHES or high < overlap[0] - _TOUCHES:
            continue
        jump = jump_at(attribution, overlap)
        if jump is None:
            continue
        if abs(jump.sigma) > 5 and abs(jump.share) > max(0.05, 2 * jump.trend):
            word = "rises" if jump.share > 0 else "falls"
            text = f"the flux {word} by {abs(jump.share):.0%} against the baselines where the {name} arms meet"
            found.append(Evidence("instrument", _STRONG, "step", text))
        elif abs(jump.share) + 2 * jump.error < 0.1:
            text = f"no step where the {name} arms meet ({jump.share:+.0%} ± {jump.error:.0%})"
            found.append(Evidence("source", _STRONG if low < overlap[0] and high > overlap[1] else _HINT, "step", text))
    inside = attribution.valid & (attribution.wavelength >= low) & (attribution.wavelength <= high)
    parts = np.array_split(attribution.flux[inside].astype(np.float64), _PARTS)
    if min(len(part) for part in parts) >= _PARTS:
        worst = min(
            float(np.median(part)) / max(1.25 * float(np.std(part)) / np.sqrt(len(part)), 1e-12) for part in parts
        )
        if worst < -5:
            text = f"part of it has negative flux ({worst:.0f} sigma), which no source has"
            found.append(Evidence("instrument", _STRONG, "negative flux", text))
    return found


def _outermost(attribution: Attribution, edge: float) -> bool:
    return min(abs(attribution.wavelength[0] - edge), abs(attribution.wavelength[-1] - edge)) < _AT_THE_END
