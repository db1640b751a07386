"""Single steps of inverse occlusion: one window of a spectrum in one baseline, and log p of that hybrid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.attribution.occlusion import checked_spectrum
from imo_engine.errors import InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["Hybrids"]


@dataclass(frozen=True, eq=False)
class Hybrids:
    """A spectrum and aligned baselines into which windows of it are put (arXiv:2310.20012, figure 1).

    Attributes:
        model: Encoder, decoder and flow.
        flux: (N,) normalised flux of the spectrum, observed frame.
        usable: (N,) pixels that are put into baselines; the others keep the baseline's flux.
        baselines: (M, N) at the spectrum's redshift, normalised flux.
        own_log_prob: log p of the spectrum, nats.
        baseline_log_prob: (M,) log p of the baselines, nats.
    """

    model: OutlierModel
    flux: NDArray[np.floating]
    usable: NDArray[np.bool_]
    baselines: NDArray[np.floating]
    own_log_prob: float
    baseline_log_prob: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        model: OutlierModel,
        flux: ArrayLike,
        redshift: float,
        baselines: BaselinePool,
        *,
        valid: ArrayLike | None = None,
    ) -> "Hybrids":
        """Align the baselines with a spectrum.

        Raises:
            InputError: a spectrum that does not fit the model, or has no pixel that it reaches.
        """
        array, usable = checked_spectrum(model, flux, redshift, valid)
        aligned = model.decode(baselines.latents, np.full(len(baselines), float(redshift)))
        log_prob = model.log_prob(np.concatenate([array[None], aligned])).astype(float)
        return cls(model, array, usable, aligned, float(log_prob[0]), log_prob[1:])

    def replaced(self, start: int, window: int) -> NDArray[np.bool_]:
        """Return which pixels, (N,), a window of ``window`` pixels from pixel ``start`` replaces."""
        pixel = np.arange(len(self.flux))
        return self.usable & (pixel >= start) & (pixel < start + window)

    def log_prob(self, baseline: int, starts: ArrayLike, window: int) -> NDArray[np.float64]:
        """Return log p, (n,) nats, of one baseline with windows of the spectrum that begin at pixels ``starts``, (n,).

        A window without usable pixels leaves the baseline as it is.

        Raises:
            InputError: no such baseline, or a window of less than a pixel.
        """
        if not 0 <= baseline < len(self.baselines):
            raise InputError(f"'baseline' is {baseline}, but there are {len(self.baselines)}")
        if not 1 <= window <= len(self.flux):
            raise InputError(f"'window' is {window}; expected 1 to {len(self.flux)} pixels")
        rows = [self.replaced(int(start), window) for start in np.atleast_1d(np.asarray(starts))]
        hybrids = np.where(np.array(rows).reshape(len(rows), -1), self.flux, self.baselines[baseline])
        return self.model.log_prob(hybrids).astype(float)
