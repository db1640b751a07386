"""Repair of the selected target, found when it is asked for; usable without a browser."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import param

from app.computing.events import Event, Failed, Progress, Queued, RepairFinished, RepairSettings, Settings, Stopped
from app.computing.explainer import Explainer
from app.state.background import Claim, Schedule
from app.state.choices import Choices
from app.state.target import SelectedTarget
from app.survey.survey import RankRange, Survey

if TYPE_CHECKING:
    from imo_engine.repair.regions import Repair

__all__ = ["TargetRepair", "RepairState", "Repaired", "repair_words"]

_EXPLAINING = ("queued", "computing")


@dataclass(frozen=True, eq=False)
class Repaired:
    """A repair, and what it means in the survey.

    Attributes:
        repair: What was found.
        rank: The target's own; for a candidate the one that it would have; None without.
        ranks: One a region: with it and those before it replaced, at the median over baselines.
        instrument: What observed the target; empty if that is not known.
    """

    repair: "Repair"
    rank: RankRange | None
    ranks: tuple[RankRange, ...]
    instrument: str = ""

    @classmethod
    def of(cls, survey: Survey, target_id: str, repair: "Repair") -> "Repaired":
        """Look the ranks up."""
        ranks = (survey.rank_range(one.median, instead_of=target_id) for one in repair.regions)
        instrument = str(survey.spectra.instrument[survey.spectra.row(target_id)])
        return cls(repair, survey.own_rank(target_id), tuple(one for one in ranks if one is not None), instrument)


RepairKind = Literal["idle", "waiting", "computing", "done", "failed", "stopped"]


@dataclass(frozen=True)
class RepairState:
    """What is known of the selected target's repair.

    Attributes:
        kind: idle, waiting, computing, done, failed or stopped.
        text: One line for people, unless it is done.
        fraction: 0 to 1; None where it cannot be told.
        found: The repair, once it is done.
    """

    kind: RepairKind = "idle"
    text: str = ""
    fraction: float | None = None
    found: Repaired | None = field(default=None, compare=False)


class TargetRepair(param.Parameterized):
    """Follows the target; a repair that was asked for once is there again when its target comes back.

    Its target's attribution comes first. A repair that is no longer wanted, because another target was selected or it
    was stopped, ends within one batch.
    """

    state = param.ClassSelector(class_=RepairState, default=RepairState(), doc="What is asked and found.")

    def __init__(
        self,
        state: Choices,
        session: SelectedTarget,
        explainer: Explainer,
        schedule: Schedule,
        settings: Settings,
        *,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """Connect the parts.

        Args:
            state: The browser session's choices.
            session: Explains the target.
            explainer: The process's queue.
            schedule: Runs a function soon where the document may be changed; called from any thread.
            settings: How targets are explained.
            alive: Whether a browser is connected.
        """
        super().__init__()
        self._choices, self._session, self._settings = state, session, settings
        self._claim = Claim(explainer, schedule, session.name, alive)
        self._asked: set[str] = set()
        session.param.watch(self._on_status, "status")

    @property
    def target_id(self) -> str:
        """Whose repair it is; empty if no target is selected."""
        return self._choices.target_id

    def ask(self) -> None:
        """Ask for the selected target's repair, unless that is under way or done."""
        target_id = self._choices.target_id
        if target_id and self.state.kind in ("idle", "stopped", "failed"):
            self._asked.add(target_id)
            self._continue()

    def stop(self) -> None:
        """Give up; the next :meth:`ask` begins anew."""
        if self.state.kind in ("waiting", "computing"):
            self._claim.release()
            self._asked.discard(self._choices.target_id)
            self.state = RepairState("stopped", "It was stopped.")

    def on_key(self, action: str) -> None:
        """Do what a key or a button asks for; others are passed over."""
        if action == "repair":
            self.ask()
        elif action == "repair-stop":
            self.stop()

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self._claim.release()

    def select(self) -> None:
        """Follow the session to another target, and repair it if that was asked for before."""
        self._claim.release()
        self.state = RepairState()
        if self._choices.target_id in self._asked:
            self._continue()

    def _on_status(self, event: param.parameterized.Event) -> None:
        if self.state.kind == "waiting" and not self._claim.held and event.old.kind != event.new.kind:
            self._continue()

    def _continue(self) -> None:
        """Ask the engine if the attribution is there, else say what is missing."""
        status, attribution = self._session.status, self._session.attribution
        if attribution is None:
            if status.kind in _EXPLAINING:
                self.state = RepairState("waiting", "Waits for the attribution …")
            elif status.kind in ("unscored", "failed"):
                self.state = RepairState("failed", status.text)
            else:
                self.state = RepairState("stopped", "It needs the whole attribution; compute that again.")
            return
        self.state = RepairState("waiting", "Waiting for the engine …")
        # a weak one: the queue keeps what it was asked for as long as the answer
        settings = RepairSettings(self._settings, known=weakref.ref(attribution))
        self._claim.ask(self._choices.target_id, settings, self._hear)

    def _hear(self, event: Event) -> None:
        match event:
            case Queued():
                self.state = RepairState("waiting", "Waiting for the engine …")
            case Progress(done, total, _, device, left):
                rest = f", about {round(left)} s left" if left is not None and left >= 1 else ""
                text = f"Trying regions on {device}: {done:,} spectra scored{rest}"
                self.state = RepairState("computing", text, min(1.0, done / total))
            case RepairFinished(repair):
                found = Repaired.of(self._session.survey, self._choices.target_id, repair)
                self.state = RepairState("done", repair_words(found), 1.0, found)
            case Failed(message):
                self.state = RepairState("failed", f"It could not be repaired: {message}")
            case Stopped():
                self.state = RepairState("stopped", "It was stopped.")
        if self.state.kind in ("done", "failed", "stopped"):
            self._claim.end()


def repair_words(found: Repaired) -> str:
    """Say in a sentence or two what it takes to make a target ordinary."""
    repair = found.repair
    if not repair.regions and repair.reached:
        return f"Nothing has to be replaced: log p {_nats(repair.own)} is ordinary, {_nats(repair.target)} or more."
    count, pixels = len(repair.regions), repair.pixels
    size = f"{pixels:,} pixel{'s' if pixels != 1 else ''}"
    these = f"this region ({size})" if count == 1 else f"these {count} regions ({size})"
    would = _would_rank(found)
    if repair.reached:
        return f"Without {these} {would}."
    share = f"{repair.needed:,} of {repair.usable:,}" if repair.needed else f"more than all {repair.usable:,}"
    first = (
        "Replacing single regions does not help" if not count else f"No few regions explain it: without {these} {would}"
    )
    whole = "the whole spectrum" if repair.needed and repair.needed > 0.9 * repair.usable else f"{share} pixels"
    return f"{first}. It takes {whole} to make it ordinary, as where the redshift or the kind of object is wrong."


def _would_rank(found: Repaired) -> str:
    if not found.ranks:
        return f"log p would be {_nats(found.repair.median)}, not {_nats(found.repair.own)}"
    rank, own = found.ranks[-1], found.rank
    if own is not None and own.low == own.high:
        if (rank.low, rank.high) == (own.low, own.high):
            return f"it would still {rank}"
        return f"it would {rank}, not {own.low:,}"
    return f"it would {rank}"


def _nats(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
