"""Redshifts of targets: those in redrock's files, and those that the caller gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError
from imo_engine.readers.fits_file import FitsFile, open_fits

__all__ = ["GivenRedshifts", "RedrockRedshifts", "redrock_beside"]


@dataclass(frozen=True)
class GivenRedshifts:
    """What the caller said: one redshift for every target, or redshifts by target id, or nothing."""

    for_all: float | None = None
    by_target: Mapping[str, float] | None = None

    @classmethod
    def parse(cls, redshift: float | Mapping[str, float] | None) -> "GivenRedshifts":
        """Check the ``redshift`` argument of :func:`~imo_engine.readers.read_spectra`.

        Raises:
            InputError: not a finite number, or a mapping with a value that is not.
        """
        if isinstance(redshift, Mapping):
            return cls(by_target={str(target): _number(z, f"redshift[{target!r}]") for target, z in redshift.items()})
        return cls() if redshift is None else cls(for_all=_number(redshift, "redshift"))

    def of(self, target_id: str) -> float | None:
        """Return the redshift that was given for a target, None if there is none."""
        return self.for_all if self.by_target is None else self.by_target.get(target_id)


def _number(value: object, name: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise InputError(f"'{name}' is {value!r}, not a finite number")
    return float(value)


@dataclass(frozen=True)
class RedrockRedshifts:
    """The REDSHIFTS table of one or several redrock files, (n,) each."""

    name: str
    target_id: NDArray[np.int64]
    z: NDArray[np.float64]
    zwarn: NDArray[np.int64]
    spectype: NDArray[np.str_]

    @classmethod
    def recognises(cls, file: FitsFile) -> bool:
        """Tell whether a file is one of redrock's."""
        return "REDSHIFTS" in file and {"TARGETID", "Z"} <= file.columns("REDSHIFTS")

    @classmethod
    def from_file(cls, file: FitsFile) -> "RedrockRedshifts":
        """Read the table.

        Raises:
            SpectrumFileError: no such table, or columns of a wrong type.
        """
        columns = file.columns("REDSHIFTS") if "REDSHIFTS" in file else set()
        target_id = file.integers("REDSHIFTS", "TARGETID")
        rows = len(target_id)
        return cls(
            name=file.name,
            target_id=target_id,
            z=file.floats("REDSHIFTS", "Z"),
            zwarn=file.integers("REDSHIFTS", "ZWARN") if "ZWARN" in columns else np.zeros(rows, np.int64),
            spectype=np.array(file.texts("REDSHIFTS", "SPECTYPE") if "SPECTYPE" in columns else [""] * rows, np.str_),
        )

    @classmethod
    def read(cls, path: Path) -> "RedrockRedshifts":
        """Open a redrock file and read it."""
        with open_fits(path) as file:
            return cls.from_file(file)

    @classmethod
    def joined(cls, tables: Sequence["RedrockRedshifts"]) -> "RedrockRedshifts | None":
        """Return several tables as one, None if there are none."""
        if len(tables) < 2:
            return tables[0] if tables else None
        name = f"{tables[0].name} and {len(tables) - 1} more"
        columns = ("target_id", "z", "zwarn", "spectype")
        return cls(name, *(np.concatenate([getattr(table, column) for table in tables]) for column in columns))

    def rows(self, target_id: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the row of each target, -1 where it is missing, and in how many rows it occurs."""
        # redrock's rows may be in another order: join on TARGETID, never on position
        order = np.argsort(self.target_id, kind="stable")
        ordered = self.target_id[order]
        first = np.searchsorted(ordered, target_id, side="left")
        count = np.searchsorted(ordered, target_id, side="right") - first
        row = np.full(len(target_id), -1, np.intp)
        row[count > 0] = order[first[count > 0]]
        return row, count


def redrock_beside(path: Path) -> tuple[Path | None, str]:
    """Return the redrock file that belongs to a coadd file, None if it is not there, and its expected name."""
    if "coadd" not in path.name:
        return None, "its redrock file"
    name = path.name.replace("coadd", "redrock", 1)
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    for candidate in (path.with_name(name), path.with_name(other)):
        if candidate.exists():
            return candidate, candidate.name
    return None, name
