"""Similar outliers of the shown target: near in latent space, or odd for the same reason. Needs no browser."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import param

from app.findings.findings import Findings
from app.findings.likeness import Neighbour, same_cause
from app.state.background import Background, Schedule, Submit
from app.survey.latents import Latents
from app.survey.survey import Survey

__all__ = ["CAUSE", "LATENT", "Similar", "SimilarTargets"]

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


class SimilarTargets(param.Parameterized):
    """Follows the shown target and everything that is found out meanwhile."""

    similar = param.ClassSelector(class_=Similar, default=Similar(), doc="What there is to show.")

    def __init__(
        self,
        survey: Callable[[], Survey],
        targets: Callable[[], tuple[str, ...]],
        findings: Findings,
        latents: Latents,
        *,
        submit: Submit,
        schedule: Schedule,
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
        self._background = Background(submit, schedule)
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
        self._background.renew()

    def _look(self) -> None:
        self._background.renew()
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
            show = partial(self._show_near, self._target, len(targets))
            self._background.run(
                partial(self._near, self._target, targets),
                show,
                lambda words: show(((), words)),
                about=f"looking for targets near {self._target} in latent space",
            )

    def _near(self, target_id: str, targets: frozenset[str]) -> tuple[tuple[Neighbour, ...], str]:
        """Return the nearest that the session may see, or none and why, in the other thread."""
        survey = self._survey()
        problem = str(survey.spectra.problem[survey.spectra.row(target_id)])
        near = [] if problem else self._latents.map(survey).nearest(target_id, len(survey.spectra))
        return tuple(Neighbour(*one) for one in near if one[0] in targets)[:_COUNT], problem

    def _show_near(self, target_id: str, total: int, found: tuple[tuple[Neighbour, ...], str]) -> None:
        self.similar = Similar(target_id, LATENT, found[0], total=total, problem=found[1])
