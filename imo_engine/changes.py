"""How a spectrum differs from its baselines: by how much in a range, and whether as only an instrument can."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution import Attribution
from imo_engine.instrument import sky_line_mask

__all__ = ["Change", "Jump", "SkyShare", "Spike", "change_in", "jump_at", "share_on_sky_lines", "spike_in"]

_LINE_WIDTH = 150  # pixels; a narrower range is compared with its surroundings
_FLANK = 40  # pixels on either side
_JUMP_SIDE = 80.0  # Angstrom on either side of an overlap
_SKY_HALF_WIDTH = 2.0  # Angstrom: what a line of the instrument's resolution fills
_PIXELS_OF_A_LINE = 4.0


@dataclass(frozen=True)
class Change:
    """Mean flux of a range against the baselines.

    Attributes:
        size: Mean of spectrum minus baselines, in units of the normalised flux.
        sigma: ``size`` over its scatter: that of the baselines, for one more object like them, and the noise of
            the spectrum.
        local: Whether the surroundings were subtracted, on either side of a narrow range.
    """

    size: float
    sigma: float
    local: bool


@dataclass(frozen=True)
class Jump:
    """A step of spectrum minus baselines where two arms meet.

    Attributes:
        share: Red side minus blue side, as a share of the flux there.
        sigma: The step over its scatter, as in :class:`Change`.
        error: One sigma of ``share``.
        trend: What the slope within either side would amount to from one side to the other, as a share too; a
            step that is not much larger may be the flank of a line.
    """

    share: float
    sigma: float
    error: float
    trend: float


@dataclass(frozen=True)
class Spike:
    """The largest deviation of a narrow range.

    Attributes:
        width: Full width at half maximum, pixels.
        sigma: Its height over the noise.
        flux_sigma: The flux at its extreme over the noise; far below 0 no source can be.
    """

    width: int
    sigma: float
    flux_sigma: float


@dataclass(frozen=True)
class SkyShare:
    """How much of a change lies on night-sky lines.

    Attributes:
        share: Of the squared change.
        pixels: Share of the pixels that lie on sky lines.
        chance: How probable so large a share is for lines at random places.
    """

    share: float
    pixels: float
    chance: float


def change_in(attribution: Attribution, start: int, stop: int, ivar: NDArray[np.floating] | None = None) -> Change:
    """Compare pixels [start, stop) with the baselines.

    A range narrower than 150 pixels is compared as it is and relative to 40 pixels on either side, and the
    more significant of the two is returned.

    Args:
        attribution: Spectrum and baselines.
        start: First pixel.
        stop: One past the last pixel.
        ivar: (pixel,) inverse variance of the flux; without it the noise is estimated from neighbouring pixels.
    """
    difference = attribution.flux - attribution.baselines.astype(np.float64)
    inside = np.flatnonzero(attribution.valid[start:stop]) + start
    if not len(inside):
        return Change(0.0, 0.0, False)
    noise = _noise(attribution, start, stop, ivar) / np.sqrt(len(inside))
    plain = difference[:, inside].mean(axis=1)
    best = Change(float(plain.mean()), _over_scatter(plain, noise), False)
    if stop - start < _LINE_WIDTH:
        flanks = [_valid(attribution, start - _FLANK, start), _valid(attribution, stop, stop + _FLANK)]
        levels = [np.median(difference[:, flank], axis=1) for flank in flanks if len(flank) >= _FLANK // 4]
        if levels:
            above = plain - np.mean(levels, axis=0)
            local = Change(float(above.mean()), _over_scatter(above, noise), True)
            best = max(best, local, key=lambda one: abs(one.sigma))
    return best


def jump_at(attribution: Attribution, overlap: tuple[float, float]) -> Jump | None:
    """Measure a step across an overlap of two arms, observed Angstrom; None where too little was measured."""
    wave = attribution.wavelength
    blue = np.flatnonzero(attribution.valid & (wave >= overlap[0] - _JUMP_SIDE) & (wave < overlap[0]))
    red = np.flatnonzero(attribution.valid & (wave > overlap[1]) & (wave <= overlap[1] + _JUMP_SIDE))
    if min(len(blue), len(red)) < 20:
        return None
    difference = attribution.flux - attribution.baselines.astype(np.float64)
    steps = np.median(difference[:, red], axis=1) - np.median(difference[:, blue], axis=1)
    pixel_noise = _noise(attribution, int(blue[0]), int(red[-1]) + 1, None)
    noise = pixel_noise * np.sqrt(np.pi / 2 * (1 / len(blue) + 1 / len(red)))
    level = max(abs(np.median(attribution.flux[side])) for side in (blue, red))
    scale = max(float(level), pixel_noise, 1e-12)
    sigma = _over_scatter(steps, noise)
    size = float(steps.mean())
    mean = difference.mean(axis=0)
    slopes = []
    for side in (blue, red):
        first, _, last = np.array_split(side, 3)
        rise = np.median(mean[last]) - np.median(mean[first])
        slopes.append(abs(float(rise / (wave[last].mean() - wave[first].mean()))))
    trend = max(slopes) * float(wave[red].mean() - wave[blue].mean())
    return Jump(size / scale, sigma, (abs(size / sigma) if sigma else noise) / scale, trend / scale)


def spike_in(attribution: Attribution, start: int, stop: int) -> Spike | None:
    """Describe the largest deviation from the surroundings within pixels [start, stop); None without valid ones."""
    inside = _valid(attribution, start, stop)
    if not len(inside):
        return None
    difference = attribution.flux - attribution.baselines.astype(np.float64).mean(axis=0)
    around = _valid(attribution, start - _FLANK, stop + _FLANK)
    local = difference[around] - np.median(difference[around])
    noise = max(_noise(attribution, start, stop, None), 1e-12)
    top = int(np.searchsorted(around, inside[np.argmax(np.abs(difference[inside] - np.median(difference[around])))]))
    half = local * np.sign(local[top]) >= abs(local[top]) / 2
    first = last = top
    while first > 0 and half[first - 1]:
        first -= 1
    while last + 1 < len(half) and half[last + 1]:
        last += 1
    lowest = float(attribution.flux[around[first : last + 1]].min())
    return Spike(last - first + 1, float(abs(local[top]) / noise), lowest / noise)


def share_on_sky_lines(attribution: Attribution, start: int, stop: int) -> SkyShare | None:
    """Tell how much of the change in pixels [start, stop) lies on night-sky lines; None where that says nothing."""
    around = _valid(attribution, start - _FLANK, stop + _FLANK)
    inside = (around >= start) & (around < stop)
    on_sky = sky_line_mask(attribution.wavelength[around], half_width=_SKY_HALF_WIDTH)
    if not inside.any() or not on_sky.any() or on_sky.mean() > 0.9:
        return None
    difference = (attribution.flux - attribution.baselines.astype(np.float64).mean(axis=0))[around]
    noise = _noise(attribution, start, stop, None)
    power = np.maximum((difference - np.median(difference)) ** 2 - (3 * noise) ** 2, 0.0) * inside
    total = float(power.sum())
    if total == 0:
        return None
    lines = total**2 / float((power**2).sum()) / _PIXELS_OF_A_LINE  # how many lines' worth of pixels share it
    pixels = float(on_sky.mean())
    return SkyShare(float(power[on_sky].sum()) / total, pixels, pixels ** max(1.0, lines))


def _valid(attribution: Attribution, start: int, stop: int) -> NDArray[np.int64]:
    start, stop = max(start, 0), min(stop, len(attribution.valid))
    return np.flatnonzero(attribution.valid[start:stop]) + start if stop > start else np.zeros(0, np.int64)


def _over_scatter(single: NDArray[np.float64], noise: float) -> float:
    """Return the mean of one number a baseline, (baseline,), over what one more object like them would scatter."""
    variance = single.var(ddof=1) * (1 + 1 / len(single)) + noise**2
    mean = float(single.mean())
    return 0.0 if mean == 0 or not variance > 0 else float(mean / np.sqrt(variance))


def _noise(attribution: Attribution, start: int, stop: int, ivar: NDArray[np.floating] | None) -> float:
    """Return the noise of a pixel near [start, stop), from ``ivar`` or from differences of neighbouring pixels."""
    if ivar is not None:
        known = np.asarray(ivar[start:stop], float)
        known = known[np.isfinite(known) & (known > 0)]
        if len(known):
            return float(np.sqrt(np.mean(1 / known)))
    flux = attribution.flux[_valid(attribution, start - 2 * _FLANK, stop + 2 * _FLANK)].astype(np.float64)
    return float(1.4826 * np.median(np.abs(np.diff(flux))) / np.sqrt(2)) if len(flux) > 2 else 0.0
