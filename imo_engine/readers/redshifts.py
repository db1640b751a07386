"""Redshifts that the caller gives, and where those of a DESI file are looked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.readers.plain_files import printable, shortened
from imo_engine.readers.redshift_tables import RedshiftTable

__all__ = ["CATALOGUES", "GivenRedshifts", "catalogue_beside", "redshifts_beside"]

_SPECTRA = ("coadd", "spectra")
_FITTED = ("redrock", "zbest")
CATALOGUES = ("zpix", "ztile", "zall", "zcat")
"""How the names of DESI's catalogues of redshifts begin."""
_SAME_REDSHIFT = 1e-4
_NAMED = 3  # targets in a message


@dataclass(frozen=True)
class GivenRedshifts:
    """What the caller said: one redshift for every target, or redshifts by target id, or nothing.

    Attributes:
        for_all: One redshift for every target.
        by_target: Redshifts by target id.
        catalogue: A catalogue that comes before what the files say.
        others: Redshifts from other files of the same list, for files that have none of their own.
        path: The catalogue as the caller named it.
    """

    for_all: float | None = None
    by_target: Mapping[str, float] | None = None
    catalogue: RedshiftTable | None = None
    others: RedshiftTable | None = None
    path: str = ""

    @classmethod
    def parse(cls, redshift: float | Mapping[str, float] | None, catalogue: Path | None = None) -> "GivenRedshifts":
        """Check the arguments ``redshift`` and ``redshifts`` of :func:`~imo_engine.readers.any_survey.read_spectra`.

        Raises:
            InputError: not a finite number, a mapping with a value that is not, or one number and a catalogue.
            SpectrumFileError: not a catalogue.
        """
        by_target = for_all = None
        if isinstance(redshift, Mapping):
            by_target = {str(target): _number(z, f"redshift[{shortened(target)}]") for target, z in redshift.items()}
        elif redshift is not None:
            for_all = _number(redshift, "redshift")
            if catalogue is not None:
                raise InputError("'redshift' is one for all and 'redshifts' a catalogue; give one of them")
        if catalogue is None:
            return cls(for_all, by_target)
        try:
            return cls(for_all, by_target, RedshiftTable.read(catalogue), path=printable(str(catalogue)))
        except SpectrumFileError as error:
            words = str(error).removeprefix(f"{printable(catalogue.name)}: ")
            raise SpectrumFileError(f"{printable(str(catalogue))}: {words}") from error

    def of(self, target_id: str) -> float | None:
        """Return the redshift that was given by hand for a target, None if there is none."""
        return self.for_all if self.by_target is None else self.by_target.get(target_id)

    def catalogue_words(self, target_id: Sequence[str], redshift: NDArray[np.float64]) -> str:
        """Say in a line what is odd about the catalogue beside the targets that were read; empty if nothing is.

        Args:
            target_id: of n targets.
            redshift: (n,) NaN where there is none.

        Raises:
            SpectrumFileError: no row is of these targets and none has another redshift, or some have redshifts that
                differ and of which none is the better.
        """
        wanted = [target for target in target_id if self.of(target) is None]
        if self.catalogue is None or not wanted:
            return ""
        best, count = self.catalogue.rows(wanted)
        if not count.any():
            return self._without_match(wanted, bool(np.isfinite(redshift).any()))
        return self._several(np.unique(best[count > 1]))

    def _without_match(self, wanted: Sequence[str], known: bool) -> str:
        table = self.catalogue
        assert table is not None
        rows = f"{len(table.z)} row{'s' * (len(table.z) != 1)}"
        words = (
            f"{self.path}: none of its {rows} is of a target of the files, which have {len(wanted)}; "
            f"{table.id_column} is {_some(table.target_id)} there, and {_some(wanted)} in the files"
        )
        if not known:
            raise SpectrumFileError(f"{words}; without it no target has a redshift")
        return f"{words}; the redshifts are those of the files"

    def _several(self, rows: NDArray[np.intp]) -> str:
        """Say which redshift is taken of targets that have several, each with its best row."""
        table = self.catalogue
        assert table is not None
        differing, doubtful = [], []
        for row in rows.tolist():
            if len(np.unique(table.z[table.same_target(row)])) > 1:
                differing.append(row)
            if np.ptp(table.z[table.equals(row)]) > _SAME_REDSHIFT:  # false for NaN
                doubtful.append(row)
        if doubtful:
            more = f" and {len(doubtful) - _NAMED} more" if len(doubtful) > _NAMED else ""
            raise SpectrumFileError(
                f"{self.path}: {_targets(len(doubtful))} more than one redshift and nothing says which is right: "
                f"{', '.join(map(self._redshifts_of, doubtful[:_NAMED]))}{more}; keep one row of each, or add ZWARN or "
                "CHI2"
            )
        if not differing:
            return ""
        example, which = self._redshifts_of(differing[0]), table.which(differing[0])
        return f"{self.path}: {_targets(len(differing))} more than one redshift, such as {example}; {which} is used"

    def _redshifts_of(self, row: int) -> str:
        table = self.catalogue
        assert table is not None
        redshifts = [f"{z:.6g}" for z in table.z[np.sort(table.same_target(row))]]
        more = ", ..." if len(redshifts) > _NAMED else ""
        return f"{printable(str(table.target_id[row]))[:40]} ({', '.join(redshifts[:_NAMED])}{more})"


def _targets(count: int) -> str:
    return "1 target has" if count == 1 else f"{count} targets have"


def _some(identifiers: Sequence[object] | NDArray[np.generic]) -> str:
    """Return the first two identifiers, for comparison by eye."""
    some = ", ".join(printable(str(one))[:40] for one in identifiers[:2])
    return f"{some}, ..." if len(identifiers) > 2 else some or "nowhere"


def _number(value: object, name: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise InputError(f"'{name}' is {shortened(value)}, not a finite number")
    return float(value)


def redshifts_beside(path: Path) -> tuple[Path | None, str]:
    """Return redrock's file that belongs to a DESI file (``zbest-*`` in early data), and its expected name.

    None if it is not there.
    """
    stem = next((stem for stem in _SPECTRA if stem in path.name), None)
    if stem is None:
        return None, "its redrock file"
    names = [path.name.replace(stem, fitted, 1) for fitted in _FITTED]
    for name in names:
        other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
        for candidate in (path.with_name(name), path.with_name(other)):
            if candidate.exists():
                return candidate, candidate.name
    return None, names[0]


def catalogue_beside(path: Path) -> Path | None:
    """Return the first catalogue of DESI's redshifts in the folder of a file, None if there is none."""
    found = (file for start in CATALOGUES for file in path.parent.glob(f"{start}*.fits*"))
    return min(found, default=None)
