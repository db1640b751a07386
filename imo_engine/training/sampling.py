"""Batches of normalised, filled spectra for training: endless draws from a library, or a fixed set of real ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imo_engine.simulation.library import GalaxyLibrary, rest_wavelength
from imo_engine.simulation.spectrograph import RESOLUTION, arm_slices, combine_arms, observe
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, fill_masked, normalise
from imo_engine.training.oddness import N_ODDITIES, make_odd

__all__ = ["Batch", "LibrarySampler", "SpectraSampler"]

MASKED_PIXELS = "interpolate"
"""What our own models see at masked pixels."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Spectra as the encoder sees them, and what the losses need to know."""

    flux: NDArray[np.float32]
    """(n, N) normalised, masked pixels filled."""
    ivar: NDArray[np.float32]
    """(n, N)."""
    redshift: NDArray[np.float64]
    """(n,)."""
    rest: NDArray[np.float32] | None
    """(n, R) noiseless, rest frame, same normalisation; None for real spectra."""
    oddity: NDArray[np.float32] | None = None
    """(n, 2) how much a spectrum was changed, see :func:`~imo_engine.training.oddness.make_odd`."""
    rows: NDArray[np.int64] | None = None
    """(n,) positions of the galaxies in the library."""


@dataclass(frozen=True, eq=False)
class LibrarySampler:
    """Draws noisy spectra of a library's galaxies at any redshift and brightness.

    Attributes:
        library: Noiseless galaxies.
        redshift_range: Redshifts are uniform in it, or a survey's own if ``survey_like``.
        survey_like: Draw brightness and redshift as the simulated survey does, nothing cut off.
        oddness: Share of spectra that are changed at random, see :func:`~imo_engine.training.oddness.make_odd`.
    """

    library: GalaxyLibrary
    redshift_range: tuple[float, float] = (0.0, 0.62)
    survey_like: bool = False
    oddness: float = 0.0

    def draw(self, count: int, *, rng: np.random.Generator, rows: NDArray[np.int64] | None = None) -> Batch:
        """Draw ``count`` spectra of random galaxies, or of those given."""
        from imo_engine.simulation.survey import SURVEY_REDSHIFTS, draw_amplitudes, draw_redshifts

        if rows is None:
            rows = rng.integers(len(self.library), size=count)
        if self.survey_like:
            z = draw_redshifts(count, SURVEY_REDSHIFTS, rng=rng)
            amplitude, resolution = draw_amplitudes(count, rng=rng), np.full((count, 1), RESOLUTION)
        else:
            z = rng.uniform(*self.redshift_range, count)
            amplitude = np.minimum(0.8 * rng.uniform(size=count) ** (-1 / 1.1), 80.0)
            # SDSS, coarser, counts as ordinary
            resolution = np.where(rng.uniform(size=(count, 1)) < 0.3, rng.uniform(0.8, 1.5, (count, 1)), RESOLUTION)
        grid = desi_wavelength()
        noiseless = self.library.observe(rows, z, grid, resolution=resolution)
        rest = self.library.rest_frame(rows)
        oddity = np.zeros((count, N_ODDITIES), np.float32)
        if self.oddness:
            chosen = np.flatnonzero(rng.uniform(size=count) < self.oddness)
            noiseless[chosen], change, oddity[chosen] = make_odd(self.library, noiseless[chosen], z[chosen], rng=rng)
            for row, delta in zip(chosen, change, strict=True):
                rest[row] += np.interp(rest_wavelength() * (1 + z[row]), grid, delta, left=0.0, right=0.0)
        expected = amplitude[:, None] * noiseless
        time = 450.0 * np.exp(rng.normal(0, 0.25, count))
        shot = observe(
            {arm: expected[:, s] for arm, s in arm_slices().items()},
            rng=rng,
            exposure_time=time,
            # surveys calibrate with different care: a larger error is to count as ordinary
            calibration_scale=1.0 if self.survey_like else 1.6,
        )
        flux, ivar = combine_arms(shot)
        if not self.survey_like:
            _cut_off(ivar, rng)
        spectra = normalise(grid, flux, ivar, z, target_id=[""] * count)
        if not self.survey_like:
            _without_noise(spectra, noiseless, rng)
        good = np.flatnonzero(spectra.scorable & (spectra.norm > 0.3 * amplitude))
        scale = (amplitude / spectra.norm)[good, None]
        batch = filled(spectra[good])
        return Batch(batch.flux, batch.ivar, z[good], (rest[good] * scale).astype(np.float32), oddity[good], rows[good])


@dataclass(frozen=True, eq=False)
class SpectraSampler:
    """Draws from real spectra, whose truth nobody knows."""

    spectra: Spectra

    def draw(self, count: int, *, rng: np.random.Generator, rows: NDArray[np.int64] | None = None) -> Batch:
        """Draw ``count`` random spectra, or those given."""
        if rows is None:
            rows = rng.integers(len(self.spectra), size=count)
        return filled(self.spectra[rows])


def filled(spectra: Spectra) -> Batch:
    """Return spectra as a batch, masked pixels filled."""
    flux = fill_masked(spectra.flux, spectra.measured, MASKED_PIXELS)
    return Batch(np.clip(flux, -100, 1000), spectra.weight, spectra.redshift, None)


def _without_noise(spectra: Spectra, noiseless: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Make an eighth of the spectra noiseless, in place: baselines are, and they are encoded too."""
    for row in np.flatnonzero(rng.uniform(size=len(spectra)) < 0.125):
        spectra.flux[row] = noiseless[row]
        spectra.measured[row] = True


def _cut_off(ivar: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Take away the ends of some spectra, as SDSS lacks them, and a chunk of others, in place."""
    grid = desi_wavelength()
    for row in range(len(ivar)):
        draw = rng.uniform()
        if draw < 0.2:
            ivar[row, (grid < rng.uniform(3780, 3850)) | (grid > rng.uniform(9150, 9250))] = 0
        elif draw < 0.3:
            ivar[row, : int(rng.integers(0, 400))] = 0
            ivar[row, len(grid) - int(rng.integers(1, 900)) :] = 0
        elif draw < 0.4:
            start = int(rng.integers(0, len(grid)))
            ivar[row, start : start + int(rng.integers(20, 200))] = 0
