"""The targets on the page: their spectra, scores and ranks, and the model that scored them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column
from numpy.typing import NDArray

from app.survey.row_stack import RowStack
from imo_engine.bundle.engine import Engine
from imo_engine.errors import ImoError
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.ranking.reference import share_as_low
from imo_engine.readers import read_spectra, read_survey
from imo_engine.spectra.spectra import Spectra, concatenate
from imo_engine.system.embedded import DEMO_SPECTRA, embedded_file

__all__ = ["RankRange", "Survey", "demo_survey", "survey_of_files"]

if TYPE_CHECKING:
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.ranking.score_catalogue import Scores
    from imo_engine.reasons.null_distribution import NullDistribution

DEMO_CATALOGUE = "demo-catalogue.ecsv"
_EVERY = 8  # pixels, of which one counts for the S/N


@dataclass(frozen=True)
class RankRange:
    """The ranks that one more spectrum could have among those of a survey; one if ``low`` is ``high``.

    Attributes:
        low: The lowest, from 1.
        high: The highest.
        size: How many spectra there would be with it.
    """

    low: int
    high: int
    size: int

    def __str__(self) -> str:
        ranks = f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"
        return f"rank {ranks} of {self.size:,}"


@dataclass(frozen=True, eq=False)
class Survey:
    """Ranked targets.

    Attributes:
        title: What the page calls them.
        spectra: n spectra.
        log_prob: (n,) nats; NaN without a score.
        rank: (n,) 1 for the lowest log p of the survey; 0 without a score, or if it is not ranked.
        size: How many spectra the ranks refer to; more than n if only some are shown.
        simulated: Whether these are simulated spectra, which the page must say.
        engine: Model and baselines.
        candidates: Identifiers of spectra that were added and are no part of the survey. Their ``rank`` is the lowest
            that they could have in it; :meth:`rank_range` says how well that is known.
        ordinary: (k,) log p of the model's validation spectra, nats, ascending: what to compare a survey of a few
            spectra with; None where they are not known, or the survey is large enough to compare with itself.
        not_ranked: (n,) why a spectrum has no rank although it has a score; empty where it has one; None: all have.
        rank_all: Whether candidates are ranked whatever they are.
        files: Which files were passed over and which could not be read, in words; empty where there is none.
    """

    title: str
    spectra: Spectra
    log_prob: NDArray[np.float64]
    rank: NDArray[np.int64]
    size: int
    simulated: bool
    engine: Engine = field(repr=False)
    candidates: frozenset[str] = frozenset()
    ordinary: NDArray[np.floating] | None = field(default=None, repr=False)
    not_ranked: NDArray[np.str_] | None = field(default=None, repr=False)
    rank_all: bool = False
    files: str = ""

    @cached_property
    def signal_to_noise(self) -> NDArray[np.float64]:
        """(n,) median over the pixels, each eighth of them, of flux over its noise; NaN where that is not known."""
        spectra, every = self.spectra, slice(None, None, _EVERY)
        found = np.full(len(spectra), np.nan)
        for row in range(len(spectra)):
            ivar = spectra.ivar[row][every]
            known = spectra.measured[row][every] & (ivar > 0)
            if known.any():
                found[row] = np.median(spectra.flux[row][every][known] * np.sqrt(ivar[known]))
        return found

    def order(self) -> NDArray[np.int64]:
        """Return positions by rank, at the same rank by log p, those without a score last."""
        rank = np.where(self.rank > 0, self.rank, np.iinfo(np.int64).max)
        return np.lexsort((np.arange(len(rank)), self.log_prob, rank))

    def why_not_ranked(self, row: int) -> str:
        """Return why the spectrum in a row has no rank although it has a score; empty if it has one."""
        return "" if self.not_ranked is None else str(self.not_ranked[row])

    def own_rank(self, target_id: str) -> RankRange | None:
        """Return the rank of a target, for a candidate the ranks that it could have; None if it has none."""
        row = self.spectra.row(target_id)
        rank = int(self.rank[row])
        if not rank:
            return None
        return (
            self.rank_range(float(self.log_prob[row]))
            if target_id in self.candidates
            else RankRange(rank, rank, self.size)
        )

    def rank_range(self, log_prob: float, *, instead_of: str = "") -> RankRange | None:
        """Return the rank that a spectrum with this log p would have in the survey, None without a log p.

        Where only some of the survey's spectra are there, it lies between the ranks of those next to it.

        Args:
            log_prob: Nats.
            instead_of: Identifier of the target whose place it takes; by default it is one more spectrum.
        """
        if not np.isfinite(log_prob):
            return None
        known = (self.rank > 0) & ~np.isin(self.spectra.target_id, sorted(self.candidates))
        ranks, size = self.rank, self.size + 1
        replaced = known & (self.spectra.target_id == instead_of)
        if replaced.any():
            known, size = known & ~replaced, self.size
            ranks = ranks - (ranks > ranks[replaced].min())  # those behind it move up
        rank, values = ranks[known], self.log_prob[known]
        if (values == log_prob).any():
            same = int(rank[values == log_prob].min())
            return RankRange(same, same, size)
        lower = values < log_prob
        low = max(int(rank[lower].max(initial=0)), int(lower.sum())) + 1  # equal ones may share a rank
        high = int(rank[values > log_prob].min(initial=size))
        return RankRange(low, max(low, high), size)

    def ordinary_share(self, log_prob: float) -> float | None:
        """Return the share of the model's validation spectra with a log p as low as this; None where not known."""
        return share_as_low(self.ordinary, log_prob)

    def with_candidates(
        self, spectra: Spectra, log_prob: NDArray[np.float64], not_ranked: NDArray[np.str_]
    ) -> "Survey":
        """Return the survey with spectra that are no part of it after its own; those it has already are left out.

        Args:
            spectra: m spectra with identifiers that are nowhere else in use.
            log_prob: (m,) nats, NaN without a score, of the survey's model.
            not_ranked: (m,) why they have no rank although they have a score.

        Raises:
            InputError: spectra on another wavelength grid.
        """
        new = np.flatnonzero(~np.isin(spectra.target_id, self.spectra.target_id))
        ranges = [self.rank_range(log_prob[row]) if not not_ranked[row] else None for row in new]
        known = np.full(len(self.spectra), "") if self.not_ranked is None else self.not_ranked
        return replace(
            self,
            spectra=_below(self.spectra, spectra[new]),
            log_prob=np.concatenate([self.log_prob, log_prob[new]]),
            rank=np.concatenate([self.rank, np.array([r.low if r else 0 for r in ranges], np.int64)]),
            candidates=self.candidates | set(spectra.target_id[new].tolist()),
            not_ranked=np.concatenate([known, not_ranked[new]]),
        )


def demo_survey(*, device: str = "auto", devices: Sequence[str | None] = (None,)) -> Survey:
    """Return the embedded, simulated survey; scores come from its catalogue, the model is loaded when needed.

    ``devices`` are those of the engine.

    Raises:
        ImoError: the installation lacks it.
    """
    spectra = read_spectra(embedded_file(DEMO_SPECTRA))
    catalogue = read_catalogue(embedded_file(DEMO_CATALOGUE))
    position = {target: row for row, target in enumerate(catalogue["target_id"])}
    missing = [target for target in spectra.target_id if target not in position]
    if missing:
        raise ImoError(f"{DEMO_CATALOGUE}: lacks target {missing[0]} of {DEMO_SPECTRA}")
    rows = [position[target] for target in spectra.target_id]

    def load() -> "tuple[OutlierModel, BaselinePool]":
        from imo_engine.bundle.loading import load_baselines, load_model

        model = load_model(None, None, None, device)
        return model, load_baselines(model, None, None, False, spectra)

    def load_null(model: "OutlierModel") -> "NullDistribution | None":
        from imo_engine.bundle.loading import load_null

        return load_null(model, None, published=False, own_baselines=False)

    return Survey(
        title="Simulated demo survey",
        spectra=spectra,
        log_prob=_filled(catalogue["log_prob"], np.nan, float)[rows],
        rank=_filled(catalogue["rank"], 0, np.int64)[rows],
        size=int(catalogue.meta.get("survey_size", len(catalogue))),
        simulated=True,
        engine=Engine(load, devices, load_null),
    )


def survey_of_files(
    paths: Sequence[Path],
    model: "OutlierModel",
    baselines: "Callable[[Spectra], BaselinePool]",
    *,
    redshift: float | None = None,
    redshifts: Path | None = None,
    devices: Sequence[str | None] = (None,),
    null: "Callable[[OutlierModel], NullDistribution | None]" = lambda model: None,
    ordinary: NDArray[np.floating] | None = None,
    scores: "Scores | None" = None,
    rank_all: bool = False,
) -> Survey:
    """Read, score and rank the user's own files.

    Args:
        paths: Files or folders that :func:`~imo_engine.readers.any_survey.read_spectra` reads.
        model: Scores them.
        baselines: Makes the pool, from the spectra if need be; called when first needed.
        redshift: In place of the files' own.
        redshifts: A catalogue of redshifts in place of the files' own.
        devices: Those of the engine.
        null: Finds what ordinary spectra show with the model; called when first needed.
        ordinary: Log p of the model's validation spectra, nats, ascending.
        scores: Log p and ranks of a catalogue, which are then not computed.
        rank_all: Rank also what the model was not made for.

    Raises:
        ImoError: none of the files can be used.
    """
    from imo_engine.ranking.ranking import rank_spectra

    found = read_survey(paths, wavelength=model.wavelength, redshift=redshift, redshifts=redshifts)
    spectra = found.spectra
    if scores is None:
        ranking = rank_spectra(model, spectra, rank_all=rank_all)
        spectra, log_prob, rank, not_ranked = ranking.spectra, ranking.log_prob, ranking.rank, ranking.not_ranked
        size = int((rank > 0).sum())
    else:
        log_prob, rank, not_ranked = scores.of(spectra)
        size = scores.size
    names = [path.name for path in paths]
    return Survey(
        title=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
        spectra=spectra,
        log_prob=log_prob,
        rank=rank,
        size=size,
        simulated=False,
        engine=Engine(lambda: (model, baselines(spectra)), devices, null),
        ordinary=ordinary,
        not_ranked=not_ranked,
        rank_all=rank_all,
        files=found.words(),
    )


def _below(spectra: Spectra, more: Spectra) -> Spectra:
    """Return ``more`` below ``spectra``, whose pixels are not copied.

    Raises:
        InputError: another wavelength grid.
    """
    pixels = ("flux", "ivar", "measured")
    grid = concatenate([spectra[:0], more[:1]]).wavelength  # refuses another one

    def without(part: Spectra) -> Spectra:
        none: Any = {"wavelength": np.empty(0), **dict.fromkeys(pixels, np.empty((len(part), 0)))}
        return replace(part, **none)

    stacked: Any = {name: RowStack(getattr(spectra, name), getattr(more, name)) for name in pixels}
    return replace(concatenate([without(spectra), without(more)]), wavelength=grid, **stacked)


def _filled(column: Column, value: float, kind: type) -> NDArray[Any]:
    """Return a catalogue's column as an array, ``value`` where it is empty."""
    return np.array(np.ma.filled(np.ma.asarray(column).astype(kind), value))  # a plain array, and no column
