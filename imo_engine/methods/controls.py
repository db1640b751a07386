"""Controls: what a method must beat to be worth its cost."""

import numpy as np
from numpy.typing import ArrayLike

from imo_engine.errors import InputError
from imo_engine.methods.problem import Answer, Problem
from imo_engine.methods.record import NotApplicable

__all__ = ["mean_baseline_difference", "random_values", "residual_over_noise"]


def random_values(problem: Problem) -> Answer:
    """Independent standard normal numbers: chance."""
    return Answer(problem.rng.standard_normal((1, len(problem.flux))), "nothing", unit="")


def residual_over_noise(problem: Problem, *, ivar: ArrayLike | None = None) -> Answer:
    """Absolute residual times sqrt(ivar): how badly the autoencoder fits, in standard deviations.

    Absolute values: a residual has a sign of its own that says nothing about log p. Pixels that were not measured
    (ivar 0) get 0.

    Args:
        problem: The spectrum under study.
        ivar: (N,) inverse variance of the normalised flux.

    Raises:
        NotApplicable: ``ivar`` is 0 at all valid pixels: the noise is not known.
    """
    if ivar is None:
        raise InputError("'ivar' is missing; residual_over_noise needs the (N,) inverse variance of the flux")
    weight = np.asarray(ivar, dtype=np.float64)
    if weight.shape != problem.flux.shape:
        raise InputError(f"'ivar' has shape {weight.shape}, expected {problem.flux.shape}")
    if not (np.isfinite(weight[problem.valid]).all() and (weight[problem.valid] >= 0).all()):
        raise InputError("'ivar' has valid pixels that are negative or not finite")
    if not weight[problem.valid].any():
        raise NotApplicable("residual over noise: the noise of this spectrum is not known")
    problem.expect(1)
    reconstruction = problem.model.reconstruct(
        problem.flux[None], [problem.redshift], memory_budget=problem.memory_budget
    )[0]
    problem.evaluations += 1
    residual = np.abs(problem.flux - reconstruction.astype(np.float64))
    values = residual * np.sqrt(np.where(problem.valid, weight, 0))
    return Answer(values[None], "the autoencoder's reconstruction", unit="sigma")


def mean_baseline_difference(problem: Problem) -> Answer:
    """Absolute difference from the mean of the baselines at the redshift, in normalised flux; its sign says nothing."""
    references, words = problem.references("mean")
    return Answer(np.abs(problem.flux.astype(np.float64) - references), words, unit="normalised flux")
