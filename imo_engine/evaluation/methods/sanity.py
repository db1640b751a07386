"""Does a map depend on what it should depend on, and not on what it should not?"""

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from imo_engine.evaluation.cases import Case
from imo_engine.evaluation.methods.contenders import compute_maps
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["CHECKS", "rank_correlation", "randomised", "sanity_checks"]

CHECKS: dict[str, str] = {
    "other_baselines": "rank correlation with the map from other baselines (and other random numbers)",
    "noise": "rank correlation with the map of the same spectrum plus a tenth of its noise",
    "randomised": "rank correlation with the map of a model whose encoder's weights were shuffled; should be near 0",
}

_NOISE = 0.1


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return Spearman's correlation over pixels where both, (N,), are finite; 0 if one of them is constant."""
    known = np.isfinite(first) & np.isfinite(second)
    ranks = [rankdata(values[known]) for values in (first, second)]
    if min(float(np.ptp(rank)) if len(rank) else 0.0 for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def randomised(model: OutlierModel, *, seed: int) -> OutlierModel:
    """Return the model with the values of each of the encoder's weights in random order (Adebayo et al. 2018)."""
    generator = torch.Generator().manual_seed(seed)
    encoder = deepcopy(model.encoder)
    with torch.no_grad():
        for parameter in encoder.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return OutlierModel(
        encoder,
        deepcopy(model.decoder),
        deepcopy(model.flow),
        model.wavelength,
        masked_pixels=model.masked_pixels,
        provenance={"name": f"{model.name}, encoder shuffled"},
        device=str(model.device),
        dtype=model.dtype,
    )


def sanity_checks(
    model: OutlierModel, case: Case, baselines: BaselinePool, others: BaselinePool, *, seed: int
) -> dict[str, dict[str, float]]:
    """Compare the map of every contender with maps that should be alike, or should not: by contender, by check.

    Args:
        model: Encoder, decoder and flow.
        case: What is explained.
        baselines: The usual ones.
        others: As many others.
        seed: Of noise and shuffling.
    """
    rng = np.random.default_rng([seed, int(case.target_id) % 2**32])
    sigma = np.sqrt(np.divide(1.0, case.ivar, out=np.zeros_like(case.ivar), where=case.valid & (case.ivar > 0)))
    noisy = (case.flux + _NOISE * sigma * rng.standard_normal(sigma.shape)).astype(case.flux.dtype)
    shuffled = randomised(model, seed=seed)
    usual, _ = compute_maps(model, case, baselines, seed=seed)
    variants = {
        "other_baselines": compute_maps(model, case, others, seed=seed + 1),
        "noise": compute_maps(model, _with_flux(case, noisy), baselines, seed=seed),
        "randomised": compute_maps(shuffled, case, _for_model(baselines, shuffled), seed=seed),
    }
    return {
        name: {
            check: rank_correlation(one.values, maps[name].values)
            for check, (maps, _) in variants.items()
            if name in maps
        }
        for name, one in usual.items()
        if not name.startswith(("oracle", "random"))
    }


def _with_flux(case: Case, flux: NDArray[np.float32]) -> Case:
    columns = dict(vars(case))
    columns["flux"] = flux
    return Case(**columns)


def _for_model(pool: BaselinePool, model: OutlierModel) -> BaselinePool:
    """Return the same latents for a model with the same decoder, so that the baselines are the same spectra."""
    return BaselinePool(pool.latents, pool.redshift, pool.log_prob, model.fingerprint)
