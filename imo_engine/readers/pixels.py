"""Flux and inverse variance on a wavelength grid, and how they get onto another one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MIN_IVAR", "Pixels", "resample", "typical_flux"]

MIN_IVAR = 1e-6
"""Pixels of this inverse variance or less, in units of the spectrum's median ``|flux|``, count as masked.

In the preparation of the published models the limit is 1e-6 in DESI's unit, of fluxes of about 1; here it is one of
signal to noise, 0.001, so that no unit of flux decides what was measured."""

_LIMIT = 1e38
_COINCIDENT = 1e-6
_WIDEST_GAP = 3.0


@dataclass(frozen=True)
class Pixels:
    """Spectra of n targets on N pixels; where ``ivar`` is 0 nothing was measured and ``flux`` is 0."""

    flux: NDArray[np.float64]
    """(n, N)"""
    ivar: NDArray[np.float64]
    """(n, N)"""
    odd: NDArray[np.int64] | None = None
    """(n, 2) how many pixels that no mask hides had an infinite and a negative ivar in the file; None if unknown."""

    @classmethod
    def from_file(cls, flux: ArrayLike, ivar: ArrayLike | None, mask: ArrayLike | None = None) -> "Pixels":
        """Keep the good pixels of spectra as they are in a file.

        Args:
            flux: (n, N)
            ivar: (n, N); None where nothing is known of the noise: it becomes 1 where there is a flux.
            mask: (n, N), 0 where the survey found nothing wrong.
        """
        flux, has_noise = np.array(flux, np.float64, ndmin=2), ivar is not None
        ivar = np.array(ivar, np.float64, ndmin=2) if has_noise else np.ones_like(flux)
        typical = typical_flux(flux, ivar)[:, None]
        # comparisons with NaN are false; what single precision cannot hold is damage, not a measurement
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ivar * typical**2 if has_noise else ivar
            good = (np.abs(flux) < _LIMIT * typical) & (ivar > 0) & (scaled > MIN_IVAR) & (scaled < _LIMIT)
        seen = np.ones_like(good) if mask is None else np.array(mask, ndmin=2) == 0
        good &= seen
        odd = np.stack([(seen & kind).sum(axis=1) for kind in (np.isposinf(ivar), ivar < 0)], axis=1)
        flux[~good] = 0.0
        ivar[~good] = 0.0
        return cls(flux, ivar, odd)

    @property
    def has_data(self) -> NDArray[np.bool_]:
        """(n,) whether there is any good pixel."""
        known: NDArray[np.bool_] = np.any(self.ivar > 0, axis=1)
        return known


def typical_flux(flux: NDArray[np.float64], ivar: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median ``|flux|`` of measured pixels that are not 0, (n,); 1 where there is none."""
    measured = np.where(np.isfinite(flux) & (flux != 0) & (ivar > 0), np.abs(flux), np.nan)
    some = np.any(np.isfinite(measured), axis=1)
    typical = np.ones(len(flux))
    typical[some] = np.nanmedian(measured[some], axis=1)
    return typical


def resample(pixels: Pixels, wavelength: NDArray[np.float64], grid: NDArray[np.float64]) -> Pixels:
    """Interpolate spectra linearly from ``wavelength``, (N,), to ``grid``, (M,); both increase.

    A pixel of the grid between two pixels of the spectrum counts as measured only if both are good and
    they are neighbours (no gap of more than three median pixel widths). A pixel that coincides with one of
    the spectrum's needs only that one, so a spectrum that is on the grid already comes back unchanged.

    The variance is interpolated linearly, with the weights of the flux, and multiplied by the ratio of
    the old pixel width to the new one where the new pixels are narrower::

        variance = ((1 - t) variance_left + t variance_right) max(1, old width / new width)

    Error propagation would give the weights (1 - t)**2 and t**2 instead. That is right for one pixel alone
    but makes neighbours, which now share their noise, look like independent measurements; a chi**2 that
    sums over the finer pixels would then count the same photons several times. With the formula above the
    information per Angstrom, 1 / (variance * width), is that of the spectrum, and never more. (For a
    coarser grid it is less: two pixels are interpolated and the others in between are not used.)
    """
    if len(wavelength) < 2:
        return Pixels(*np.zeros((2, len(pixels.flux), len(grid))))
    left = np.clip(np.searchsorted(wavelength, grid, side="right") - 1, 0, len(wavelength) - 2)
    width = np.diff(wavelength)
    t = (grid - wavelength[left]) / width[left]
    on_left, on_right = np.abs(t) <= _COINCIDENT, np.abs(t - 1) <= _COINCIDENT
    t = np.where(on_left, 0.0, np.where(on_right, 1.0, t))
    within = on_left | on_right | ((t > 0) & (t < 1) & (width[left] <= _WIDEST_GAP * np.median(width)))
    t = np.clip(t, 0.0, 1.0)
    stretch = np.maximum(1.0, width[left] / np.gradient(grid))

    variance = np.divide(1.0, pixels.ivar, out=np.zeros_like(pixels.ivar), where=pixels.ivar > 0)
    good = pixels.ivar > 0
    measured = within & (good[:, left] | on_right) & (good[:, left + 1] | on_left)
    flux = (1 - t) * pixels.flux[:, left] + t * pixels.flux[:, left + 1]
    variance = ((1 - t) * variance[:, left] + t * variance[:, left + 1]) * stretch
    flux[~measured] = 0.0
    return Pixels(flux, np.divide(1.0, variance, out=np.zeros_like(variance), where=measured))
