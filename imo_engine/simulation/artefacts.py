"""What goes wrong in an instrument: changes of measured fluxes whose place and size are known.

Each function takes one target's measured arms and returns changed fluxes and the parameters, in words.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.simulation.spectrograph import arm_slices, sky_emission
from imo_engine.spectra.instrument import desi_wavelength

__all__ = ["ARTEFACTS", "Arms", "Changed"]

Arms = dict[str, NDArray[np.float64]]
Changed = tuple[Arms, dict[str, Any]]

_STEP = (0.07, 0.15, 0.35, 0.65)
_SKY = (0.03, 0.08, 0.20, 0.50)
_COSMIC = (6.0, 15.0, 40.0, 120.0)
_COLUMN = (4.0, 8.0, 20.0, 50.0)
_MISMATCH = (0.1, 0.25, 0.6, 1.2)


def _wave(arm: str) -> NDArray[np.float64]:
    return desi_wavelength()[arm_slices()[arm]]


def calibration_step(flux: Arms, ivar: Arms, level: int, rng: np.random.Generator) -> Changed:
    """Multiply the whole B arm by a factor, as in the fourth outlier of Shen & Melchior (2023)."""
    factor = 1 + _STEP[level] * rng.choice([-1.0, 1.0])
    return {**flux, "B": flux["B"] * factor}, {"arm": "B", "factor": factor}


def sky_residual(flux: Arms, ivar: Arms, level: int, rng: np.random.Generator) -> Changed:
    """Leave a share of the bright sky lines in the R and Z arms, or take too much away."""
    share = _SKY[level] * rng.choice([-1.0, 1.0]) * rng.uniform(0.8, 1.2)
    changed = {arm: flux[arm] + share * sky_emission(0.0)[arm_slices()[arm]] for arm in ("R", "Z")}
    return {**flux, **changed}, {"share_of_sky": share}


def cosmic_ray(flux: Arms, ivar: Arms, level: int, rng: np.random.Generator) -> Changed:
    """Add an unmasked spike one to three pixels wide."""
    arm = str(rng.choice(["B", "R", "Z"]))
    return _bump(flux, ivar, arm, rng, height=_COSMIC[level], width=rng.uniform(0.5, 1.2), sign=1.0)


def bad_column(flux: Arms, ivar: Arms, level: int, rng: np.random.Generator) -> Changed:
    """Add or remove flux in a run of pixels, as a bad column of the detector does."""
    arm = str(rng.choice(["B", "R", "Z"]))
    sign = float(rng.choice([-1.0, 1.0]))
    return _bump(flux, ivar, arm, rng, height=_COLUMN[level], width=rng.uniform(2.5, 5.0), sign=sign)


def _bump(
    flux: Arms, ivar: Arms, arm: str, rng: np.random.Generator, *, height: float, width: float, sign: float
) -> Changed:
    good = np.flatnonzero(ivar[arm] > 0)
    centre = int(rng.choice(good[(good > 30) & (good < len(ivar[arm]) - 30)]))
    pixels = np.arange(len(ivar[arm]))
    sigma = 1 / np.sqrt(np.median(ivar[arm][good[np.abs(good - centre) < 50]]))
    bump = sign * height * sigma * np.exp(-0.5 * ((pixels - centre) / width) ** 2)
    wave = float(_wave(arm)[centre])
    return {**flux, arm: flux[arm] + bump}, {"arm": arm, "wavelength": wave, "peak_sigma": sign * height}


def overlap_mismatch(flux: Arms, ivar: Arms, level: int, rng: np.random.Generator) -> Changed:
    """Bend two arms apart where they overlap, over about 25 Angstrom."""
    left, right, centre = ("B", "R", 5780.0) if rng.uniform() < 0.5 else ("R", "Z", 7570.0)
    size = _MISMATCH[level] * rng.choice([-1.0, 1.0])
    bend_left = 1 + size * np.exp(-np.abs(_wave(left)[-1] - _wave(left)) / 25.0)
    bend_right = 1 + size * np.exp(-np.abs(_wave(right) - _wave(right)[0]) / 25.0)
    changed = {left: flux[left] * bend_left, right: flux[right] * bend_right}
    return {**flux, **changed}, {"arms": left + right, "wavelength": centre, "size": size}


ARTEFACTS: dict[str, Callable[[Arms, Arms, int, np.random.Generator], Changed]] = {
    "calibration_step": calibration_step,
    "sky_residual": sky_residual,
    "cosmic_ray": cosmic_ray,
    "bad_column": bad_column,
    "overlap_mismatch": overlap_mismatch,
}
"""Kinds of artefacts: function of (flux, ivar, level 0 to 3, rng)."""
