"""Which evaluator answers for a model."""

from imo_engine.errors import InputError
from imo_engine.evaluators.adaptive import Adaptive
from imo_engine.evaluators.black_box import BlackBox
from imo_engine.evaluators.local import FrozenStatistics, LocalExact
from imo_engine.evaluators.replacement import Evaluator, Replacement

__all__ = ["EVALUATORS", "choose_evaluator"]

EVALUATORS = ("exact", "local_update", "full_passes", "frozen_statistics")
"""The fastest exact one; within 2 % of each window's largest value; whole spectra through any encoder; statistics of
every normalisation held fixed."""

_TOLERANCE = 2e-2


def choose_evaluator(name: str, replacement: Replacement, *, memory_budget: int | None = None) -> Evaluator:
    """Return a prepared evaluator called ``name``, one of :data:`EVALUATORS`.

    Raises:
        InputError: another name.
    """
    if name not in EVALUATORS:
        raise InputError(f"'evaluator' is {name!r}; expected one of {', '.join(EVALUATORS)}")
    local = replacement.model.encoder.config.normalisation == "none"
    if name == "frozen_statistics" and not local:
        return FrozenStatistics(replacement, memory_budget=memory_budget)
    if name == "full_passes":
        return BlackBox(replacement, memory_budget=memory_budget)
    if local:
        return LocalExact(replacement, memory_budget=memory_budget)
    return Adaptive(replacement, tolerance=0.0 if name == "exact" else _TOLERANCE, memory_budget=memory_budget)
