"""Methods that replace parts of the spectrum and look at log p: ablation and occlusion."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imo_engine.errors import InputError
from imo_engine.methods.problem import Answer, Problem
from imo_engine.tiling import tile

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

    spectrum, valid = problem.on_device(problem.flux), problem.on_device(problem.valid)
    starts, stops = problem.on_device(tiling.starts[chunks]), problem.on_device(tiling.stops[chunks])
    pixel = torch.arange(n_pixel, device=spectrum.device)
    own = problem.anomaly_of(problem.flux[None])[0]
    effects = np.full((len(references), len(tiling)), np.nan)
    for row, reference in enumerate(references):
        stand_in = problem.on_device(reference)

        def occluded(first: int, last: int, stand_in: Tensor = stand_in) -> Tensor:
            inside = (pixel >= starts[first:last, None]) & (pixel < stops[first:last, None]) & valid
            return torch.where(inside, stand_in, spectrum)

        effects[row, chunks] = own - problem.anomaly(occluded, len(chunks))
    values: NDArray[np.float64] = tiling.paint(effects)
    return Answer(values, f"the spectrum with {window} pixels of it replaced by {words}")
