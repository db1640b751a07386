"""The live explanation of inverse occlusion: a window of the target in one baseline, and what it does to log p.

Needs no browser. One question is answered at a time, the newest first; a sweep asks for many places, one after the
other, until it is stopped or somebody asks for something else.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.computing.computation import Inputs
from app.computing.events import Settings
from app.survey.survey import Survey
from imo_engine.errors import ImoError

if TYPE_CHECKING:
    from imo_engine.attribution.hybrids import Hybrids

__all__ = ["Answer", "HybridDesk", "Question", "Stage"]

log = logging.getLogger(__name__)

_AT_ONCE = 4
_FRAME = 0.08  # seconds from one part of a sweep to the next, so that it can be followed with the eyes


@dataclass(frozen=True, eq=False)
class Stage:
    """What is explained.

    Attributes:
        target_id: Of the outlier.
        redshift: Of it.
        flux: (N,) normalised, NaN where nothing was measured.
        usable: (N,) pixels that are put into baselines.
        baselines: (M, N) normalised flux, at the outlier's redshift.
        own_log_prob: log p of the outlier, nats.
        baseline_log_prob: (M,) nats.
    """

    target_id: str
    redshift: float
    flux: NDArray[np.floating]
    usable: NDArray[np.bool_]
    baselines: NDArray[np.floating]
    own_log_prob: float
    baseline_log_prob: NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """Windows of ``window`` pixels of the outlier that begin at pixels ``starts``, in one baseline."""

    starts: tuple[int, ...]
    window: int
    baseline: int


@dataclass(frozen=True)
class Answer:
    """Some places of a question.

    Attributes:
        question: Which.
        starts: Pixels.
        log_prob: log p of the hybrids, nats, one a start.
        pixels: How many pixels were replaced, one a start.
        last: Whether nothing more comes.
    """

    question: Question
    starts: tuple[int, ...]
    log_prob: tuple[float, ...]
    pixels: tuple[int, ...]
    last: bool


class HybridDesk:
    """Prepares a stage and answers questions about it."""

    def __init__(
        self,
        survey: Callable[[], Survey],
        settings: Settings,
        *,
        submit: Callable[[Callable[[], None]], object],
        schedule: Callable[[Callable[[], None]], object],
        on_stage: Callable[[Stage], None],
        on_answer: Callable[[Answer], None],
        on_problem: Callable[[str], None],
    ) -> None:
        """Connect the parts.

        Args:
            survey: The targets.
            settings: Which baselines.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the document may be changed; called from any thread.
            on_stage: Called, as the two others, by way of ``schedule``: a target is ready.
            on_answer: A question, or a part of a sweep, is answered.
            on_problem: Why there is nothing to show, in words.
        """
        self._survey, self._settings = survey, settings
        self._submit, self._schedule = submit, schedule
        self._on_stage, self._on_answer, self._on_problem = on_stage, on_answer, on_problem
        self._lock = threading.Lock()
        self._generation = 0  # of what is on the stage
        self._hybrids: Hybrids | None = None
        self._waiting: Question | None = None
        self._busy = False
        self._changed = threading.Event()  # a sweep gives way

    def show(self, target_id: str) -> None:
        """Put a target on the stage; what was asked about another one is forgotten."""
        with self._lock:
            self._generation += 1
            generation = self._generation
            self._hybrids, self._waiting = None, None
            self._changed.set()
        self._submit(partial(self._prepare, generation, target_id))

    def leave(self) -> None:
        """Nobody looks any more."""
        with self._lock:
            self._generation += 1
            self._hybrids, self._waiting = None, None
            self._changed.set()

    def ask(self, starts: tuple[int, ...], window: int, baseline: int) -> None:
        """Ask for log p of hybrids, in place of whatever is not answered yet."""
        with self._lock:
            self._waiting = Question(tuple(starts), window, baseline)
            self._changed.set()
            if self._busy or self._hybrids is None:
                return
            self._busy = True
        self._submit(self._answer_all)

    def stop(self) -> None:
        """End a sweep."""
        with self._lock:
            self._waiting = None
            self._changed.set()

    def _prepare(self, generation: int, target_id: str) -> None:
        try:
            hybrids, stage = _staged(self._survey(), target_id, self._settings)
        except ImoError as error:
            self._tell(generation, partial(self._on_problem, str(error)))
            return
        except Exception as error:
            log.exception("explaining the method with target %s failed", target_id)
            self._tell(generation, partial(self._on_problem, f"unexpected {type(error).__name__}: {error}"))
            return
        with self._lock:
            if generation != self._generation:
                return
            self._hybrids = hybrids
        self._tell(generation, partial(self._on_stage, stage))

    def _answer_all(self) -> None:
        while True:
            with self._lock:
                question, self._waiting = self._waiting, None
                hybrids, generation = self._hybrids, self._generation
                if question is None or hybrids is None:
                    self._busy = False
                    return
                self._changed.clear()
            try:
                self._answer(generation, hybrids, question)
            except ImoError as error:
                self._tell(generation, partial(self._on_problem, str(error)))
            except Exception as error:
                log.exception("a hybrid spectrum failed")
                self._tell(generation, partial(self._on_problem, f"unexpected {type(error).__name__}: {error}"))

    def _answer(self, generation: int, hybrids: "Hybrids", question: Question) -> None:
        for first in range(0, len(question.starts), _AT_ONCE):
            starts = question.starts[first : first + _AT_ONCE]
            found = hybrids.log_prob(question.baseline, starts, question.window)
            pixels = tuple(int(hybrids.replaced(start, question.window).sum()) for start in starts)
            last = first + _AT_ONCE >= len(question.starts)
            answer = Answer(question, starts, tuple(found.tolist()), pixels, last)
            self._tell(generation, partial(self._on_answer, answer))
            if not last and self._changed.wait(_FRAME):
                return

    def _tell(self, generation: int, call: Callable[[], None]) -> None:
        def now() -> None:
            if generation == self._generation:
                call()

        self._schedule(now)


def _staged(survey: Survey, target_id: str, settings: Settings) -> "tuple[Hybrids, Stage]":
    from imo_engine.attribution.hybrids import Hybrids

    inputs = Inputs.of(survey, target_id, settings)
    hybrids = Hybrids.of(inputs.model, inputs.flux, inputs.redshift, inputs.baselines, valid=inputs.measured)
    stage = Stage(
        target_id=target_id,
        redshift=inputs.redshift,
        flux=np.where(inputs.measured, inputs.flux, np.nan),
        usable=hybrids.usable,
        baselines=hybrids.baselines,
        own_log_prob=hybrids.own_log_prob,
        baseline_log_prob=hybrids.baseline_log_prob,
    )
    return hybrids, stage
