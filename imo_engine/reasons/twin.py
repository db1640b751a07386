"""The ordinary twin of a spectrum: the ordinary galaxy that most of it asks for, whatever a part of it does.

An autoencoder's reconstruction follows what is odd: a step in one arm bends all of it. The twin is the most probable
galaxy of the model given the spectrum, in which pixels that no galaxy of the model explains lose their weight.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imo_engine.errors import InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.reasons.deviation_null import DeviationNull
from imo_engine.reasons.deviations import Comparison, noise_from_neighbours
from imo_engine.reasons.null_distribution import NullDistribution
from imo_engine.spectra.spectra import Spectra
from imo_engine.system.devices import full_precision

__all__ = ["Twin", "compare", "ordinary_twin"]

_PRIOR = 100.0  # weight of the flow's normal coordinates; 30 to 300 hardly differ
_FLOOR = 0.02  # of the flux: what the decoder does not know of any galaxy
_TOLERANCE = 10.0  # sigma of a window's sum from which on its pixels lose weight
_WINDOWS = (1, 4, 16, 64, 256, 1024)  # pixels
_STEPS = 14
_PLAIN_STEPS = 2  # before weights are taken away
_LONGEST_STEP = 2.0  # in the flow's normal coordinates
_CLOSE = 0.01
_DIFFERENCE = 0.01  # of the latents' scatter, for derivatives


@dataclass(frozen=True, eq=False)
class Twin:
    """The ordinary galaxy nearest to a spectrum.

    Attributes:
        flux: (N,) normalised flux, observed frame; NaN where the decoder does not reach.
        latents: (S,) its latents.
        weight: (N,) how much each pixel counted, 0 to 1.
    """

    flux: NDArray[np.float64]
    latents: NDArray[np.float64]
    weight: NDArray[np.float64]


def ordinary_twin(
    model: OutlierModel,
    flux: ArrayLike,
    ivar: ArrayLike,
    redshift: float,
    latents: NDArray[np.floating],
) -> Twin:
    """Find the most probable galaxy of the model given one spectrum, robustly.

    It minimises ``sum_p w_p (x_p - g_p(s))^2 / (2 v_p) + 100 / 2 |u(s)|^2`` with ``v = 1 / ivar + (0.02 g)^2``, u the
    flow's normal coordinates of the latents s, and ``w_p`` the smallest ``min(1, (10 / |Z|)^2)`` over the windows of 1
    to 1024 pixels that hold p, Z a window's summed residual over its noise, by Gauss-Newton steps from the median of
    ``latents``.

    Args:
        model: Decoder and flow are used, the encoder is not.
        flux: (N,) normalised flux.
        ivar: (N,) its inverse variance; 0 where nothing was measured.
        redshift: Where the galaxy is.
        latents: (M, S) of ordinary galaxies, such as a pool's.

    Raises:
        InputError: arrays of other lengths, or no pixel with ivar > 0 that the decoder reaches.
    """
    x, weight = np.asarray(flux, np.float64), np.asarray(ivar, np.float64)
    if x.shape != model.wavelength.shape or weight.shape != x.shape:
        raise InputError(f"'flux' {x.shape} and 'ivar' {weight.shape} do not fit {len(model.wavelength)} wavelengths")
    covered = model.covered(redshift)
    good = (weight > 0) & covered
    if not good.any():
        raise InputError("'ivar' is 0 wherever the model's decoder reaches: there is no noise to compare with")
    variance = np.divide(1.0, weight, out=np.zeros_like(weight), where=good)
    curve = _Curve(model, redshift, latents.std(axis=0) * _DIFFERENCE)
    s, trust = np.median(latents, axis=0).astype(np.float64), np.ones(len(x))
    for step in range(_STEPS):
        g, u, slope, turn = curve.linear(s)
        total = variance + (_FLOOR * g) ** 2
        residual = np.where(good, x - g, 0.0)
        if step >= _PLAIN_STEPS:
            trust = _trust(residual / np.sqrt(np.where(good, total, 1.0)), good)
        pull = np.divide(trust, total, out=np.zeros_like(total), where=good)
        matrix = (slope * pull) @ slope.T + _PRIOR * turn @ turn.T
        change = np.linalg.solve(
            matrix + 1e-6 * np.diag(np.diag(matrix)), (slope * pull) @ residual - _PRIOR * turn @ u
        )
        length = float(np.linalg.norm(change @ turn))
        s = s + change * min(1.0, _LONGEST_STEP / max(length, 1e-12))
        if step > _PLAIN_STEPS and length < _CLOSE:
            break
    return Twin(np.where(covered, curve.linear(s)[0], np.nan), s, trust)


def compare(
    model: OutlierModel, spectrum: Spectra, latents: NDArray[np.floating], null: NullDistribution | None = None
) -> Comparison:
    """Put one spectrum beside its ordinary twin.

    Args:
        model: Decoder and flow make the twin.
        spectrum: One, on the model's grid, that can be scored. Where its file says nothing of the noise, that is
            estimated from neighbouring pixels, and there are no p-values.
        latents: (M, S) of ordinary galaxies, such as a pool's.
        null: What ordinary spectra show; without it there are no p-values.

    Raises:
        InputError: not one spectrum, or on another grid.
    """
    if len(spectrum) != 1:
        raise InputError(f"'spectrum' has {len(spectrum)} spectra, expected one")
    flux, known = model.prepare(spectrum)[0].astype(np.float64), bool(spectrum.has_noise[0])
    measured, redshift = spectrum.measured[0], float(spectrum.redshift[0])
    ivar = spectrum.ivar[0].astype(np.float64) if known else noise_from_neighbours(flux, measured)
    ordinary = null.deviations if null is not None and known else None
    twin = np.full(len(flux), np.nan)
    if ((ivar > 0) & model.covered(redshift)).any():
        twin = ordinary_twin(model, flux, ivar, redshift, latents).flux
    return Comparison(
        wavelength=spectrum.wavelength,
        flux=flux,
        ivar=ivar,
        redshift=redshift,
        twin=twin,
        null=DeviationNull.typical(len(flux)) if ordinary is None else ordinary,
        instrument=str(spectrum.instrument[0]),
        noise_is_known=known,
    )


class _Curve:
    """Flux and normal coordinates as functions of the latents of one galaxy, with their derivatives."""

    def __init__(self, model: OutlierModel, redshift: float, difference: NDArray[np.floating]) -> None:
        self._model = model
        self._redshift = torch.tensor([redshift], dtype=torch.float64)
        self._grid = torch.from_numpy(np.array(model.wavelength))
        self._difference = np.maximum(np.asarray(difference, np.float64), 1e-6)

    def linear(
        self, s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return flux, (N,), normal coordinates, (S,), and both after each latent, (S, N) and (S, S)."""
        model = self._model
        points = torch.from_numpy(np.vstack([s, s + np.diag(self._difference)])).to(model.device, model.dtype)
        with torch.inference_mode(), full_precision(model.device):
            redshift = self._redshift.expand(len(points))
            flux = _numpy(model.decoder.observe(model.decoder(points), redshift, self._grid))
            normal = _numpy(model.flow.normal(points))
        by = self._difference[:, None]
        return flux[0], normal[0], (flux[1:] - flux[0]) / by, (normal[1:] - normal[0]) / by


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return values.cpu().numpy().astype(np.float64)


def _trust(deviation: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weight of each pixel, (N,), from deviations over their noise, (N,)."""
    n = len(deviation)
    trust = np.ones(n)
    for size in _WINDOWS:
        for start in {0, size // 2}:
            edges = np.unique(np.clip(np.arange(start - size, n + size, size), 0, n))[:-1]
            number = np.maximum(np.add.reduceat(good.astype(np.float64), edges), 1)
            z = np.abs(np.add.reduceat(deviation, edges)) / np.sqrt(number)
            weight = np.minimum(1.0, (_TOLERANCE / np.maximum(z, 1e-12)) ** 2)
            np.minimum(trust, np.repeat(weight, np.diff(np.append(edges, n))), out=trust)
    return trust
