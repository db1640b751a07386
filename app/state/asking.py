"""Brush to ask: what log p would be with one range swapped between the target and its baselines. Needs no browser."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import param
from numpy.typing import NDArray

from app.computing.computation import Inputs
from app.computing.events import Settings
from app.state.background import Background, Schedule, Submit
from app.survey.survey import RankRange, Survey
from imo_engine.spectra.ranges import range_words

if TYPE_CHECKING:
    from imo_engine.attribution.probe import Probe

__all__ = ["Answer", "RangeQuestions", "Question", "in_words"]

_EDGE = 1e-6  # Angstrom by which a pixel may lie outside a range that begins or ends with it


@dataclass(frozen=True, eq=False)
class Answer:
    """What the engine says of one range.

    Attributes:
        low: First pixel of the range, observed vacuum Angstrom, whether it was measured or not.
        high: Last.
        pixels: How many it has.
        probe: log p with the range swapped, both ways; of fewer pixels where some were not measured.
        redshift: Of the target.
        rank: The target's own now; for a candidate the one that it would have; None without.
        ranks: One a baseline: what the target would have with the range of that baseline.
    """

    low: float
    high: float
    pixels: int
    probe: "Probe"
    redshift: float
    rank: RankRange | None
    ranks: tuple[RankRange, ...]


QuestionState = Literal["idle", "asking", "answered", "failed"]


@dataclass(frozen=True)
class Question:
    """The range that is asked about.

    Attributes:
        kind: idle, asking, answered or failed.
        low: First observed wavelength, vacuum Angstrom.
        high: Last.
        text: What went wrong, in words.
        answer: To this range, or while it is being asked to the one before.
    """

    kind: QuestionState = "idle"
    low: float = float("nan")
    high: float = float("nan")
    text: str = ""
    answer: Answer | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class _Prepared:
    target_id: str
    inputs: Inputs
    aligned: NDArray[np.float32]


class RangeQuestions(param.Parameterized):
    """Answers the newest question; those that were asked meanwhile and have been replaced are never computed."""

    question = param.ClassSelector(class_=Question, default=Question(), doc="What is asked and answered.")

    def __init__(
        self,
        survey: Callable[[], Survey],
        settings: Settings,
        *,
        submit: Submit,
        schedule: Schedule,
    ) -> None:
        """Start with nothing asked.

        Args:
            survey: Gives the targets there are now.
            settings: Which baselines are drawn.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the page may be changed; called from that thread.
        """
        super().__init__()
        self._survey, self._settings = survey, settings
        self._background = Background(submit, schedule)
        self._prepared: _Prepared | None = None

    def ask(self, target_id: str, low: float, high: float) -> None:
        """Ask about the pixels in [low, high], observed vacuum Angstrom, in place of what was asked before."""
        if not target_id:
            return
        if len(inside := _pixels(self._survey(), low, high)):
            low, high = float(inside[0]), float(inside[-1])
        self._background.renew()
        self.question = replace(self.question, kind="asking", low=low, high=high, text="")
        self._background.run_newest(
            lambda: self._answer(target_id, low, high),
            lambda answer: self.param.update(question=Question("answered", low, high, answer=answer)),
            lambda words: self.param.update(question=Question("failed", low, high, _failure(words))),
            about=f"asking about {low:g} to {high:g} Angstrom of target {target_id}",
        )

    def clear(self) -> None:
        """Forget the question; an answer that is under way is dropped."""
        self.close()
        if self.question.kind != "idle":
            self.question = Question()

    def close(self) -> None:
        """Answer nothing any more; the session has ended."""
        self._background.renew()

    def _answer(self, target_id: str, low: float, high: float) -> Answer:
        from imo_engine.attribution.probe import probe_range

        survey, ready = self._survey(), self._prepared
        if ready is None or ready.target_id != target_id:
            inputs = Inputs.of(survey, target_id, self._settings)
            redshifts = np.full(len(inputs.baselines), inputs.redshift)
            aligned = inputs.model.decode(inputs.baselines.latents, redshifts).astype(np.float32)
            self._prepared = ready = _Prepared(target_id, inputs, aligned)
        given = ready.inputs
        probe = probe_range(
            given.model,
            given.flux,
            given.redshift,
            given.baselines,
            low,
            high,
            valid=given.measured,
            aligned=ready.aligned,
        )
        ranks = (survey.rank_range(float(value), instead_of=target_id) for value in probe.repaired)
        pixels = len(_pixels(survey, low, high))
        own = survey.own_rank(target_id)
        return Answer(low, high, pixels, probe, given.redshift, own, tuple(one for one in ranks if one is not None))


def _pixels(survey: Survey, low: float, high: float) -> NDArray[np.float64]:
    wave = survey.spectra.wavelength
    return wave[(wave >= low - _EDGE) & (wave <= high + _EDGE)]


def in_words(answer: Answer) -> tuple[str, str]:
    """Say what the range does: to the spectrum without it, and to ordinary spectra with it."""
    probe = answer.probe
    span = range_words(answer.low, answer.high)
    first = f"Without {span} {_rank_words(answer)}: " if answer.ranks else f"Without {span} "
    first += _change_words(probe.own, probe.repaired)
    change = probe.spoiled - probe.baselines
    typical = float(np.median(change))
    verb = "lowers" if typical < 0 else "raises"
    second = f"The same range put into the baselines {verb} their log p by {abs(typical):.1f}"
    second += f" ({_signed(change.min())} to {_signed(change.max())})."
    return f"{first} {_meaning(answer)}".strip(), second


def _change_words(own: float, repaired: NDArray[np.float64]) -> str:
    over = f"({_nats(repaired.min())} to {_nats(repaired.max())} over {len(repaired)} baselines)."
    before, after = _nats(own), _nats(float(np.median(repaired)))
    if before == after:
        return f"log p stays at {before} {over}"
    return f"log p {'rises' if np.median(repaired) > own else 'falls'} from {before} to {after} {over}"


def _meaning(answer: Answer) -> str:
    """Say what is to be made of a spectrum that is not more ordinary without the range; empty if it is."""
    probe = answer.probe
    change = probe.repaired - probe.own
    if _nats(float(np.median(probe.repaired))) == _nats(probe.own):
        return ""
    rising = int((change > 0).sum())
    if np.median(change) > 0:
        falling = len(change) - rising
        return f"With {falling} of {len(change)} baselines it falls." if falling else ""
    words = "This range makes the rest look less odd: it suits the rest better than what ordinary spectra have there"
    if np.median(probe.spoiled - probe.baselines) < 0:
        words += ", though it is odd in those"
    return f"{words}." + (f" With {rising} of {len(change)} baselines log p rises." if rising else "")


def _rank_words(answer: Answer) -> str:
    """Say which rank the target would have, the middle of the baselines', and between which they lie."""
    ranks = answer.ranks
    middles = [(one.low + one.high) / 2 for one in ranks]
    middle = round(float(np.median(middles)))
    low, high = min(one.low for one in ranks), max(one.high for one in ranks)
    size = ranks[0].size
    own = answer.rank
    if own is not None and low == high == own.low == own.high:
        return f"it would still rank {low:,} of {size:,}, whichever baseline fills the gap"
    about = "" if low == high else "about "
    spread = "" if low == high else f" ({low:,} to {high:,})"
    now = f", not {own.low:,}" if own is not None and own.low == own.high and own.low != middle else ""
    return f"it would rank {about}{middle:,} of {size:,}{spread}{now}"


def _failure(text: str) -> str:
    if text.startswith("no valid pixel"):
        return f"N{text[1:]}: nothing was measured there, or the model does not reach it."
    return f"It could not be answered: {text}"


def _nats(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
