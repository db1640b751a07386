"""New candidates: spectra that somebody brings to a survey, read safely, scored, and given the rank they would have."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.survey.survey import RankRange, Survey
from imo_engine.errors import ImoError, InputError
from imo_engine.ranking.reference import REFERENCE_FILE, read_reference, share_as_low
from imo_engine.readers.any_survey import UNREAD
from imo_engine.spectra.spectra import Spectra, concatenate, normalise
from imo_engine.system.embedded import embedded_file

if TYPE_CHECKING:
    from imo_engine.model.outlier_model import OutlierModel

__all__ = [
    "REDSHIFTS",
    "Candidate",
    "add_candidates",
    "check_redshift",
    "is_unread",
    "needs_redshift",
    "score_candidates",
    "with_redshift",
]

REDSHIFTS = (-0.1, 20.0)
"""Redshifts of galaxies lie between these."""

_CURABLE = ("no redshift", "redshift ", "cannot be normalised")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A spectrum beside a survey.

    Attributes:
        target_id: ``name``, "~" and eight digits of a checksum of spectrum, redshift and ``not_ranked``: the same only
            for the same, whoever brings it, so that nothing that is kept under it is shown for another one.
        name: Identifier in its file, or the file's name.
        spectra: The one spectrum, with ``target_id``, on the model's wavelengths; it may have a problem.
        log_prob: Nats; NaN without a score.
        rank: Its rank if it were one of the survey; None without a score, or if the survey does not rank such spectra.
        not_ranked: Why it has no rank although it has a score.
        quantile: Share of the model's validation spectra whose log p is not higher; None without a score, or if the
            model comes without them.
        n_reference: Number of these spectra.
        model: Name and fingerprint.
    """

    target_id: str
    name: str
    spectra: Spectra
    log_prob: float
    rank: RankRange | None
    not_ranked: str
    quantile: float | None
    n_reference: int
    model: str


def check_redshift(redshift: float, name: str = "redshift") -> float:
    """Return a redshift that somebody typed.

    Raises:
        InputError: not a galaxy's.
    """
    low, high = REDSHIFTS
    if isinstance(redshift, bool) or not isinstance(redshift, (int, float)) or not low < redshift <= high:
        shown = f"{redshift:g}" if isinstance(redshift, float) else repr(redshift)[:40]
        raise InputError(f"'{name}' is {shown}; expected a number above {low:g} and up to {high:g}")
    return float(redshift)


def needs_redshift(spectra: Spectra) -> NDArray[np.bool_]:
    """Return which of n spectra, (n,), have no score for want of a redshift; see :func:`with_redshift`."""
    return np.array([str(problem).startswith(_CURABLE[:2]) for problem in spectra.problem], bool)


def is_unread(spectra: Spectra) -> bool:
    """Tell whether the first of some spectra stands for a file that could not be read."""
    return str(spectra.problem[0]).startswith(UNREAD)


def with_redshift(spectra: Spectra, redshift: float) -> Spectra:
    """Normalise spectra again, all at this redshift; what else is wrong with them remains.

    Raises:
        InputError: not a galaxy's redshift.
    """
    redshift = check_redshift(redshift)
    scale = np.where(np.isfinite(spectra.norm), spectra.norm, 1.0)[:, None]
    return normalise(
        spectra.wavelength,
        spectra.flux * scale,
        spectra.ivar / scale**2,
        np.full(len(spectra), redshift),
        target_id=spectra.target_id.tolist(),
        measured=spectra.measured,
        ra=spectra.ra,
        dec=spectra.dec,
        problem=["" if text.startswith(_CURABLE) else text for text in spectra.problem.tolist()],
        note=["; ".join(filter(None, (text, "redshift given by hand"))) for text in spectra.note.tolist()],
        source=spectra.source.tolist(),
        instrument=spectra.instrument.tolist(),
        spectype=spectra.spectype.tolist(),
        zwarn=spectra.zwarn,
        objtype=spectra.objtype.tolist(),
    )


def score_candidates(
    spectra: Spectra, survey: Survey, *, reference: NDArray[np.float32] | None = None
) -> tuple[Candidate, ...]:
    """Score spectra with a survey's model; takes as long as the model does, so not where a page waits for it.

    Args:
        spectra: n spectra on the model's wavelengths.
        survey: Gives the model, and the log p to compare with.
        reference: Log p of validation spectra, ascending; by default those that come with the embedded model.

    Raises:
        ImoError: the model cannot be loaded, or the spectra are on other wavelengths.
    """
    from imo_engine.ranking.ranking import rank_spectra

    model, _ = survey.engine.get()
    ranking = rank_spectra(model, spectra, rank_all=survey.rank_all)
    known = _reference(model) if reference is None else reference
    found = []
    for row, log_prob in enumerate(ranking.log_prob.tolist()):
        one = ranking.spectra[[row]]
        name = str(one.target_id[0])
        reason = str(ranking.not_ranked[row])
        one = replace(one, target_id=np.array([f"{name}~{_checksum(one, reason)}"]))
        found.append(
            Candidate(
                target_id=str(one.target_id[0]),
                name=name,
                spectra=one,
                log_prob=log_prob,
                rank=None if reason else survey.rank_range(log_prob),
                not_ranked=reason,
                quantile=share_as_low(known, log_prob),
                n_reference=0 if known is None else len(known),
                model=ranking.model,
            )
        )
    return tuple(found)


def add_candidates(survey: Survey, candidates: Sequence[Candidate]) -> Survey:
    """Return the survey with candidates after its own spectra; those that it has already are left out.

    The survey's spectra are not copied.
    """
    unique = list({candidate.target_id: candidate for candidate in candidates}.values())
    if not unique:
        return survey
    return survey.with_candidates(
        concatenate([candidate.spectra for candidate in unique]),
        np.array([candidate.log_prob for candidate in unique]),
        np.array([candidate.not_ranked for candidate in unique], np.str_),
    )


def _checksum(one: Spectra, reason: str) -> str:
    """Return the digits of a spectrum that is not ranked for some reason, or of one that is."""
    digest = hashlib.sha256((str(one.target_id[0]) + reason).encode("utf-8", "replace"))
    for values in (one.wavelength, one.flux, one.ivar, one.measured, one.redshift):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:8]


def _reference(model: "OutlierModel") -> NDArray[np.float32] | None:
    """Return log p of the validation spectra of the embedded model if that is the one."""
    try:
        return read_reference(embedded_file(REFERENCE_FILE), model)
    except ImoError:  # another model: nothing is known of its validation spectra
        return None
