"""Inverse multiscale occlusion itself (Shen & Melchior 2023, arXiv:2310.20012), as a method among the others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.occlusion import PAPER_WINDOW_SIZES, inverse_multiscale_occlusion
from imo_engine.attribution.record import Attribution
from imo_engine.errors import InputError
from imo_engine.methods.problem import Answer, Problem
from imo_engine.methods.record import MethodAttribution
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["from_inverse_occlusion", "imo", "imo_window"]


def imo(
    problem: Problem,
    *,
    window_sizes: Sequence[int] = PAPER_WINDOW_SIZES,
    offsets: Sequence[int] | None = None,
    stride: int | None = None,
    weights: str = "inverse_variance",
) -> Answer:
    """All window sizes combined.

    The settings are those of :func:`~imo_engine.attribution.occlusion.inverse_multiscale_occlusion`.
    """
    return _answer(_attribution(problem, window_sizes, offsets, stride, weights), None)


def imo_window(problem: Problem, *, window: int = 64, offset: int = 0, stride: int | None = None) -> Answer:
    """One window size alone.

    Args:
        problem: The spectrum under study.
        window: Pixels.
        offset: Where the first full window begins.
        stride: Pixels from one window to the next; by default every window begins where the last one ended.
    """
    return _answer(_attribution(problem, (window,), (offset,), stride, "inverse_variance"), window)


def from_inverse_occlusion(attribution: Attribution, window: int | None = None) -> MethodAttribution:
    """Return the combination, or one window size, of an attribution that is there already.

    Its cost is that of the whole attribution.

    Raises:
        InputError: a window size that was not computed.
    """
    answer = _answer(attribution, window)
    provenance = attribution.provenance
    return MethodAttribution(
        method="imo" if window is None else "imo_window",
        values=answer.per_reference.mean(axis=0, dtype=np.float64),
        valid=attribution.valid,
        unit=answer.unit,
        relative_to=answer.relative_to,
        settings=(
            {"window_sizes": attribution.window_sizes, "offsets": attribution.offsets, "weights": attribution.weighting}
            if window is None
            else {"window": window, "offset": attribution.offsets[attribution.window_sizes.index(window)]}
        ),
        evaluations=int(provenance.get("evaluations", 0)),
        gradients=0,
        seconds=float(provenance.get("seconds", np.nan)),
        per_baseline=answer.per_reference.astype(np.float64),
        provenance={key: provenance[key] for key in ("model", "model_fingerprint", "device") if key in provenance},
    )


def _attribution(
    problem: Problem, sizes: Sequence[int], offsets: Sequence[int] | None, stride: int | None, weights: str
) -> Attribution:
    if problem.baselines is None:
        raise InputError("'baselines' is None, but this method compares with baselines")
    attribution = inverse_multiscale_occlusion(
        problem.model,
        problem.flux,
        problem.redshift,
        problem.baselines,
        sizes,
        offsets=offsets,
        stride=stride,
        weights=weights,
        valid=problem.valid,
        memory_budget=problem.memory_budget,
        should_stop=problem.should_stop,
        on_progress=problem.on_progress,
    )
    passes = 1 if isinstance(problem.baselines, BaselinePool) else 2  # of the baselines: aligned, and as given
    problem.evaluations += int(attribution.provenance["evaluations"]) + passes * len(attribution.baselines)
    return attribution


def _answer(attribution: Attribution, window: int | None) -> Answer:
    if window is None:
        per_baseline: NDArray[np.float64] = np.einsum(
            "wp,wbp->bp", attribution.weights, np.nan_to_num(attribution.values)
        )
        per_baseline = np.where(np.isfinite(attribution.combined), per_baseline, np.nan)
    elif window in attribution.window_sizes:
        per_baseline = attribution.values[attribution.window_sizes.index(window)]
    else:
        raise InputError(f"'window' is {window}; computed were {', '.join(map(str, attribution.window_sizes))}")
    words = f"each of {len(attribution.baselines)} baselines with windows of the spectrum put into it, then the mean"
    return Answer(per_baseline, words, "nat / pixel")
