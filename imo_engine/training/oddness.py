"""Random changes of ordinary spectra, so that the encoder learns to see what no galaxy of the simulation has.

An encoder that has only seen ordinary spectra may fold anything else back among them (outlier exposure:
Hendrycks et al. 2019, arXiv:1812.04606). The changes are generic - steps, bumps, spikes, foreign light, lines of
another width - with random places and sizes; how much a spectrum was changed becomes two latents of the encoder.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from imo_engine.simulation.library import GalaxyLibrary
from imo_engine.simulation.lines import LINE_WAVELENGTHS, SPEED_OF_LIGHT, line_index, render_lines
from imo_engine.simulation.spectrograph import RESOLUTION
from imo_engine.spectra.instrument import desi_wavelength

__all__ = ["N_ODDITIES", "make_odd", "oddity"]

N_ODDITIES = 2
"""Broad and narrow."""

_SMOOTHING = 60  # pixels, 48 Angstrom: what is broad
_BROAD, _NARROW = 0.05, 2.0

Array = NDArray[np.float64]


def oddity(difference: Array) -> NDArray[np.float32]:
    """Measure changes of normalised spectra, (n, N): (n, 2).

    The logarithm of one plus the root mean square of the smoothed change over 5 % of the continuum; the same for the
    rest of it, root of the integrated square over 2 (continuum times square root of Angstrom).
    """
    broad: Array = gaussian_filter1d(difference, _SMOOTHING, axis=1, mode="nearest")
    narrow = difference - broad
    size = np.sqrt((broad**2).mean(axis=1)), np.sqrt((narrow**2).sum(axis=1) * 0.8)
    measured: NDArray[np.float32] = np.log1p(np.column_stack([size[0] / _BROAD, size[1] / _NARROW])).astype(np.float32)
    return measured


def make_odd(
    library: GalaxyLibrary, noiseless: Array, redshift: Array, *, rng: np.random.Generator
) -> tuple[Array, Array, NDArray[np.float32]]:
    """Change noiseless normalised spectra, (n, N), observed frame.

    Returns:
        The changed spectra, normalised again; their difference to the old ones; :func:`oddity` of that.
    """
    wave = desi_wavelength()
    changed = noiseless.copy()
    for row, z in enumerate(redshift):
        for kind in rng.choice(6, size=1 + (rng.uniform() < 0.25), replace=False, p=_SHARES):
            changed[row] = _CHANGES[kind](library, changed[row], float(z), wave, rng)
        window = (wave > 5300 * (1 + z)) & (wave < 5850 * (1 + z))
        changed[row] /= max(float(np.median(changed[row, window])), 0.05)
    difference = changed - noiseless
    return changed, difference, oddity(difference)


def _step(library: GalaxyLibrary, flux: Array, z: float, wave: Array, rng: np.random.Generator) -> Array:
    """Multiply everything on one side of a wavelength."""
    factor = 1 + 10 ** rng.uniform(-1.3, -0.2) * rng.choice([-1.0, 1.0])
    rise = expit((wave - rng.uniform(4000, 9400)) / 10 ** rng.uniform(0, 1.6))
    changed: Array = flux * (1 + (factor - 1) * (rise if rng.uniform() < 0.4 else 1 - rise))
    return changed


def _bumps(library: GalaxyLibrary, flux: Array, z: float, wave: Array, rng: np.random.Generator) -> Array:
    """Multiply by one to three wide bumps or dips."""
    for _ in range(rng.integers(1, 4)):
        size = max(10 ** rng.uniform(-1.2, 0.3) * rng.choice([-1.0, 1.0]), -0.9)
        width = 10 ** rng.uniform(1.0, 3.0)
        flux = flux * (1 + size * np.exp(-0.5 * ((wave - rng.uniform(3600, 9824)) / width) ** 2))
    return flux


def _spikes(library: GalaxyLibrary, flux: Array, z: float, wave: Array, rng: np.random.Generator) -> Array:
    """Add one to forty narrow spikes of either sign."""
    count = 1 if rng.uniform() < 0.5 else int(rng.integers(2, 41))
    centre = rng.uniform(3600, 9824, (1, count))
    sigma = np.full((1, count), 10 ** rng.uniform(-0.25, 0.7))
    height = 10 ** rng.uniform(-0.3, 1.5) * rng.lognormal(0, 0.4, (1, count)) / np.sqrt(count)
    area = height * sigma * np.sqrt(2 * np.pi) * (rng.choice([-1.0, 1.0], (1, count)) if rng.uniform() < 0.5 else 1.0)
    changed: Array = flux + render_lines(wave, centre, area, sigma)[0]
    return changed


def _foreign_light(library: GalaxyLibrary, flux: Array, z: float, wave: Array, rng: np.random.Generator) -> Array:
    """Add another galaxy at another redshift, or replace light by a black body's."""
    share = 10 ** rng.uniform(-1.0, 0.0)
    if rng.uniform() < 0.6:
        other = np.array([rng.integers(len(library))])
        changed: Array = (
            flux + share * library.observe(other, np.array([rng.uniform(0, 0.8)]), wave, resolution=RESOLUTION)[0]
        )
        return changed
    body = (wave / 1e4) ** -5 / np.expm1(1.43878e8 / (wave * rng.uniform(2800, 12000)))
    return (1 - 0.95 * share) * flux + 0.95 * share * body / np.median(body)


def _broad_lines(library: GalaxyLibrary, flux: Array, z: float, wave: Array, rng: np.random.Generator) -> Array:
    """Add the lines of a galaxy once more, wider and shifted, or the Balmer lines alone."""
    strength = np.abs(library.line_flux[rng.integers(len(library))].astype(float))
    if rng.uniform() < 0.5:
        strength = np.zeros(len(LINE_WAVELENGTHS))
        strength[line_index("Hα", "Hβ", "Hγ", "Hδ")] = [1.0, 0.35, 0.15, 0.08]
    total = 10 ** rng.uniform(0.7, 2.5)
    strength *= total / max(strength.sum(), 1e-9)
    width = 10 ** rng.uniform(2.2, 3.5)
    centre = LINE_WAVELENGTHS[None] * (1 + z) * (1 + rng.normal(0, 0.5) * width / SPEED_OF_LIGHT)
    changed: Array = flux + render_lines(wave, centre, strength[None] * (1 + z), centre * width / SPEED_OF_LIGHT)[0]
    return changed


def _echo(library: GalaxyLibrary, flux: Array, z: float, wave: Array, rng: np.random.Generator) -> Array:
    """Move part of the light in wavelength."""
    shift = 10 ** rng.uniform(-3.3, -1.5) * rng.choice([-1.0, 1.0])
    share = rng.uniform(0.15, 0.85)
    changed: Array = (1 - share) * flux + share * np.interp(wave / (1 + shift), wave, flux)
    return changed


_CHANGES = (_step, _bumps, _spikes, _foreign_light, _broad_lines, _echo)
_SHARES = (0.22, 0.18, 0.2, 0.16, 0.12, 0.12)
