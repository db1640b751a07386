"""Methods that replace parts of the spectrum and look at log p: ablation and occlusion."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.evaluators.base import Chunks, Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.tiling import tile
from imo_engine.errors import InputError
from imo_engine.methods.problem import Answer, Problem

__all__ = ["feature_ablation", "occlusion"]


def feature_ablation(problem: Problem, *, baseline: str = "mean") -> Answer:
    """Gain in log p when one pixel is replaced by the baseline's; equals Captum's ``FeatureAblation``.

    Args:
        problem: The spectrum under study.
        baseline: What replaces the pixel: "zero", "mean" or "ensemble".
    """
    return occlusion(problem, window=1, baseline=baseline)


def occlusion(problem: Problem, *, window: int = 64, stride: int | None = None, baseline: str = "mean") -> Answer:
    """Gain in log p when a window is replaced by the baseline's (Zeiler & Fergus 2013, arXiv:1311.2901).

    Each pixel gets the mean over the windows that cover it; equals Captum's ``Occlusion``, which does not divide
    by the window's size either.

    Args:
        problem: The spectrum under study.
        window: Pixels replaced together.
        stride: Pixels from one window to the next; by default every window begins where the last one ended.
        baseline: What replaces the window: "zero", "mean" or "ensemble".
    """
    n_pixel = len(problem.flux)
    if not 1 <= window <= n_pixel:
        raise InputError(f"'window' is {window}; expected 1 to {n_pixel} pixels")
    tiling = tile(n_pixel, window, stride=stride)
    before = np.concatenate([[0], np.cumsum(problem.valid)])
    chunks = np.flatnonzero(before[tiling.stops] > before[tiling.starts])
    references, words = problem.references(baseline)
    problem.expect(problem.evaluations + len(references) * len(chunks) + 1)

    # inverse occlusion with swapped roles, so its evaluators do it
    replacement = Replacement.of(problem.model, problem.flux, references, problem.valid)
    evaluator = choose_evaluator("exact", replacement, memory_budget=problem.memory_budget)
    count = len(references)
    parts = Chunks(
        np.repeat(np.arange(count), len(chunks)),
        np.tile(tiling.starts[chunks], count),
        np.tile(tiling.stops[chunks], count),
    )
    log_prob = evaluator.log_prob(parts, should_stop=problem.should_stop, on_batch=problem.counter())
    problem.evaluations += 1
    effects = np.full((count, len(tiling)), np.nan)
    effects[:, chunks] = log_prob.reshape(count, -1) - evaluator.base_log_prob()[:1]
    values: NDArray[np.float64] = tiling.paint(effects)
    return Answer(values, f"the spectrum with {window} pixels of it replaced by {words}")
