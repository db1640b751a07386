"""New candidates of one session: from a file to a target with a rank, step by step. Needs no browser.

Whatever takes time runs in another thread; what goes wrong is one line for the user.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import param

from app.computing.explainer import Explainer
from app.computing.shelf import Shelf
from app.state.background import Background, Schedule, Submit
from app.survey.candidates import Candidate, is_unread, needs_redshift, score_candidates, with_redshift
from app.survey.kept_candidates import CandidateFiles
from app.survey.uploads import UploadLimits, read_upload
from imo_engine.errors import ImoError
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["NO_CONTENT", "CandidateIntake", "Intake"]

NO_CONTENT = "Nothing to read: no file was chosen, or it is empty (0 bytes)"


IntakeState = Literal["idle", "reading", "redshift", "scoring", "done", "failed"]


@dataclass(frozen=True)
class Intake:
    """Where the files are.

    Attributes:
        kind: idle, reading, redshift (to be given), scoring, done or failed.
        text: One line for people.
        unknown: Identifiers of spectra without a redshift.
    """

    kind: IntakeState = "idle"
    text: str = ""
    unknown: tuple[str, ...] = ()


class CandidateIntake(param.Parameterized):
    """Takes files in, asks for what is missing, scores, and keeps what was found."""

    intake = param.ClassSelector(class_=Intake, default=Intake(), doc="Where the files are.")
    kept = param.Parameter(default=(), doc="Candidates of this session, the newest first.")
    newest = param.String(default="", doc="The one that was added last, to be looked at.")

    def __init__(
        self,
        explainer: Explainer,
        shelf: Shelf,
        *,
        submit: Submit,
        schedule: Schedule,
        keeping: Submit | None = None,
        files: CandidateFiles | None = None,
        owner: str = "",
        limits: UploadLimits | None = None,
    ) -> None:
        """Start empty; :meth:`restore` brings back what was kept.

        Args:
            explainer: Gives survey and model.
            shelf: Where all sessions' candidates are.
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the page may be changed; called from that thread.
            keeping: The same in order, for files; by default ``submit``.
            files: Where candidates are kept for the next time; None: nowhere.
            owner: Whose they are; text that nobody else can have.
            limits: What may be uploaded.
        """
        super().__init__()
        self.limits = limits or UploadLimits()
        self._explainer, self._shelf = explainer, shelf
        self._background = Background(submit, schedule)
        self._files, self._owner = files if owner else None, owner
        self._keeping = Background(keeping or submit, schedule)
        self._spectra: Spectra | None = None

    @property
    def busy(self) -> bool:
        """Whether a file is being read or scored."""
        return self.intake.kind in ("reading", "scoring")

    def restore(self, then: Callable[[], object]) -> None:
        """Bring back what was kept of an earlier session, then call ``then``: at once if there is nothing."""
        files = self._files
        if files is None or not files.has(self._owner):
            then()
            return

        def restored(found: tuple[Candidate, ...]) -> None:
            self._shelf.add(self, found)
            self.kept = found
            then()

        self._keeping.run(
            lambda: files.of(self._owner, self._explainer.survey),
            restored,
            lambda words: then(),
            about="bringing back candidates",
        )

    def forget(self, target_id: str) -> None:
        """Take a candidate off the page, and off the disk."""
        self.kept = tuple(one for one in self.kept if one.target_id != target_id)
        files = self._files
        if files is not None:
            self._keeping.run(
                lambda: files.remove(self._owner, target_id),
                lambda _: None,
                self._failed,
                about="forgetting a candidate",
            )

    def read(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Read files; what was begun before is given up. No files, or empty ones only, are said at once."""
        if not any(content for _, content in files):
            self._begin(Intake("failed", f"{_names(files)}: empty, 0 bytes" if files else NO_CONTENT))
            return
        self._begin(Intake("reading", f"Reading {_names(files)} …"))
        read = partial(self._read, tuple(files))
        self._background.run(read, self._complete, self._failed, about="reading new spectra")

    def give_redshift(self, redshift: float | None, target_ids: Sequence[str] | None = None) -> None:
        """Give the spectra without a redshift one and score them; None: score the others only."""
        if self.intake.kind != "redshift" or self._spectra is None:
            return
        spectra, unknown = self._spectra, self.intake.unknown
        self._begin(Intake("scoring", "Scoring …"))
        self._score(lambda: _completed(spectra, unknown if target_ids is None else target_ids, redshift))

    def cancel(self) -> None:
        """Give up what was begun."""
        self._begin(Intake())

    def close(self) -> None:
        """Forget everything; the session has ended."""
        self._background.renew()
        self._keeping.renew()
        self._shelf.drop(self)

    def _begin(self, intake: Intake) -> None:
        self._background.renew()
        self.intake = intake

    def _failed(self, words: str) -> None:
        self.intake = Intake("failed", words)

    def _read(self, files: tuple[tuple[str, bytes], ...]) -> Spectra:
        model, _ = self._explainer.survey.engine.get()
        return read_upload(files, wavelength=model.wavelength, limits=self.limits)

    def _complete(self, spectra: Spectra) -> None:
        """Ask for the redshifts that are missing, or score."""
        unknown = tuple(str(target) for target in spectra.target_id[needs_redshift(spectra)])
        if unknown:
            text = f"{len(spectra)} {'spectrum' if len(spectra) == 1 else 'spectra'}; {len(unknown)} without a redshift"
            self._spectra = spectra
            self.intake = Intake("redshift", text, unknown)
        else:
            self.intake = Intake("scoring", "Scoring …")
            self._score(lambda: spectra)

    def _score(self, spectra: Callable[[], Spectra]) -> None:
        """Score what ``spectra`` returns, both in the other thread."""
        self._background.run(
            lambda: score_candidates(spectra(), self._explainer.survey),
            self._keep,
            self._failed,
            about="scoring new spectra",
        )

    def _keep(self, found: tuple[Candidate, ...]) -> None:
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
        self.newest = ""
        self.newest = found[0].target_id
        files = self._files
        if files is not None:
            self._keeping.run(
                lambda: files.add(self._owner, found), lambda _: None, self._not_kept, about="keeping candidates"
            )

    def _not_kept(self, words: str) -> None:
        self.intake = replace(self.intake, text=f"{self.intake.text}. Not kept for the next time: {words}")


def _completed(spectra: Spectra, target_ids: Sequence[str], redshift: float | None) -> Spectra:
    """Return spectra with a redshift for some of them, these first; None: as they are."""
    chosen = np.isin(spectra.target_id, list(target_ids))
    if redshift is None or not chosen.any():
        return spectra
    given, rest = with_redshift(spectra[np.flatnonzero(chosen)], redshift), spectra[np.flatnonzero(~chosen)]
    return concatenate([given, rest]) if len(rest) else given


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
