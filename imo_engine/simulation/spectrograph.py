"""DESI's spectrograph as a source of noise: sky, throughput, read-out, calibration errors, bad pixels.

Numbers follow DESI Collaboration (2022, AJ 164, 207): a 4 m mirror with 8.66 m2 of unobscured area, fibres
of 1.8 square arcseconds, a line profile of about 1.8 Angstrom FWHM in all arms, read-out noise of about 3
electrons. Flux is in 1e-17 erg/s/cm2/Angstrom, wavelengths are vacuum, observed frame.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from imo_engine.simulation.lines import render_lines
from imo_engine.spectra.instrument import ARMS, desi_wavelength, sky_lines

__all__ = ["RESOLUTION", "Exposure", "arm_slices", "calibration_error", "combine_arms", "observe", "sky_emission"]

RESOLUTION = 0.76
"""Standard deviation of the line profile, Angstrom (1.8 Angstrom FWHM)."""

Array = NDArray[np.float64]

_AREA = 8.66e4  # cm2
_PHOTON = 1.98645e-8  # erg Angstrom: h c
_FIBRE = 1.8  # square arcseconds
_READ_OUT = 3.0 * 2.0  # electrons, over about 4 rows of the detector
_SKY_LEFT = 0.015  # scatter of the sky subtraction on bright lines, as a share of their flux
_LINE_FLUX = 6.0  # 1e-17 erg/s/cm2/arcsec2 for intensity 1 in the list of sky lines
_MEASURED = {5578.89: 220.0, 5891.58: 24.0, 5897.56: 12.0, 6302.05: 200.0, 6365.54: 66.0}


@dataclass(frozen=True, eq=False)
class Exposure:
    """Spectra of n targets as the spectrograph gives them, arm by arm.

    ``flux``, ``ivar`` and ``mask`` are (n, pixels of the arm); ``noise`` is what was added to the expected
    flux, so that a twin with another expected flux can have the same noise.
    """

    flux: dict[str, Array]
    ivar: dict[str, Array]
    mask: dict[str, NDArray[np.int32]]
    noise: dict[str, Array]
    calibration: dict[str, Array]


@cache
def arm_slices() -> dict[str, slice]:
    """Return where each arm lies on the common grid."""
    grid = desi_wavelength()
    found = {arm: np.flatnonzero((grid > low - 0.4) & (grid < high + 0.4)) for arm, (low, high) in ARMS.items()}
    return {arm: slice(int(index[0]), int(index[-1]) + 1) for arm, index in found.items()}


@cache
def sky_emission(level: float = 2.2) -> Array:
    """Return the night sky in a fibre on the common grid, (7781,): a sloping continuum and the bright lines."""
    wave = desi_wavelength()
    lines = sky_lines()
    flux = np.array([_MEASURED.get(round(float(w), 2), _LINE_FLUX * float(i)) for w, i, _ in lines])
    shape = (1, len(lines))
    sigma = np.full(shape, RESOLUTION)
    emission = render_lines(wave, lines["wavelength"].reshape(shape), flux.reshape(shape), sigma, reach=8.0)[0]
    continuum = level * (0.8 + 0.35 * ((wave - 3600) / 6000) ** 2 + 0.25 * np.exp(-((wave - 3600) / 500)))
    sky: Array = _FIBRE * (continuum + emission)
    return sky


@cache
def _electrons(arm: str) -> Array:
    """Return electrons per second and pixel for a flux of 1e-17, fibre losses not included."""
    wave = desi_wavelength()[arm_slices()[arm]]
    low, high = ARMS[arm]
    peak = {"B": 0.32, "R": 0.40, "Z": 0.40}[arm]
    # falling to the ends of the arm: dichroics, and in the blue the atmosphere and the fibres
    rise = {"B": 450.0, "R": 18.0, "Z": 30.0}[arm]
    fall = {"B": 18.0, "R": 30.0, "Z": 250.0}[arm]
    throughput = (
        peak / (1 + np.exp(-(wave - low - 1.2 * rise) / rise)) / (1 + np.exp((wave - high + 1.2 * fall) / fall))
    )
    counts: Array = 1e-17 * _AREA * 0.8 * wave / _PHOTON * np.maximum(throughput, 0.004)
    return counts


def calibration_error(count: int, *, rng: np.random.Generator, scale: float = 1.0) -> dict[str, Array]:
    """Draw smooth errors of the flux calibration, (count, pixels) factors for each arm.

    An offset of the arm (0.8 %), and five smooth modes over the arm (2 % in all, more at the blue end).
    """
    factors = {}
    for arm, where in arm_slices().items():
        x = np.linspace(0, 1, where.stop - where.start)
        modes = np.cos(np.pi * np.arange(6)[:, None] * x)
        width = np.array([0.008, 0.012, 0.009, 0.006, 0.004, 0.003]) * scale
        error = (rng.normal(size=(count, 6)) * width) @ modes
        if arm == "B":
            error = error + rng.normal(0, 0.025 * scale, (count, 1)) * np.exp(-x / 0.12)
        factors[arm] = 1 + error
    return factors


def observe(
    expected: dict[str, Array],
    *,
    rng: np.random.Generator,
    exposure_time: Array | float = 450.0,
    calibration_scale: float = 1.0,
    fibre_share: float = 1.0,
) -> Exposure:
    """Observe expected fluxes, (n, pixels) for each arm.

    Args:
        expected: Flux in the fibre, at the instrument's resolution, 1e-17 erg/s/cm2/Angstrom.
        rng: Source of the noise.
        exposure_time: Seconds, one number or (n,).
        calibration_scale: Factor on the usual calibration error.
        fibre_share: Part of the throughput that is left.

    Returns:
        Noise is normal with the variance that ``ivar`` states: photons of target and sky, read-out, and a
        residual of the sky subtraction that is common to neighbouring pixels of a sky line.
    """
    count = len(next(iter(expected.values())))
    time = np.broadcast_to(np.asarray(exposure_time, float), (count,))[:, None]
    calibration = calibration_error(count, rng=rng, scale=calibration_scale)
    left = rng.normal(size=(count, 3))
    flux, ivar, mask, noise = {}, {}, {}, {}
    for number, (arm, where) in enumerate(arm_slices().items()):
        electrons = _electrons(arm) * time * fibre_share
        sky, lines = sky_emission()[where], sky_emission(0.0)[where]
        truth = expected[arm] * calibration[arm]
        variance = (electrons * (sky + np.maximum(truth, 0)) + _READ_OUT**2) / electrons**2
        residual = _SKY_LEFT * lines * np.exp(-lines / 600.0)
        sigma = np.sqrt(variance)
        noise[arm] = sigma * rng.standard_normal(sigma.shape) + residual * left[:, [number]]
        flux[arm] = truth + noise[arm]
        ivar[arm] = 1 / (variance + residual**2)
        mask[arm] = _bad_pixels(sigma.shape, rng)
        ivar[arm][mask[arm] > 0] = 0.0
    return Exposure(flux, ivar, mask, noise, calibration)


def _bad_pixels(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int32]:
    """Mask about 0.25 % of the pixels in runs of 2 to 9: known cosmic rays and bad columns."""
    mask = np.zeros(shape, np.int32)
    count = rng.poisson(0.0005 * shape[1], shape[0])
    row = np.repeat(np.arange(shape[0]), count)
    start, length = rng.integers(0, shape[1], len(row)), rng.integers(2, 10, len(row))
    for r, a, n in zip(row, start, length, strict=True):
        mask[r, a : a + n] = 1
    return mask


def combine_arms(exposure: Exposure) -> tuple[Array, Array]:
    """Combine the arms by inverse variance on the common grid: flux and ivar, (n, 7781) each."""
    count = len(next(iter(exposure.flux.values())))
    total, weight = np.zeros((2, count, len(desi_wavelength())))
    for arm, where in arm_slices().items():
        total[:, where] += exposure.flux[arm] * exposure.ivar[arm]
        weight[:, where] += exposure.ivar[arm]
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0), weight
