"""Choices that the paper leaves open, each tried on the same cases: baselines, window sizes, stride, offsets."""

import time
from collections.abc import Sequence

import numpy as np

from imo_engine.attribution.occlusion import PAPER_OFFSETS, PAPER_WINDOW_SIZES, inverse_multiscale_occlusion
from imo_engine.attribution.record import Attribution, combination_weights, combine
from imo_engine.evaluation.cases import Case
from imo_engine.evaluation.methods.contenders import Map
from imo_engine.evaluation.methods.scoring import Judge
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["CHOICES", "CHOICE_WEIGHTINGS", "MOST_BASELINES", "choice_maps"]

MOST_BASELINES = 32
_USUAL = 8
_MORE_SIZES = (2, 8, 32, 128)
_SETS = ((1, 4, 16), (4, 16, 64), (16, 64, 256), (1, 16, 256))
_FINER = tuple(sorted((*PAPER_WINDOW_SIZES, *_MORE_SIZES)))

CHOICE_WEIGHTINGS = ("inverse_variance", "inverse_standard_deviation", "uniform")

CHOICES: dict[str, str] = {
    "baselines_4": "4 baselines at random",
    "baselines_8": "8 baselines at random, plain tiles (usual)",
    "baselines_16": "16 baselines at random",
    "baselines_32": "32 baselines at random",
    **{f"windows_{'_'.join(map(str, s))}": f"windows {', '.join(map(str, s))}" for s in _SETS},
    "windows_all": f"windows {', '.join(map(str, _FINER))}",
    "half_stride": "every window moved by half of its size",
    "paper_offsets": f"tiles shifted by {', '.join(map(str, PAPER_OFFSETS))}",
    "near": "8 baselines of the 5 % nearest in latent space",
    "probable": "8 baselines of the more probable half",
}
"""Name and description; what a choice does not mention is as usual: 8 baselines at random, the paper's windows."""


def choice_maps(model: OutlierModel, case: Case, judge: Judge) -> dict[str, Map]:
    """Return the maps of all choices with all weightings, named "choice/weighting".

    Args:
        model: Encoder, decoder and flow.
        case: What is explained.
        judge: With ``MOST_BASELINES`` baselines.
    """
    few = judge.baselines[np.arange(_USUAL)]

    def run(
        baselines: BaselinePool,
        sizes: Sequence[int] = PAPER_WINDOW_SIZES,
        offsets: Sequence[int] | None = None,
        stride: Sequence[int] | None = None,
    ) -> Attribution:
        return inverse_multiscale_occlusion(
            model, case.flux, case.redshift, baselines, sizes, offsets=offsets, stride=stride, valid=case.valid
        )

    began = time.process_time()
    most = run(judge.baselines)
    share = (time.process_time() - began) / MOST_BASELINES
    values = {f"baselines_{m}": (most.values[:, :m], m * share) for m in (4, 8, 16, MOST_BASELINES)}
    usual = most.values[:, :_USUAL]
    for sizes in _SETS:
        rows = [PAPER_WINDOW_SIZES.index(size) for size in sizes]
        values[f"windows_{'_'.join(map(str, sizes))}"] = usual[rows], np.nan
    began = time.process_time()
    more = run(few, _MORE_SIZES)
    cost = time.process_time() - began + _USUAL * share
    values["windows_all"] = np.concatenate([usual, more.values])[np.argsort((*PAPER_WINDOW_SIZES, *_MORE_SIZES))], cost
    wide = PAPER_WINDOW_SIZES[1:]  # a single pixel cannot be moved by half of itself
    for name, offsets, stride in (
        ("half_stride", None, [size // 2 for size in wide]),
        ("paper_offsets", PAPER_OFFSETS[1:], None),
    ):
        values[name] = np.concatenate([usual[:1], run(few, wide, offsets, stride).values]), np.nan
    drawn = {
        "near": judge.rest.draw(_USUAL, seed=judge.own_seed, near=model.encode(case.flux[None])[0]),
        "probable": judge.rest.draw(_USUAL, seed=judge.own_seed, above_quantile=0.5),
    }
    for name, baselines in drawn.items():
        began = time.process_time()
        found = run(baselines).values
        values[name] = found, time.process_time() - began
    maps = {}
    for name, (table, seconds) in values.items():
        for weighting in CHOICE_WEIGHTINGS:
            weights = combination_weights(table.mean(axis=1), table.var(axis=1), weighting)
            maps[f"{name}/{weighting}"] = Map(combine(table, weights)[0], seconds, 0)
    return maps
