"""All attribution methods by name, called in the same way."""

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from imo_engine.errors import InputError
from imo_engine.methods.ablation import feature_ablation, occlusion
from imo_engine.methods.controls import mean_baseline_difference, random_values, residual_over_noise
from imo_engine.methods.deep_lift import deep_lift
from imo_engine.methods.gradients import (
    expected_gradients,
    gradient_shap,
    gradient_times_input,
    integrated_gradients,
    smooth_grad,
)
from imo_engine.methods.inverse import imo, imo_window
from imo_engine.methods.lime import lime
from imo_engine.methods.problem import Answer, pose
from imo_engine.methods.record import MethodAttribution
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["METHODS", "Method", "find_method"]


@dataclass(frozen=True)
class Method:
    """A method that can be called; its settings are the keyword arguments of ``compute``.

    Attributes:
        name: Key in :data:`METHODS`.
        label: For people.
        family: "inverse", "gradient", "replacement", "surrogate" or "control".
        compute: From a posed problem and settings to an answer.
    """

    name: str
    label: str
    family: str
    compute: Callable[..., Answer]

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Settings and their defaults."""
        parameters = inspect.signature(self.compute).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}

    @property
    def description(self) -> str:
        """First line of what there is to say about it."""
        return (inspect.getdoc(self.compute) or "").split("\n")[0]

    def __call__(
        self,
        model: OutlierModel,
        flux: ArrayLike,
        redshift: float,
        baselines: ArrayLike | BaselinePool | None,
        *,
        valid: ArrayLike | None = None,
        seed: int = 0,
        memory_budget: int | None = None,
        should_stop: Callable[[], bool] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        **settings: Any,  # noqa: ANN401 - each method's own
    ) -> MethodAttribution:
        """Explain one spectrum.

        Args:
            model: Encoder, decoder and flow.
            flux: (N,) normalised flux of the spectrum, observed frame, masked pixels as the model wants them.
            redshift: Its redshift.
            baselines: (M, N) normalised spectra of ordinary objects at their own redshifts, or a pool of their
                latents; None for methods that need none.
            valid: (N,) pixels to be explained; by default all finite ones that the decoder reaches. The others
                keep the spectrum's flux throughout and get NaN.
            seed: Of all random numbers.
            memory_budget: Bytes of activations per batch; by default 48 MiB on a CPU, on CUDA half of what is free.
                A batch that does not fit is halved.
            should_stop: Asked before each batch.
            on_progress: Called after each batch with evaluations done and, as far as known, in all.
            settings: The method's own; see :attr:`defaults`.

        Raises:
            InputError: arguments that do not fit together; the message names the argument.
            NotApplicable: the method has no meaning for this model.
            Cancelled: ``should_stop`` returned True.
            OutOfMemory: not even one spectrum fits into memory.
        """
        unknown = sorted(set(settings) - set(self.defaults))
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise InputError(f"{self.name} has no setting {', '.join(unknown)}; it has {known}")
        began = time.perf_counter()
        problem = pose(
            model,
            flux,
            redshift,
            baselines,
            valid=valid,
            seed=seed,
            memory_budget=memory_budget,
            should_stop=should_stop,
            on_progress=on_progress,
        )
        answer = self.compute(problem, **settings)
        if on_progress is not None and problem.evaluations:
            on_progress(problem.evaluations, problem.evaluations)
        per_reference = np.where(problem.valid, answer.per_reference, np.nan).astype(np.float64)
        used = {key: "given" if isinstance(v, np.ndarray) else v for key, v in (self.defaults | settings).items()}
        return MethodAttribution(
            method=self.name,
            values=per_reference.mean(axis=0),
            valid=problem.valid,
            unit=answer.unit,
            relative_to=answer.relative_to,
            settings=used | {"seed": seed},
            evaluations=problem.evaluations,
            gradients=problem.gradients,
            seconds=time.perf_counter() - began,
            per_baseline=per_reference if len(per_reference) > 1 else None,
            completeness_gap=answer.gap,
            caveat=answer.caveat,
            provenance={
                "model": model.name,
                "model_fingerprint": model.fingerprint,
                "device": model.device_name,
            },
        )


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("imo", "Inverse multiscale occlusion", "inverse", imo),
        Method("imo_window", "Inverse occlusion, one window size", "inverse", imo_window),
        Method("gradient_times_input", "Gradient × input", "gradient", gradient_times_input),
        Method("smooth_grad", "SmoothGrad", "gradient", smooth_grad),
        Method("integrated_gradients", "Integrated gradients", "gradient", integrated_gradients),
        Method("expected_gradients", "Expected gradients", "gradient", expected_gradients),
        Method("gradient_shap", "GradientSHAP", "gradient", gradient_shap),
        Method("deep_lift", "DeepLIFT", "gradient", deep_lift),
        Method("feature_ablation", "Feature ablation", "replacement", feature_ablation),
        Method("occlusion", "Occlusion", "replacement", occlusion),
        Method("lime", "LIME over segments", "surrogate", lime),
        Method("random", "Random", "control", random_values),
        Method("residual_over_noise", "Residual over noise", "control", residual_over_noise),
        Method("mean_baseline_difference", "Difference from mean baseline", "control", mean_baseline_difference),
    )
}
"""Every method by its name, in the order of a table."""


def find_method(name: str) -> Method:
    """Return the method called ``name``.

    Raises:
        InputError: there is none.
    """
    if name not in METHODS:
        raise InputError(f"no attribution method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]
