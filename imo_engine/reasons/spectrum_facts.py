"""What is known of a whole spectrum beside its twin: steps between arms, sky left in it, lines, another redshift."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from imo_engine.reasons.deviation_null import LINE_SHARE
from imo_engine.reasons.deviations import Comparison, DeviantRange
from imo_engine.reasons.other_redshift import OtherRedshift, other_redshift
from imo_engine.spectra.instrument import sky_lines
from imo_engine.spectra.landmarks import SPEED_OF_LIGHT
from imo_engine.spectra.spectral_lines import EMISSION_LINES, SpectralLine

__all__ = ["LineSeen", "SkyLeft", "SpectrumFacts", "Step", "lines_seen", "sky_left", "step_at"]

_SIDE = 150.0  # Angstrom on either side of an overlap
_LEAST_PIXELS = 40
_SAME_LEVEL = 0.5  # of an arm's deviation, in its middle third
_CALIBRATION = 0.025  # scatter of ordinary steps, a share of the flux
_OUTLYING = 4.0  # sigma
_MODEL = 0.03  # of the twin: what is not known of an ordinary galaxy
_SKY_REACH = 60  # pixels by which the sky's lines are moved to see what chance does
_SKY_FREE = 6
_SMOOTH = 101
_ON_SKY = 0.05
_BRIGHTEST, _SKY_LINE, _SKY_LINE_SEEN = 60, 3.0, 3.0  # lines; Angstrom on either side; sigma
_FEWEST_SKY_LINES, _SKY_LINES_AGREE = 6, 0.8
_LINE_SPEEDS = (150.0, 400.0, 1500.0)  # km/s
_BROAD = 4000.0  # km/s: of permitted lines in active galaxies


@dataclass(frozen=True)
class Step:
    """A step of the spectrum against its twin where two arms meet.

    Attributes:
        name: Of the overlap.
        change: Red side over blue side, minus 1: 1.86 is a rise by 186 %, -0.4 a fall by 40 %.
        error: One sigma of it, with how well ordinary arms agree.
        trend: What the slope within the sides would amount to from one side to the other.
    """

    name: str
    change: float
    error: float
    trend: float

    @property
    def is_there(self) -> bool:
        """Whether it is a step, and no slope."""
        return abs(self.change) > max(5 * self.error, 1.2 * self.trend)


@dataclass(frozen=True)
class SkyLeft:
    """How much of a difference follows the night sky's lines.

    Attributes:
        sigma: Of the amplitude that fits best.
        over_chance: The same over what the sky's lines give at wrong places.
        lines: How many of the brightest lines show it, each by itself, with the sign of the whole.
        against: How many show the opposite.
    """

    sigma: float
    over_chance: float
    lines: int
    against: int

    @property
    def is_there(self) -> bool:
        """Whether the difference follows the sky's lines."""
        enough = self.lines >= _FEWEST_SKY_LINES and self.lines >= _SKY_LINES_AGREE * (self.lines + self.against)
        return abs(self.sigma) > 10 and abs(self.over_chance) > 8 and enough


@dataclass(frozen=True)
class LineSeen:
    """By how much the spectrum differs from its twin at a spectral line, more than beside it.

    Attributes:
        line: Which one.
        sigma: The difference over its noise and over what is not known of ordinary lines, with its sign.
    """

    line: SpectralLine
    sigma: float


@dataclass(frozen=True, eq=False)
class SpectrumFacts:
    """Everything that is known of a spectrum as a whole, worked out when it is first asked for."""

    comparison: Comparison
    ranges: Sequence[DeviantRange]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """One for each overlap of arms where enough was measured; none for an unknown instrument."""
        spectrograph = self.comparison.spectrograph
        overlaps = {} if spectrograph is None else spectrograph.overlaps
        found = (step_at(self.comparison, name, overlap) for name, overlap in overlaps.items())
        return tuple(one for one in found if one is not None)

    @cached_property
    def sky(self) -> SkyLeft | None:
        """Of the whole spectrum; None for an unknown instrument."""
        return sky_left(self.comparison, 0, len(self.comparison.flux))

    @cached_property
    def levels(self) -> dict[str, float]:
        """Spectrum over twin of each arm, minus 1."""
        pixels = {name: index for name, index in self._arm_pixels.items() if len(index) >= _LEAST_PIXELS}
        return {name: _level(self.comparison, index)[0] - 1 for name, index in pixels.items()}

    @cached_property
    def _arm_pixels(self) -> dict[str, NDArray[np.int64]]:
        """Pixels of each arm where there is something to compare; none for an unknown instrument."""
        spectrograph, one = self.comparison.spectrograph, self.comparison
        arms = {} if spectrograph is None else spectrograph.arms
        inside = {name: (one.wavelength >= low) & (one.wavelength <= high) for name, (low, high) in arms.items()}
        return {name: np.flatnonzero(one.good & there) for name, there in inside.items()}

    def has_one_level(self, arm: str) -> bool:
        """Tell whether an arm is too bright, or too faint, against the twin in each third, and not just at one end."""
        if arm not in self.levels:
            return False
        thirds = np.array_split(self._arm_pixels[arm], 3)
        shares = [(_level(self.comparison, part)[0] - 1) / self.levels[arm] for part in thirds]
        return min(shares) > 0 and shares[1] > _SAME_LEVEL

    @cached_property
    def lines(self) -> tuple[LineSeen, ...]:
        """Emission lines at the given redshift that are in range."""
        return lines_seen(self.comparison)

    @cached_property
    def own_lines(self) -> tuple[LineSeen, ...]:
        """Emission lines at the other redshift where that takes the place of the given one, else :attr:`lines`."""
        return self.lines if self._own is self.comparison else lines_seen(self._own)

    @cached_property
    def broad_lines(self) -> tuple[LineSeen, ...]:
        """The same over 4000 km/s on either side, of permitted lines, which alone are as broad."""
        found = lines_seen(self._own, (_BROAD,))
        return tuple(one for one in found if not one.line.name.startswith("["))

    @cached_property
    def _own(self) -> Comparison:
        """The spectrum at the redshift that holds."""
        if self.other is None or not self.other.instead:
            return self.comparison
        return replace(self.comparison, redshift=self.other.redshift)

    @cached_property
    def other(self) -> OtherRedshift | None:
        """Another redshift that emission lines fit."""
        if self.sky is not None and self.sky.is_there:
            return None
        one = self.comparison
        variance = np.where(one.good, one.noise**2, 1.0) + (_MODEL * np.nan_to_num(one.twin)) ** 2
        dark = np.ones(len(one.flux), bool) if one.spectrograph is None else _sky_template(one) < _ON_SKY
        return other_redshift(one, variance, dark)


def step_at(one: Comparison, name: str, overlap: tuple[float, float]) -> Step | None:
    """Measure a step where two arms overlap, vacuum Angstrom; None where too little was measured."""
    wave = one.wavelength
    blue = np.flatnonzero(one.good & (wave >= overlap[0] - _SIDE) & (wave < overlap[0]))
    red = np.flatnonzero(one.good & (wave > overlap[1]) & (wave <= overlap[1] + _SIDE))
    if min(len(blue), len(red)) < _LEAST_PIXELS:
        return None
    levels, errors, slopes = [], [], []
    for side in (blue, red):
        level, error = _level(one, side)
        halves = [_level(one, half)[0] for half in np.array_split(side, 2)]
        levels.append(level)
        errors.append(error)
        slopes.append(abs(halves[1] - halves[0]) / float(np.ptp(wave[side]) / 2))
    base = max(abs(levels[0]), errors[0], 1e-9)
    change = (levels[1] - levels[0]) / base
    error = float(np.hypot(np.hypot(errors[0], errors[1]), _CALIBRATION * max(map(abs, levels)))) / base
    trend = max(slopes) * float(wave[red].mean() - wave[blue].mean()) / base
    return Step(name, float(change), error, trend)


def _level(one: Comparison, pixels: NDArray[np.int64]) -> tuple[float, float]:
    """Return spectrum over twin, and its error, without pixels that lie far off."""
    x, g, weight = one.flux[pixels], one.twin[pixels], one.ivar[pixels]
    level, error = 1.0, np.inf
    keep = np.ones(len(pixels), bool)
    for _ in range(2):
        square = float((g**2 * weight)[keep].sum())
        level, error = float((x * g * weight)[keep].sum()) / max(square, 1e-12), 1 / np.sqrt(max(square, 1e-12))
        off = np.abs(x - level * g) / np.sqrt(1 / weight + (_MODEL * g) ** 2)
        keep = off < max(_OUTLYING, 2 * float(np.median(off)))
    return level, error


def sky_left(one: Comparison, start: int, stop: int) -> SkyLeft | None:
    """Tell how much of the difference in pixels [start, stop) follows night-sky lines; None where that says nothing."""
    if one.spectrograph is None:
        return None
    template = _sky_template(one)
    known = np.flatnonzero(one.good)
    if not len(known):
        return None
    filled = np.interp(np.arange(len(one.flux)), known, one.difference[known])
    own = filled - median_filter(filled, _SMOOTH, mode="nearest")
    weight = np.where(one.good, 1 / (one.noise**2 + (_MODEL * np.nan_to_num(one.twin)) ** 2), 0.0)
    weight[:start] = 0.0
    weight[stop:] = 0.0
    on_sky = template > _ON_SKY
    inside = weight > 0
    if not (inside & on_sky).any() or (inside & on_sky).sum() > 0.9 * inside.sum():
        return None

    def amplitude(moved: NDArray[np.float64]) -> float:
        square = float((moved**2 * weight).sum())
        return float((own * moved * weight).sum()) / np.sqrt(square) if square > 0 else 0.0

    shifts = [k for k in range(-_SKY_REACH, _SKY_REACH + 1) if abs(k) >= _SKY_FREE]
    chance = np.sqrt(np.mean([amplitude(np.roll(template, k)) ** 2 for k in shifts]))
    sigma = amplitude(template)
    each = _each_line(one.wavelength, own, template, weight) * np.sign(sigma)
    agree, against = (int((each > _SKY_LINE_SEEN).sum()), int((each < -_SKY_LINE_SEEN).sum()))
    return SkyLeft(sigma, sigma / max(float(chance), 1.0), agree, against)


def _each_line(
    wave: NDArray[np.float64], own: NDArray[np.float64], template: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how many sigma each of the brightest sky lines is left, with its sign; 0 where nothing is known."""
    table = sky_lines()
    brightest = table[np.argsort(-table["intensity"], kind="stable")[:_BRIGHTEST]]["wavelength"]
    found = []
    for first, last in (np.searchsorted(wave, (centre - _SKY_LINE, centre + _SKY_LINE)) for centre in brightest):
        square = float((template[first:last] ** 2 * weight[first:last]).sum())
        total = float((own[first:last] * template[first:last] * weight[first:last]).sum())
        found.append(total / np.sqrt(square) if square > 0 else 0.0)
    return np.array(found)


def _sky_template(one: Comparison) -> NDArray[np.float64]:
    """Return the night sky's lines at the instrument's resolution, (N,), compressed, the highest 1."""
    table, wave = sky_lines(), one.wavelength
    spectrograph = one.spectrograph
    total = np.zeros(len(wave))
    for row in table:
        centre = float(row["wavelength"])
        sigma = (1.8 if spectrograph is None else spectrograph.resolution(centre)) / 2.355
        first, last = np.searchsorted(wave, (centre - 5 * sigma, centre + 5 * sigma))
        total[first:last] += float(row["intensity"]) * np.exp(-0.5 * ((wave[first:last] - centre) / sigma) ** 2)
    return np.sqrt(total / max(float(total.max()), 1e-12))


def lines_seen(one: Comparison, speeds: Sequence[float] = _LINE_SPEEDS) -> tuple[LineSeen, ...]:
    """Return by how much the spectrum differs from its twin at each emission line at its redshift that is in range.

    The mean difference around the line, over 150, 400 or 1500 km/s on either side (``speeds``), less that of its
    surroundings; what differs most is returned.
    """
    wave, found = one.wavelength, []
    model = (_MODEL * np.nan_to_num(one.twin)) ** 2
    for line in EMISSION_LINES:
        centre = line.wavelength * (1 + one.redshift)
        best = None
        for speed in speeds:
            reach = centre * speed / SPEED_OF_LIGHT
            inside = one.good & (np.abs(wave - centre) <= reach)
            around = one.good & (np.abs(wave - centre) > reach) & (np.abs(wave - centre) <= 2.5 * reach + 4.0)
            if inside.sum() < 3 or around.sum() < 3:
                continue
            twin = np.nan_to_num(one.twin)
            size = one.difference[inside].mean() - np.median(one.difference[around])
            own = abs(twin[inside].mean() - np.median(twin[around]))
            noise = sum((one.noise[part] ** 2).sum() / part.sum() ** 2 for part in (inside, around))
            error = np.sqrt(noise + model[inside].mean() + (LINE_SHARE * own) ** 2)
            if best is None or abs(size / error) > abs(best):
                best = float(size / error)
        if best is not None:
            found.append(LineSeen(line, best))
    return tuple(found)
