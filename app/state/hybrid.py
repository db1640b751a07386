"""The live explanation of inverse occlusion: a window of the target in one baseline, and what it does to log p.

Needs no browser. One question is answered at a time, the newest first; a sweep asks for many places, one after the
other, until it is stopped or somebody asks for something else.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.computing.computation import Inputs
from app.computing.events import Settings
from app.state.background import Background, Schedule, Submit
from app.survey.survey import Survey

if TYPE_CHECKING:
    from imo_engine.attribution.hybrids import Hybrids

__all__ = ["Answer", "LiveExplanation", "Question", "Stage"]

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


class LiveExplanation:
    """Prepares a stage and answers questions about it."""

    def __init__(
        self,
        survey: Callable[[], Survey],
        settings: Settings,
        *,
        submit: Submit,
        schedule: Schedule,
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
        self._stages, self._answers = Background(submit, schedule), Background(submit, schedule)
        self._on_stage, self._on_answer, self._on_problem = on_stage, on_answer, on_problem
        self._hybrids: Hybrids | None = None
        self._replaced = threading.Event()  # of the last question: a sweep gives way

    def show(self, target_id: str) -> None:
        """Put a target on the stage; what was asked about another one is forgotten."""
        self.leave()
        self._stages.run(
            lambda: _staged(self._survey(), target_id, self._settings),
            lambda made: self._begin(*made),
            self._on_problem,
            about=f"explaining the method with target {target_id}",
        )

    def leave(self) -> None:
        """Nobody looks any more."""
        self._stages.renew()
        self._answers.renew()
        self.stop()
        self._hybrids = None

    def _begin(self, hybrids: "Hybrids", stage: Stage) -> None:
        self._hybrids = hybrids
        self._on_stage(stage)

    def ask(self, starts: tuple[int, ...], window: int, baseline: int) -> None:
        """Ask for log p of hybrids, in place of whatever is not answered yet."""
        self.stop()
        if self._hybrids is not None:
            self._replaced = threading.Event()
            question = Question(tuple(starts), window, baseline)
            answer = partial(self._answer, self._hybrids, question, self._replaced)
            self._answers.run_newest(answer, lambda _: None, self._on_problem, about="explaining the method")

    def stop(self) -> None:
        """End a sweep."""
        self._replaced.set()

    def _answer(self, hybrids: "Hybrids", question: Question, replaced: threading.Event) -> None:
        """Hand the parts of an answer back, one after the other, in the other thread."""

        def tell(answer: Answer) -> None:
            if hybrids is self._hybrids:
                self._on_answer(answer)

        for first in range(0, len(question.starts), _AT_ONCE):
            # what is asked for alone is answered, even if more is asked for meanwhile: else a drag would show nothing
            if first and replaced.wait(_FRAME):
                return
            starts = question.starts[first : first + _AT_ONCE]
            found = hybrids.log_prob(question.baseline, starts, question.window)
            pixels = tuple(int(hybrids.replaced(start, question.window).sum()) for start in starts)
            last = first + _AT_ONCE >= len(question.starts)
            self._answers.hand_back(partial(tell, Answer(question, starts, tuple(found.tolist()), pixels, last)))


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
