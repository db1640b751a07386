"""Candidates of all sessions, which the queue has to know."""

import threading
from collections.abc import Hashable, Sequence

from app.computing.explainer import Explainer
from app.survey.candidates import Candidate, add_candidates
from app.survey.kept_candidates import PER_OWNER
from imo_engine.errors import InputError

__all__ = ["Shelf"]


class Shelf:
    """Candidates of all sessions of a process, which its explainer has to know. Safe to use from any thread.

    A session's candidates leave the process's memory when it ends; see :mod:`app.survey.kept_candidates`.
    """

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        self._survey = explainer.survey
        self._lock = threading.Lock()
        self._owned: dict[Hashable, tuple[Candidate, ...]] = {}

    def add(self, owner: Hashable, candidates: Sequence[Candidate]) -> None:
        """Let the explainer know candidates.

        Raises:
            InputError: the owner would have too many.
        """
        with self._lock:
            had = self._owned.get(owner, ())
            new = tuple(one for one in candidates if one.target_id not in {other.target_id for other in had})
            if len(had) + len(new) > PER_OWNER:
                raise InputError(f"{len(had) + len(new)} spectra; {PER_OWNER} can be kept beside a survey at a time")
            self._owned[owner] = had + new
            self._rebuild()

    def drop(self, owner: Hashable) -> None:
        """Forget an owner's candidates."""
        with self._lock:
            if self._owned.pop(owner, None):
                self._rebuild()

    def _rebuild(self) -> None:
        everybody = [one for owned in self._owned.values() for one in owned]
        self._explainer.survey = add_candidates(self._survey, everybody)
