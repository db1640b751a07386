"""Explain one target: what goes into it, and what it tells while it runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.computing.events import (
    BaselinesReady,
    Event,
    Finished,
    MethodFinished,
    MethodSettings,
    Progress,
    RepairFinished,
    RepairSettings,
    Request,
    Result,
    Settings,
    WindowReady,
)
from app.computing.result_cache import result_key
from app.survey.survey import Survey
from imo_engine.attribution.record import Attribution, combination_weights, combine
from imo_engine.errors import ImoError

if TYPE_CHECKING:
    from imo_engine.methods import MethodAttribution
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.repair.regions import Repair

__all__ = ["Inputs", "answer", "apply_method", "explain", "find_repair"]

_PROGRESS_INTERVAL = 0.25  # seconds; a bar that moves four times a second looks alive and costs nothing


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything that an attribution depends on.

    Attributes:
        flux: (pixel,) normalised, as the model sees it.
        measured: (pixel,) which pixels hold data.
        redshift: Of the spectrum.
        model: Scores the spectra.
        baselines: Those that were drawn.
        settings: Window sizes and weights; the evaluator is what "auto" stands for.
    """

    flux: NDArray[np.float32]
    measured: NDArray[np.bool_]
    redshift: float
    model: "OutlierModel"
    baselines: "BaselinePool"
    settings: Settings

    @classmethod
    def of(cls, survey: Survey, target_id: str, settings: Settings, device: str | None = None) -> "Inputs":
        """Gather them; loads the model when first needed, onto one of the engine's devices.

        Raises:
            ImoError: an unknown target, one without a score, or a model that cannot be loaded.
        """
        from imo_engine.attribution.evaluators.choice import resolve_evaluator

        target = survey.spectra[[survey.spectra.row(target_id)]]
        if target.problem[0]:
            raise ImoError(f"target {target_id} has no score: {target.problem[0]}")
        model, pool = survey.engine.get(device)
        baselines = pool.draw(min(settings.n_baselines, len(pool)), seed=settings.seed)
        flux = model.prepare(target)[0]
        settings = replace(settings, evaluator=resolve_evaluator(settings.evaluator, model))
        return cls(flux, target.measured[0], float(target.redshift[0]), model, baselines, settings)

    def digest(self) -> str:
        """Return 64 hex digits that change with any of them."""
        latents = self.baselines.latents
        return result_key(self.flux, self.measured, self.redshift, self.model.fingerprint, latents, self.settings)

    @property
    def exactly(self) -> "Inputs":
        """The same, for exact values."""
        return replace(self, settings=self.settings.exactly)


def answer(
    survey: Survey,
    target_id: str,
    settings: Request,
    send: Callable[[Event], None],
    should_stop: Callable[[], bool],
    device: str | None = None,
) -> Result:
    """Compute what is asked for: inverse occlusion, another method, or a repair, on one of the engine's devices.

    Raises:
        ImoError: as :func:`explain`, :func:`apply_method` and :func:`find_repair`.
    """
    if isinstance(settings, RepairSettings):
        return RepairFinished(find_repair(survey, target_id, settings, send, should_stop, device))
    if isinstance(settings, MethodSettings):
        return MethodFinished(apply_method(survey, target_id, settings, send, should_stop, device))
    return Finished(explain(Inputs.of(survey, target_id, settings, device), send, should_stop))


def explain(inputs: Inputs, send: Callable[[Event], None], should_stop: Callable[[], bool]) -> Attribution:
    """Compute an attribution and tell of it as events: baselines, windows, progress.

    Raises:
        ImoError: as :func:`~imo_engine.attribution.occlusion.inverse_multiscale_occlusion`; Cancelled if
            ``should_stop`` says so.
    """
    from imo_engine.attribution.occlusion import WindowResult, inverse_multiscale_occlusion

    settings = inputs.settings
    device = inputs.model.device_name  # here, not in the threads that report: theirs are one thread each
    began = last = time.monotonic()
    waiting = sorted(settings.window_sizes)
    finished: list[NDArray[np.float64]] = []

    def on_window(result: WindowResult) -> None:
        waiting.remove(result.window_size)
        finished.append(result.values)
        values = np.stack(finished)
        weights = combination_weights(values.mean(axis=1), values.var(axis=1), settings.weights)
        send(WindowReady(result.window_size, result.values.astype(np.float32), *combine(values, weights), result.facts))

    def on_progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL or done == total:
            last = now
            left = (now - began) / done * (total - done) if done > 50 else None
            size = waiting[-1] if waiting else settings.window_sizes[0]
            send(Progress(done, total, size, device, left))

    return inverse_multiscale_occlusion(
        inputs.model,
        inputs.flux,
        inputs.redshift,
        inputs.baselines,
        settings.window_sizes,
        weights=settings.weights,
        evaluator=settings.evaluator,
        valid=inputs.measured,
        on_baselines=lambda baselines, valid: send(BaselinesReady(baselines, valid)),
        on_window=on_window,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def apply_method(
    survey: Survey,
    target_id: str,
    settings: MethodSettings,
    send: Callable[[Event], None],
    should_stop: Callable[[], bool],
    device: str | None = None,
) -> "MethodAttribution":
    """Compute another method's attribution of a target, with the baselines of the settings; tells of its progress.

    Raises:
        ImoError: as :meth:`Inputs.of` and the method; NotApplicable where it has no meaning, Cancelled if
            ``should_stop`` says so.
    """
    from imo_engine.methods import find_method

    method = find_method(settings.method)
    inputs = Inputs.of(survey, target_id, settings.baselines, device)
    extra = {"ivar": survey.spectra.ivar[survey.spectra.row(target_id)]} if "ivar" in method.defaults else {}
    began = last = time.monotonic()

    def on_progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL:
            last = now
            send(Progress(done, total, 0, inputs.model.device_name, (now - began) / done * (total - done)))

    record = method(
        inputs.model,
        inputs.flux,
        inputs.redshift,
        inputs.baselines,
        valid=inputs.measured,
        seed=settings.baselines.seed,
        should_stop=should_stop,
        on_progress=on_progress,
        **extra,
    )
    return replace(record, per_baseline=None)  # half a megabyte that nobody looks at


def find_repair(
    survey: Survey,
    target_id: str,
    settings: RepairSettings,
    send: Callable[[Event], None],
    should_stop: Callable[[], bool],
    device: str | None = None,
) -> "Repair":
    """Find the smallest set of regions without which a target would be ordinary; tells of its progress.

    Raises:
        ImoError: as :meth:`Inputs.of` and :func:`imo_engine.repair.regions.repair`; Cancelled if ``should_stop`` says
            so.
    """
    from imo_engine.ranking.reference import ordinary_log_prob
    from imo_engine.repair.fill import held_out
    from imo_engine.repair.regions import repair

    inputs = Inputs.of(survey, target_id, settings.baselines, device)
    attribution = settings.known() or explain(inputs, lambda event: None, should_stop)
    model, pool = survey.engine.get(device)
    target = ordinary_log_prob(model, pool, quantile=settings.quantile)
    began = last = time.monotonic()

    def on_progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL:
            last = now
            send(Progress(done, total, 0, model.device_name, (now - began) / done * (total - done)))

    return repair(
        model,
        inputs.flux,
        inputs.redshift,
        held_out(pool, inputs.baselines, target),
        attribution,
        target_log_prob=target,
        valid=inputs.measured,
        instrument=str(survey.spectra.instrument[survey.spectra.row(target_id)]),
        seed=settings.baselines.seed,
        should_stop=should_stop,
        on_progress=on_progress,
    )
