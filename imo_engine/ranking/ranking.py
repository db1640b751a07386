"""Rank the spectra of a survey by log p; rank 1 is the least probable.

By default a ranking is of what the model was made for (:func:`imo_engine.spectra.eligibility.why_not_ranked`);
everything else is scored as well and listed after it, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Column, MaskedColumn, Table
from numpy.typing import NDArray

from imo_engine.errors import ImoError, SpectrumFileError
from imo_engine.spectra.eligibility import redshift_range_of, why_not_ranked
from imo_engine.spectra.spectra import Spectra
from imo_engine.system.files import write_atomically

if TYPE_CHECKING:  # a catalogue can be read without importing torch
    from imo_engine.model.outlier_model import OutlierModel

__all__ = ["Ranking", "rank_spectra", "read_catalogue"]

_REQUIRED = ("target_id", "log_prob")


@dataclass(frozen=True, eq=False)
class Ranking:
    """log p and rank of n spectra, in the order of the spectra.

    Attributes:
        spectra: The n spectra; those without a score have a problem.
        log_prob: (n,) nats; NaN where the spectrum could not be scored.
        rank: (n,) 1 for the lowest log p, 0 where the spectrum could not be scored or is not ranked.
        latents: (n, S); NaN where the spectrum could not be scored.
        model: Name and fingerprint of the model.
        not_ranked: (n,) why a spectrum with a score has no rank; empty where it has one, or no score.
    """

    spectra: Spectra
    log_prob: NDArray[np.float64]
    rank: NDArray[np.int64]
    latents: NDArray[np.float32]
    model: str
    not_ranked: NDArray[np.str_]

    def order(self) -> NDArray[np.int64]:
        """Return positions by rank, then what has a score only, by log p, then what has none."""
        rank = np.where(self.rank > 0, self.rank, np.iinfo(np.int64).max)
        tied = np.where(self.rank > 0, 0.0, self.log_prob)  # NaN comes last
        return np.lexsort((np.arange(len(rank)), tied, rank))

    def to_table(self) -> Table:
        """Return the catalogue, lowest log p first; identifiers are strings."""
        order = self.order()
        spectra = self.spectra
        unscored = ~np.isfinite(self.log_prob[order])
        table = Table(
            {
                "rank": MaskedColumn(self.rank[order], mask=self.rank[order] == 0, description="1 = lowest log p"),
                "target_id": spectra.target_id[order],
                "redshift": spectra.redshift[order],
                "log_prob": MaskedColumn(
                    self.log_prob[order], mask=unscored, unit="nat", format=".6g", description="log p of the spectrum"
                ),
                "spectype": MaskedColumn(spectra.spectype[order], description="class that the survey gives it"),
                "zwarn": MaskedColumn(
                    spectra.zwarn[order], mask=spectra.zwarn[order] < 0, description="redshift warning of the survey"
                ),
                "not_ranked": MaskedColumn(self.not_ranked[order], description="why it has a score but no rank"),
                "ra": MaskedColumn(spectra.ra[order], unit="deg", format=".7f"),
                "dec": MaskedColumn(spectra.dec[order], unit="deg", format=".7f"),
                "norm": MaskedColumn(
                    spectra.norm[order], format=".6g", description="median flux at rest 5300-5850 Angstrom, file's unit"
                ),
                "problem": MaskedColumn(spectra.problem[order], description="why there is no score"),
                "note": MaskedColumn(spectra.note[order]),
                "source": spectra.source[order],
            },
            meta={"model": self.model, "scored": int((~unscored).sum())},
        )
        return table

    def write(self, path: str | Path) -> None:
        """Write the catalogue as ECSV.

        Raises:
            ImoError: the disk refuses.
        """
        table = self.to_table()
        try:
            write_atomically(path, lambda name: table.write(name, format="ascii.ecsv", overwrite=True))
        except OSError as error:
            raise ImoError(f"{path}: cannot be written: {error}") from None


def rank_spectra(
    model: "OutlierModel", spectra: Spectra, *, rank_all: bool = False, memory_budget: int | None = None
) -> Ranking:
    """Score spectra with ``model`` and rank them; those with a problem get no score.

    Args:
        model: Scores them.
        spectra: n spectra on its wavelengths.
        rank_all: Rank everything that has a score; why a ranking would leave it out is then a remark.
        memory_budget: Bytes that the model may use at a time.

    Raises:
        InputError: spectra on another wavelength grid.
    """
    n = len(spectra)
    latents = np.full((n, model.n_latent), np.nan, np.float32)
    log_prob = np.full(n, np.nan)
    good = np.flatnonzero(spectra.scorable)
    if len(good):
        latents[good] = model.encode(model.prepare(spectra[good]), memory_budget=memory_budget)
        log_prob[good] = model.latent_log_prob(latents[good])
    rank = np.zeros(n, np.int64)
    scored = good[np.isfinite(log_prob[good])]
    if len(scored) < len(good):  # the networks themselves overflow on wild fluxes
        reason = np.where(spectra.scorable & ~np.isfinite(log_prob), "the model gives no finite log p", spectra.problem)
        spectra = replace(spectra, problem=reason)
        log_prob[spectra.problem != ""] = np.nan
    # what differs by rounding alone, by where in a batch a spectrum was, is equal
    rounded = np.round(log_prob[scored], 4)
    ordered = scored[np.argsort(rounded, kind="stable")]
    reasons = why_not_ranked(spectra, redshift_range_of(model.provenance))
    if rank_all:
        notes = zip(spectra.note.tolist(), reasons.tolist(), strict=True)
        spectra = replace(spectra, note=np.array(["; ".join(filter(None, pair)) for pair in notes], np.str_))
    not_ranked = np.where(np.isfinite(log_prob) & (not rank_all), reasons, "")
    ordered = ordered[not_ranked[ordered] == ""]
    rank[ordered] = np.arange(1, len(ordered) + 1)
    return Ranking(spectra, log_prob, rank, latents, f"{model.name} ({model.fingerprint})", not_ranked)


def read_catalogue(path: str | Path, *, required: Sequence[str] = _REQUIRED) -> Table:
    """Read a catalogue that :meth:`Ranking.write` wrote; ``target_id`` and all words as plain strings.

    Args:
        path: of the catalogue.
        required: Columns that it has to have.

    Raises:
        SpectrumFileError: not such a file.
    """
    try:
        table = Table.read(path, format="ascii.ecsv")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SpectrumFileError(f"{path}: not an ECSV catalogue: {first}") from None
    missing = [name for name in required if name not in table.colnames]
    if missing:
        raise SpectrumFileError(f"{path}: column {', '.join(missing)} is missing")
    if "target_id" in table.colnames:
        table["target_id"] = np.array([str(value) for value in table["target_id"]], dtype=np.str_)
    for name in table.colnames:  # astropy reads an empty string as a masked one
        column = table[name]
        if column.dtype.kind == "U" and isinstance(column, MaskedColumn):
            table[name] = Column(column.filled(""), description=column.description)
    return table
