"""New candidates of one session: from a file to a target with a rank, step by step. Needs no browser.

Whatever takes time runs in another thread; what goes wrong is one line for the user.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import param

from app.computing.explainer import Explainer
from app.computing.shelf import Shelf
from app.survey.candidates import Candidate, is_unread, needs_redshift, score_candidates, with_redshift
from app.survey.uploads import UploadLimits, read_upload
from imo_engine.errors import ImoError
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["CandidateDesk", "Intake"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intake:
    """Where the files are.

    Attributes:
        kind: idle, reading, redshift (to be given), scoring, done or failed.
        text: One line for people.
        unknown: Identifiers of spectra without a redshift.
    """

    kind: str = "idle"
    text: str = ""
    unknown: tuple[str, ...] = ()


class CandidateDesk(param.Parameterized):
    """Takes files in, asks for what is missing, scores, and keeps what was found."""

    intake = param.ClassSelector(class_=Intake, default=Intake(), doc="Where the files are.")
    kept = param.Parameter(default=(), doc="Candidates of this session, the newest first.")

    def __init__(
        self,
        explainer: Explainer,
        shelf: Shelf,
        *,
        submit: Callable[[Callable[[], None]], object],
        schedule: Callable[[Callable[[], None]], object],
        limits: UploadLimits | None = None,
    ) -> None:
        """Start empty.

        Args:
            explainer: Gives survey and model.
            shelf: Where all sessions' candidates are.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the page may be changed; called from that thread.
            limits: What may be uploaded.
        """
        super().__init__()
        self.limits = limits or UploadLimits()
        self._explainer, self._shelf = explainer, shelf
        self._submit, self._schedule = submit, schedule
        self._spectra: Spectra | None = None
        self._turn = 0

    def read(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Read files; what was begun before is given up."""
        self._begin(Intake("reading", f"Reading {_names(files)} …"))
        self._submit(partial(self._try, self._turn, partial(self._read, self._turn, tuple(files))))

    def give_redshift(self, redshift: float | None, target_ids: Sequence[str] | None = None) -> None:
        """Give the spectra without a redshift one and score them; None: score the others only."""
        if self.intake.kind != "redshift" or self._spectra is None:
            return
        spectra, unknown = self._spectra, self.intake.unknown
        self._begin(Intake("scoring", "Scoring …"))
        self._submit(
            partial(self._try, self._turn, partial(self._complete, self._turn, spectra, unknown, redshift, target_ids))
        )

    def cancel(self) -> None:
        """Give up what was begun."""
        self._begin(Intake())

    def close(self) -> None:
        """Forget everything; the session has ended."""
        self._turn += 1
        self._shelf.drop(self)

    def _begin(self, intake: Intake) -> None:
        self._turn += 1
        self.intake = intake

    def _try(self, turn: int, work: Callable[[], None]) -> None:
        """Run one step in the other thread, and say in words what goes wrong."""
        try:
            work()
        except ImoError as error:
            self._schedule(partial(self._set, turn, Intake("failed", str(error))))
        except Exception as error:
            log.exception("a new candidate")
            self._schedule(partial(self._set, turn, Intake("failed", f"unexpected {type(error).__name__}: {error}")))

    def _read(self, turn: int, files: tuple[tuple[str, bytes], ...]) -> None:
        model, _ = self._explainer.survey.engine.get()
        spectra = read_upload(files, wavelength=model.wavelength, limits=self.limits)
        unknown = tuple(str(target) for target in spectra.target_id[needs_redshift(spectra)])
        if unknown:
            text = f"{len(spectra)} {'spectrum' if len(spectra) == 1 else 'spectra'}; {len(unknown)} without a redshift"
            self._schedule(partial(self._ask, turn, spectra, Intake("redshift", text, unknown)))
            return
        self._schedule(partial(self._set, turn, Intake("scoring", "Scoring …")))
        self._score(turn, spectra)

    def _complete(
        self,
        turn: int,
        spectra: Spectra,
        unknown: tuple[str, ...],
        redshift: float | None,
        target_ids: Sequence[str] | None,
    ) -> None:
        chosen = np.isin(spectra.target_id, list(unknown if target_ids is None else target_ids))
        if redshift is not None and chosen.any():
            rest, given = spectra[np.flatnonzero(~chosen)], with_redshift(spectra[np.flatnonzero(chosen)], redshift)
            spectra = given if not len(rest) else concatenate([given, rest])
        self._score(turn, spectra)

    def _score(self, turn: int, spectra: Spectra) -> None:
        if turn != self._turn:
            return
        found = score_candidates(spectra, self._explainer.survey)
        self._schedule(partial(self._keep, turn, found))

    def _ask(self, turn: int, spectra: Spectra, intake: Intake) -> None:
        if turn == self._turn:
            self._spectra = spectra
            self.intake = intake

    def _set(self, turn: int, intake: Intake) -> None:
        if turn == self._turn:
            self.intake = intake

    def _keep(self, turn: int, found: tuple[Candidate, ...]) -> None:
        if turn != self._turn:
            return
        try:
            self._shelf.add(self, found)
        except ImoError as error:
            self.intake = Intake("failed", str(error))
            return
        known = {one.target_id for one in found}
        self.kept = (*found, *(one for one in self.kept if one.target_id not in known))
        self._spectra = None
        best = min(found, key=lambda one: (one.rank is None, one.log_prob if np.isfinite(one.log_prob) else np.inf))
        self.intake = replace(Intake("done"), text=_result(found, best))


def _names(files: Sequence[tuple[str, bytes]]) -> str:
    first = files[0][0][-60:] if files else "nothing"
    return first if len(files) < 2 else f"{first} and {len(files) - 1} more"


def _result(found: Sequence[Candidate], best: Candidate) -> str:
    unread = [
        f"{one.spectra.source[0]} {one.spectra.problem[0]}"
        for one in found
        if one is not best and is_unread(one.spectra)
    ]
    count = len(found) - len(unread)
    if best.rank is not None:
        text = f"{best.name}: log p {best.log_prob:.1f}, would be {best.rank}"
        text = text if count == 1 else f"{count} spectra; the most unusual is {text}"
    else:
        scored = np.isfinite(best.log_prob)
        reason = str(best.spectra.problem[0]) or "no score"
        if scored:
            reason = f"log p {best.log_prob:.1f}, not ranked: {best.not_ranked}"
        none = "is ranked" if scored else "could be scored"
        text = f"{best.name}: {reason}"
        text = text if count == 1 else f"{count} spectra, none of them {none}; {text}"
    return "; ".join([text, *unread])
