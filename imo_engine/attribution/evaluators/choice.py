"""Which evaluator answers for a model."""

from collections.abc import Callable
from functools import partial

from imo_engine.attribution.evaluators import EVALUATORS
from imo_engine.attribution.evaluators.adaptive import Adaptive
from imo_engine.attribution.evaluators.base import Evaluator, Replacement
from imo_engine.attribution.evaluators.black_box import BlackBox
from imo_engine.attribution.evaluators.local import FrozenStatistics, LocalExact
from imo_engine.errors import InputError
from imo_engine.model.outlier_model import OutlierModel

__all__ = ["choose_evaluator", "resolve_evaluator"]

_TOLERANCE = 2e-2
_SLOW = 2e8
"""Multiplications of a forward pass from which on exact values of an encoder that normalises take minutes on a CPU."""


def resolve_evaluator(name: str, model: OutlierModel) -> str:
    """Return which of :data:`imo_engine.attribution.evaluators.EVALUATORS` stands behind a name for a model.

    Names for the same values become one. "auto" is "local_update" where exact values would take minutes, else "exact".
    Without normalisation "local_update" and "frozen_statistics" are "exact" themselves.

    Raises:
        InputError: another name.
    """
    if name not in ("auto", *EVALUATORS):
        raise InputError(f"'evaluator' is {name!r}; expected one of {', '.join(('auto', *EVALUATORS))}")
    if name != "full_passes" and model.encoder.config.normalisation == "none":
        return "exact"
    if name != "auto":
        return name
    slow = model.device.type == "cpu" and model.encoder.multiplications(len(model.wavelength)) > _SLOW
    return "local_update" if slow else "exact"


def choose_evaluator(
    name: str,
    replacement: Replacement,
    *,
    memory_budget: int | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Evaluator:
    """Return a prepared evaluator.

    Args:
        name: Of the evaluator, "auto" or one of :data:`imo_engine.attribution.evaluators.EVALUATORS`.
        replacement: Inputs.
        memory_budget: Bytes of activations a batch; None for what is free.
        should_stop: Asked while it is prepared.

    Raises:
        InputError: another name.
        Cancelled: ``should_stop`` returned True.
    """
    model = replacement.model
    name = resolve_evaluator(name, model)
    make: Callable[..., Evaluator]
    if name == "frozen_statistics":
        make = FrozenStatistics
    elif model.encoder.config.normalisation == "none" and name != "full_passes":
        make = LocalExact
    elif name == "full_passes" or model.device.type == "mps":  # statistics need float64, which MPS lacks
        make = BlackBox
    else:
        make = partial(Adaptive, tolerance=0.0 if name == "exact" else _TOLERANCE)
    return make(replacement, memory_budget=memory_budget, should_stop=should_stop)
