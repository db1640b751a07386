"""Redshifts that the caller gives, and where those of a DESI file are looked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from imo_engine.errors import InputError
from imo_engine.readers.redshift_tables import RedshiftTable

__all__ = ["CATALOGUES", "GivenRedshifts", "catalogue_beside", "redshifts_beside"]

_SPECTRA = ("coadd", "spectra")
_FITTED = ("redrock", "zbest")
CATALOGUES = ("zpix", "ztile", "zall", "zcat")
"""How the names of DESI's catalogues of redshifts begin."""


@dataclass(frozen=True)
class GivenRedshifts:
    """What the caller said: one redshift for every target, or redshifts by target id, or nothing.

    Attributes:
        for_all: One redshift for every target.
        by_target: Redshifts by target id.
        catalogue: A catalogue that comes before what the files say.
        others: Redshifts from other files of the same list, for files that have none of their own.
    """

    for_all: float | None = None
    by_target: Mapping[str, float] | None = None
    catalogue: RedshiftTable | None = None
    others: RedshiftTable | None = None

    @classmethod
    def parse(cls, redshift: float | Mapping[str, float] | None, catalogue: Path | None = None) -> "GivenRedshifts":
        """Check the arguments ``redshift`` and ``redshifts`` of :func:`~imo_engine.readers.any_survey.read_spectra`.

        Raises:
            InputError: not a finite number, a mapping with a value that is not, or one number and a catalogue.
            SpectrumFileError: not a catalogue.
        """
        by_target = for_all = None
        if isinstance(redshift, Mapping):
            by_target = {str(target): _number(z, f"redshift[{target!r}]") for target, z in redshift.items()}
        elif redshift is not None:
            for_all = _number(redshift, "redshift")
            if catalogue is not None:
                raise InputError("'redshift' is one for all and 'redshifts' a catalogue; give one of them")
        return cls(for_all, by_target, None if catalogue is None else RedshiftTable.read(catalogue))

    def of(self, target_id: str) -> float | None:
        """Return the redshift that was given by hand for a target, None if there is none."""
        return self.for_all if self.by_target is None else self.by_target.get(target_id)


def _number(value: object, name: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise InputError(f"'{name}' is {value!r}, not a finite number")
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
