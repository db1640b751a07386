"""Similar outliers of the shown target: near in latent space, or odd for the same reason. Needs no browser."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import param

from app.findings.findings import Findings
from app.findings.likeness import Neighbour, same_cause
from app.survey.latents import Latents
from app.survey.survey import Survey
from imo_engine.errors import ImoError

__all__ = ["CAUSE", "LATENT", "Similar", "SimilarDesk"]

log = logging.getLogger(__name__)

CAUSE, LATENT = "cause", "latent"
"""What is compared: attribution profiles, or latents."""

_COUNT = 6


@dataclass(frozen=True)
class Similar:
    """What there is to show.

    Attributes:
        target_id: Of whom; empty if nothing is selected.
        way: CAUSE or LATENT.
        neighbours: The nearest first.
        frame: In which profiles were compared, "rest" or "observed"; empty until the target is explained.
        known: How many targets are explained so far.
        total: How many targets there are.
        pending: Whether the answer is still being worked out.
        problem: Why there is none, in words.
    """

    target_id: str = ""
    way: str = CAUSE
    neighbours: tuple[Neighbour, ...] = ()
    frame: str = ""
    known: int = 0
    total: int = 0
    pending: bool = False
    problem: str = ""


class SimilarDesk(param.Parameterized):
    """Follows the shown target and everything that is found out meanwhile."""

    similar = param.ClassSelector(class_=Similar, default=Similar(), doc="What there is to show.")

    def __init__(
        self,
        survey: Callable[[], Survey],
        targets: Callable[[], tuple[str, ...]],
        findings: Findings,
        latents: Latents,
        *,
        submit: Callable[[Callable[[], None]], object],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Start with nothing.

        Args:
            survey: Gives the targets there are now.
            targets: Those that this session may see.
            findings: What is known of targets that were explained.
            latents: Encodes spectra.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the page may be changed; called from that thread.
        """
        super().__init__()
        self._survey, self._targets, self._findings, self._latents = survey, targets, findings, latents
        self._submit, self._schedule = submit, schedule
        self._turn = 0
        self._target, self._way = "", CAUSE

    def show(self, target_id: str) -> None:
        """Look for those similar to a target."""
        self._target = target_id
        self._look()

    def choose(self, way: str) -> None:
        """Compare by CAUSE or in LATENT space; anything else is passed over."""
        if way in (CAUSE, LATENT) and way != self._way:
            self._way = way
            self._look()

    def learned(self) -> None:
        """Look again, as there are new findings."""
        if self._way == CAUSE:
            self._look()

    def close(self) -> None:
        """Show nothing any more; the session has ended."""
        self._turn += 1

    def _look(self) -> None:
        self._turn += 1
        targets = frozenset(self._targets())
        total = len(targets)
        if not self._target:
            self.similar = Similar(way=self._way, total=total)
        elif self._way == CAUSE:
            own = self._findings.get(self._target)
            self.similar = Similar(
                self._target,
                CAUSE,
                tuple(same_cause(self._findings, self._target, targets.__contains__, _COUNT)),
                frame="" if own is None else own.frame,
                known=sum(name in targets for name in self._findings.all()),
                total=total,
                pending=own is None,
            )
        else:
            self.similar = Similar(self._target, LATENT, total=total, pending=True)
            self._submit(partial(self._work, self._turn, self._target, targets))

    def _work(self, turn: int, target_id: str, targets: frozenset[str]) -> None:
        if turn != self._turn:
            return
        found: list[tuple[str, float]] = []
        problem = ""
        try:
            survey = self._survey()
            problem = str(survey.spectra.problem[survey.spectra.row(target_id)])
            near = [] if problem else self._latents.map(survey).nearest(target_id, len(survey.spectra))
            found = [one for one in near if one[0] in targets][:_COUNT]
        except ImoError as error:
            problem = str(error)
        except Exception as error:
            log.exception("targets near %s", target_id)
            problem = f"unexpected {type(error).__name__}: {error}"
        shown = tuple(Neighbour(*one) for one in found)
        result = Similar(target_id, LATENT, shown, total=len(targets), problem=problem)
        self._schedule(partial(self._show, turn, result))

    def _show(self, turn: int, result: Similar) -> None:
        if turn == self._turn:
            self.similar = result
