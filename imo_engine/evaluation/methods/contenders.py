"""Who competes: every method with the settings that make sense, inverse occlusion in all its forms, and controls.

Inverse occlusion is computed once for a spectrum; single window sizes and combinations are derived from it. To let
another combination compete, add it to :data:`COMBINATIONS`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.occlusion import PAPER_WINDOW_SIZES, inverse_multiscale_occlusion
from imo_engine.attribution.record import WEIGHTINGS, Attribution, combination_weights, combine
from imo_engine.evaluation.cases import Case
from imo_engine.evaluation.methods.ceilings import oracle_block
from imo_engine.methods import METHODS, NotApplicable
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.reasons.null_distribution import NullDistribution
from imo_engine.reasons.significance import NO_NULL, significance_combination

__all__ = ["COMBINATIONS", "OTHERS", "REFERENCE", "Contender", "Map", "compute_maps", "contenders_for"]

REFERENCE = "imo_inverse_variance"
"""The paper's method, which all others are compared with."""

ORACLE_WINDOWS = (16, 64, 256)


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: Key in files.
        label: For people.
        family: "inverse", "combination", "gradient", "replacement", "surrogate", "control" or "oracle".
        window: Pixels over which its values are constant, if they are.
        method: In :data:`imo_engine.methods.registry.METHODS`, for those that are computed by themselves.
        settings: Of that method.
        absolute: Whether the absolute values of another contender's map are meant, that without "_absolute".
    """

    name: str
    label: str
    family: str
    window: int | None = None
    method: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    absolute: bool = False


@dataclass(frozen=True, eq=False)
class Map:
    """What a contender says of a case.

    Attributes:
        values: (N,) NaN where not valid; positive means that the pixel makes the spectrum more anomalous.
        seconds: Of this process on the CPU, all that is needed for this map alone.
        evaluations: Of encoder and flow.
    """

    values: NDArray[np.float64]
    seconds: float
    evaluations: int


def _weighted(weighting: str) -> Callable[[Attribution], NDArray[np.float64]]:
    def combined(attribution: Attribution) -> NDArray[np.float64]:
        weights = combination_weights(attribution.mean, attribution.variance, weighting)
        return combine(attribution.values, weights)[0]

    return combined


def _signal_to_scatter(attribution: Attribution) -> NDArray[np.float64]:
    values = np.where(np.isfinite(attribution.signal_to_scatter), attribution.signal_to_scatter, -np.inf).max(axis=0)
    return np.where(attribution.valid, values, np.nan)


COMBINATIONS: dict[str, tuple[str, Callable[[Attribution], NDArray[np.float64]]]] = {
    **{f"imo_{name}": (f"IMO, {words}", _weighted(name)) for name, words in WEIGHTINGS.items()},
    REFERENCE: (f"IMO, {WEIGHTINGS['inverse_variance']} (paper)", _weighted("inverse_variance")),
    "imo_signal_to_scatter": ("IMO, largest signal/scatter itself", _signal_to_scatter),
}
"""Name: label, and from an attribution with all window sizes to a map, (N,), NaN where not valid."""

SIGNIFICANCE = "imo_significance"
"""Combination of what ordinary spectra show less often, which asks for their null distribution."""

_OF_PROBABLE = ("imo_inverse_variance", "imo_inverse_standard_deviation", "imo_uniform")


def _probable(name: str) -> str:
    return f"{name}_probable"


def _other(method: str, label: str, suffix: str = "", *, absolute: bool = False, **settings: Any) -> list[Contender]:  # noqa: ANN401
    family, name = METHODS[method].family, method + suffix
    window = settings.get("window")
    one = Contender(name, label, family, window, method, settings)
    if not absolute:
        return [one]
    return [one, Contender(f"{name}_absolute", f"|{label}|", family, window, method, settings, absolute=True)]


OTHERS: tuple[Contender, ...] = tuple(
    contender
    for group in (
        _other("gradient_times_input", "Gradient × input", absolute=True),
        _other("smooth_grad", "SmoothGrad, 16 samples", samples=16, absolute=True),
        _other("integrated_gradients", "Integrated gradients, zero", "_zero", baseline="zero", steps=24),
        _other("integrated_gradients", "Integrated gradients, mean", "_mean", baseline="mean", steps=24, absolute=True),
        _other(
            "integrated_gradients", "Integrated gradients, each baseline", "_ensemble", baseline="ensemble", steps=8
        ),
        _other("expected_gradients", "Expected gradients, 4 samples a baseline", samples=4, absolute=True),
        _other("gradient_shap", "GradientSHAP, 32 samples", samples=32),
        _other("deep_lift", "DeepLIFT"),
        _other("feature_ablation", "Feature ablation, zero", "_zero", baseline="zero"),
        _other("feature_ablation", "Feature ablation, mean", "_mean", baseline="mean"),
        _other("occlusion", "Occlusion 4 px, mean", "_4_mean", window=4, baseline="mean"),
        _other("occlusion", "Occlusion 16 px, mean", "_16_mean", window=16, baseline="mean"),
        _other("occlusion", "Occlusion 16 px, each baseline", "_16_ensemble", window=16, baseline="ensemble"),
        _other("occlusion", "Occlusion 64 px, zero", "_64_zero", window=64, baseline="zero"),
        _other("occlusion", "Occlusion 64 px, mean", "_64_mean", window=64, baseline="mean"),
        _other("occlusion", "Occlusion 64 px, each baseline", "_64_ensemble", window=64, baseline="ensemble"),
        _other("occlusion", "Occlusion 256 px, mean", "_256_mean", window=256, baseline="mean"),
        _other("lime", "LIME, flux times 0.9, 200 samples", "_scale", samples=200),
        _other("lime", "LIME, mean baseline, 200 samples", "_mean", samples=200, replacement="mean"),
        _other("random", "Random"),
        _other("residual_over_noise", "|Residual| / noise"),
        _other("mean_baseline_difference", "|Difference from mean baseline|"),
    )
    for contender in group
)
"""Everything but inverse occlusion, with settings scaled down so that all of them take a few seconds."""


def contenders_for(model: OutlierModel, window_sizes: Sequence[int] = PAPER_WINDOW_SIZES) -> list[Contender]:
    """Return all contenders in the order of the table."""
    rows = [Contender(name, label, "combination") for name, (label, _) in COMBINATIONS.items()]
    rows.append(Contender(SIGNIFICANCE, "IMO, significance", "combination"))
    rows += [
        Contender(_probable(name), f"{COMBINATIONS[name][0]}, probable baselines", "combination")
        for name in _OF_PROBABLE
    ]
    rows += [Contender(f"imo_{size}", f"IMO, {size} px alone", "inverse", size) for size in window_sizes]
    if not statistics_are_fixed(model):
        rows.append(Contender("imo_frozen_statistics", "IMO, frozen statistics, 1/variance", "combination"))
    rows += OTHERS
    rows += [Contender(f"oracle_{size}", f"Truth averaged over {size} px", "oracle", size) for size in ORACLE_WINDOWS]
    return [*rows, Contender("oracle", "Truth itself", "oracle")]


def statistics_are_fixed(model: OutlierModel) -> bool:
    """Tell whether inverse occlusion with frozen statistics is the same as without, for lack of statistics."""
    return bool(model.encoder.config.normalisation == "none")


def compute_maps(
    model: OutlierModel,
    case: Case,
    baselines: BaselinePool,
    window_sizes: Sequence[int] = PAPER_WINDOW_SIZES,
    *,
    seed: int = 0,
    probable: BaselinePool | None = None,
    null: NullDistribution | None = None,
) -> tuple[dict[str, Map], dict[str, str]]:
    """Compute the maps of all contenders for a case; and why those that are missing do not apply.

    Args:
        model: Encoder, decoder and flow.
        case: What is explained.
        baselines: That all methods compare with.
        window_sizes: Of inverse occlusion, pixels.
        seed: Of every draw.
        probable: Other baselines, drawn from the more probable ones.
        null: What ordinary spectra show.
    """
    maps, refused = inverse_maps(model, case, baselines, window_sizes, null)
    if probable is None:
        refused |= dict.fromkeys(map(_probable, _OF_PROBABLE), "no baselines were drawn from the more probable ones")
    else:
        began = time.process_time()
        attribution = inverse_multiscale_occlusion(
            model, case.flux, case.redshift, probable, window_sizes, valid=case.valid
        )
        cost = time.process_time() - began, int(attribution.provenance["evaluations"]) + 2 * len(probable)
        maps |= {_probable(name): Map(COMBINATIONS[name][1](attribution), *cost) for name in _OF_PROBABLE}
    for contender in OTHERS:
        if contender.absolute:
            source = maps.get(contender.name.removesuffix("_absolute"))
            if source is not None:
                maps[contender.name] = Map(np.abs(source.values), source.seconds, source.evaluations)
            continue
        settings: dict[str, Any] = dict(contender.settings)
        if contender.method == "residual_over_noise":
            settings["ivar"] = case.ivar
        began = time.process_time()
        try:
            found = METHODS[contender.method](
                model, case.flux, case.redshift, baselines, valid=case.valid, seed=seed, **settings
            )
        except NotApplicable as error:
            refused[contender.name] = str(error)
            continue
        maps[contender.name] = Map(found.values, time.process_time() - began, found.evaluations)
    weight = case.significance**2
    for size in ORACLE_WINDOWS:
        maps[f"oracle_{size}"] = Map(oracle_block(weight, case.valid, size), 0.0, 0)
    maps["oracle"] = Map(np.where(case.valid, weight, np.nan), 0.0, 0)
    return maps, refused


def inverse_maps(
    model: OutlierModel,
    case: Case,
    baselines: BaselinePool,
    window_sizes: Sequence[int],
    null: NullDistribution | None = None,
) -> tuple[dict[str, Map], dict[str, str]]:
    """Compute inverse occlusion once and derive its combinations and single window sizes; and what does not apply."""
    stamps = [time.process_time()]
    order: list[int] = []

    def finished(size: int) -> None:
        stamps.append(time.process_time())
        order.append(size)

    attribution = inverse_multiscale_occlusion(
        model,
        case.flux,
        case.redshift,
        baselines,
        window_sizes,
        valid=case.valid,
        on_window=lambda window: finished(window.window_size),
    )
    total, evaluations = stamps[-1] - stamps[0], int(attribution.provenance["evaluations"])
    maps = {
        name: Map(derive(attribution), total, evaluations + 2 * len(baselines))
        for name, (_, derive) in COMBINATIONS.items()
    }
    refused = {}
    if null is None:
        refused[SIGNIFICANCE] = NO_NULL
    else:
        comparable = replace(attribution, weighting=null.settings.weighting)  # the combination takes no part
        if words := null.problem(comparable):
            refused[SIGNIFICANCE] = words
        else:
            maps[SIGNIFICANCE] = Map(
                significance_combination(comparable, null), total, evaluations + 2 * len(baselines)
            )
    cost = dict(zip(order, np.diff(stamps).tolist(), strict=True))
    pixels = int(case.valid.sum())
    for row, size in enumerate(attribution.window_sizes):
        number = min(pixels, -(-len(case.flux) // size))
        maps[f"imo_{size}"] = Map(attribution.mean[row], cost[size], (number + 2) * len(baselines))
    if not statistics_are_fixed(model):
        began = time.process_time()
        frozen = inverse_multiscale_occlusion(
            model,
            case.flux,
            case.redshift,
            baselines,
            window_sizes,
            valid=case.valid,
            evaluator="frozen_statistics",
        )
        maps["imo_frozen_statistics"] = Map(frozen.combined, time.process_time() - began, evaluations)
    return maps, refused
