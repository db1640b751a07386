"""Why targets are odd, worked out once a process and kept for the table."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from app.findings.findings import Finding, Findings
from app.survey.survey import Survey
from imo_engine.attribution.record import Attribution
from imo_engine.reasons.features import Feature, find_features
from imo_engine.reasons.features import Findings as Found
from imo_engine.reasons.sentences import in_brief, sentence, title
from imo_engine.reasons.significance import Significance, significance_or_why

__all__ = ["Reason", "Reasons", "marks"]

log = logging.getLogger(__name__)

_KEEP = 128


@dataclass(frozen=True, eq=False)
class Reason:
    """What stands out of one attribution.

    Attributes:
        found: Features and another redshift that lines fit.
        sentence: In words.
        reconstruction: (pixel,) the model's, in the spectrum's unit; NaN where the decoder does not reach.
        significance: p-values of the attribution; None without a null distribution.
        why_not: Why there are none.
    """

    found: Found
    sentence: str
    reconstruction: NDArray[np.float32]
    significance: Significance | None = None
    why_not: str = ""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What is significant, or all that stands out where that is not known."""
        return self.found.features


class Reasons:
    """Reasons by target, all explained with the same settings; safe to use from any thread."""

    def __init__(self, findings: Findings | None = None) -> None:
        """Start with none; ``findings`` is told of each new one."""
        self._lock = threading.Lock()
        self._found: LRUCache[str, tuple[Reason, bool]] = LRUCache(_KEEP)  # and whether of exact values
        self.findings = Findings() if findings is None else findings

    def known(self, target_id: str, attribution: Attribution) -> Reason | None:
        """Return why a target is odd if that was worked out before, from values that are as exact."""
        with self._lock:
            reason, exact = self._found.get(target_id, (None, False))
            return reason if exact == attribution.exact else None

    def of(self, survey: Survey, target_id: str, attribution: Attribution) -> Reason:
        """Return why a target is odd; takes some tenths of a second when it is not known yet.

        What exact values say takes the place of what quick ones said.

        Raises:
            ImoError: no such target, or a model that cannot be loaded.
        """
        from imo_engine.reasons.twin import compare

        with self._lock:
            before, exact = self._found.get(target_id, (None, False))
            if before is not None and (exact or not attribution.exact):
                return before
        target = survey.spectra[[survey.spectra.row(target_id)]]
        (model, pool), null = survey.engine.get(), survey.engine.null()
        known, why_not = significance_or_why(attribution, null)
        found = find_features(attribution, compare(model, target, pool.latents, null), significance=known)
        made = model.reconstruct(attribution.flux[None], np.array([attribution.redshift]))[0]
        made = np.where(model.covered(attribution.redshift), made, np.nan).astype(np.float32)
        reason = Reason(found, sentence(found, attribution.redshift), made, known, why_not)
        with self._lock:
            self._found[target_id] = reason, attribution.exact
        listed, instrument = found.features or found.likely, str(target.instrument[0])
        self.findings.learn({target_id: Finding.of(attribution, listed, in_brief(found), instrument)})
        return reason


def marks(features: Sequence[Feature]) -> list[tuple[float, float, str, str]]:
    """Return what to mark on the panels: first and last observed wavelength (Angstrom), words, and the verdict."""
    return [(*one.observed, title(one), one.verdict) for one in features]
