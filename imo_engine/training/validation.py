"""Checks of a freshly trained model on the part of its source that it has not seen."""

import numpy as np

from imo_engine.evaluation.model.credibility import latent_redshift
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.training.sampling import LibrarySampler, SpectraSampler
from imo_engine.training.sources import TrainingSource

__all__ = ["validate"]


def validate(model: OutlierModel, source: TrainingSource, *, seed: int, count: int = 2000) -> dict[str, float]:
    """Return numbers by name: reconstruction chi2 per pixel, and what latents know of the redshift."""
    rows = source.split.validation
    rng = np.random.default_rng([seed, 30])
    rows = rows[:count]
    sampler: LibrarySampler | SpectraSampler
    if source.library is not None:
        sampler = LibrarySampler(source.library, survey_like=True)
    elif source.spectra is not None:
        sampler = SpectraSampler(source.spectra)
    else:
        raise ValueError("'source' has neither galaxies nor spectra")
    chi2, latents, redshift = [], [], []
    for piece in np.array_split(rows, max(1, len(rows) // 128)):
        batch = sampler.draw(len(piece), rng=rng, rows=piece)
        code = model.encode(batch.flux)
        flux = model.decode(code, batch.redshift)
        weight = batch.ivar * (flux != 0)
        chi2.append(((flux - batch.flux) ** 2 * weight).sum(axis=1) / np.maximum((weight > 0).sum(axis=1), 1))
        latents.append(code)
        redshift.append(batch.redshift)
    known = latent_redshift(np.concatenate(latents), np.concatenate(redshift))
    values = np.concatenate(chi2)
    return {
        "spectra": float(len(values)),
        "reconstruction chi2 per pixel, median": float(np.median(values)),
        "reconstruction chi2 per pixel, 90 %": float(np.quantile(values, 0.9)),
        "R2 of z from latents, linear": known.linear,
        "R2 of z from latents, small network": known.nonlinear,
    }
