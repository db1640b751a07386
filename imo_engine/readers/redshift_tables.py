"""Tables of redshifts by target: redrock's, the survey's catalogues, and whatever catalogue somebody brings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.opened_file import foreign_kind, open_file
from imo_engine.readers.text_columns import MAX_BYTES, TextColumns

__all__ = ["TABLES", "RedshiftTable"]

TABLES = ("REDSHIFTS", "ZBEST", "ZCATALOG", "EXTRA_CATALOG")
"""Names of the HDUs that hold redshifts in DESI's files, of all years."""

_TARGET, _PLATE = ("targetid", "target_id"), ("plate", "mjd", "fiberid")
_REDSHIFT, _WARNING, _CLASS = ("z", "redshift"), ("zwarn", "zwarning"), ("spectype", "class")
_WORTH = ("zcat_primary", "chi2", "deltachi2")
_EXPECTED = "target_id (or TARGETID, or PLATE, MJD, FIBERID) and z (or redshift)"


@dataclass(frozen=True, eq=False)
class RedshiftTable:
    """Redshifts of n targets, which may occur more than once.

    Attributes:
        name: Name of the file, or of several.
        target_id: (n,) integers, or text.
        z: (n,)
        zwarn: (n,) -1 where unknown.
        spectype: (n,) empty where unknown.
        worth: (n, 4) what makes a row of a target better than another, the first that differs counts and less is
            better: a warning, not the survey's own choice (ZCAT_PRIMARY), CHI2, and DELTACHI2 with its sign changed.
        id_column: What the column of ``target_id`` is called, or the columns that it is made of.
    """

    name: str
    target_id: NDArray[Any]
    z: NDArray[np.float64]
    zwarn: NDArray[np.int64]
    spectype: NDArray[np.str_]
    worth: NDArray[np.float64]
    id_column: str = ""

    @classmethod
    def hdu_of(cls, file: FitsFile, *, any_name: bool = False) -> str | int | None:
        """Return which HDU of a file has redshifts by TARGETID, None if none has; the names of TABLES come first."""
        named: list[str | int] = [name for name in TABLES if name in file]
        found = [*named, *range(len(file))] if any_name else named
        return next((hdu for hdu in found if {"TARGETID", "Z"} <= file.columns(hdu)), None)

    @classmethod
    def from_fits(cls, file: FitsFile, hdu: str | int) -> "RedshiftTable":
        """Read a table of a FITS file.

        Raises:
            SpectrumFileError: columns that are missing or of a wrong type.
        """
        titles = {title.lower(): title for title in file.columns(hdu)}

        def numbers(title: str) -> NDArray[np.float64]:
            return file.floats(hdu, titles[title])

        def words(title: str) -> Any:  # noqa: ANN401 - integers or text
            column = titles[title]
            return file.integers(hdu, column) if file.has_integers(hdu, column) else file.texts(hdu, column)

        return cls._from_columns(file.name, set(titles), numbers, words)

    @classmethod
    def read(cls, path: Path) -> "RedshiftTable":
        """Read a catalogue, FITS, ECSV or CSV: identifiers and redshifts, other columns if they are there.

        Raises:
            SpectrumFileError: the file is no such catalogue; one line that begins with its name.
        """
        with open_file(path) as file:
            if file.fits is not None:
                for hdu in [*filter(file.fits.__contains__, TABLES), *range(len(file.fits))]:
                    titles = {title.lower() for title in file.fits.columns(hdu)}
                    if titles & set(_REDSHIFT) and (titles & set(_TARGET) or titles >= set(_PLATE)):
                        return cls.from_fits(file.fits, hdu)
                raise SpectrumFileError(f"{file.name}: has no table with columns {_EXPECTED}")
            if foreign_kind(file.head, file.name):
                raise file.refusal()
            optional, texts = (*_WARNING, *_WORTH), (*_TARGET, *_PLATE, *_CLASS)
            content = file.content.read(MAX_BYTES + 1)
            table = TextColumns.parse(content, file.name, (_REDSHIFT,), optional, _EXPECTED, texts)
        titles = {*table.columns, *table.texts}
        return cls._from_columns(file.name, titles, table.columns.__getitem__, table.texts.__getitem__)

    @classmethod
    def _from_columns(cls, name: str, titles: set[str], numbers: Any, words: Any) -> "RedshiftTable":  # noqa: ANN401
        """Make a table of columns: ``numbers`` and ``words`` return them by their titles in small letters."""

        def first(*wanted: str) -> str | None:
            return next((title for title in wanted if title in titles), None)

        target, redshift = first(*_TARGET), first(*_REDSHIFT)
        if redshift is None or target is None and not titles >= set(_PLATE):
            raise SpectrumFileError(f"{name}: expected columns {_EXPECTED}; found {', '.join(sorted(titles))[:100]}")
        z = numbers(redshift)
        ids = words(target) if target else ["-".join(map(str, row)) for row in zip(*map(words, _PLATE), strict=True)]
        warning, kind = first(*_WARNING), first(*_CLASS)
        zwarn = np.full(len(z), -1, np.int64)
        if warning:
            stated = numbers(warning)
            zwarn[np.isfinite(stated)] = stated[np.isfinite(stated)].astype(np.int64)
        primary, chi2, better = (numbers(title) if title in titles else np.zeros(len(z)) for title in _WORTH)
        return cls(
            name=name,
            target_id=np.asarray(ids) if len(z) else np.zeros(0, np.int64),
            z=z,
            zwarn=zwarn,
            spectype=np.array([str(word) for word in words(kind)] if kind else [""] * len(z), np.str_),
            worth=np.transpose([~np.isfinite(z) | (zwarn > 0), -primary, chi2, -better]),
            id_column=target or ", ".join(_PLATE),
        )

    @classmethod
    def joined(cls, tables: Sequence["RedshiftTable"]) -> "RedshiftTable | None":
        """Return several tables as one, None if there are none."""
        if len(tables) < 2:
            return tables[0] if tables else None
        name = f"{tables[0].name} and {len(tables) - 1} more"
        columns = ("target_id", "z", "zwarn", "spectype", "worth")
        parts: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in tables]) for name in columns}
        return cls(name=name, **parts)

    @cached_property
    def _by_target(self) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Return the rows in the order of their targets, the best of each first, and the targets in this order."""
        order = np.lexsort((*np.nan_to_num(self.worth, nan=np.inf).T[::-1], self.target_id))
        return order, self.target_id[order]

    def rows(self, target_id: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the best row of each target, -1 where it is missing, and in how many rows it occurs."""
        # rows may be in another order than the spectra: join on the identifier, never on position
        row, count = np.full(len(target_id), -1, np.intp), np.zeros(len(target_id), np.intp)
        wanted: NDArray[Any] = np.asarray(target_id, np.str_)
        asked = np.arange(len(wanted), dtype=np.intp)
        if self.target_id.dtype.kind in "iu":
            # never by way of floating point numbers, which hold fewer digits than a TARGETID has
            numbers = {
                i: int(text) for i, text in enumerate(target_id) if re.fullmatch(r"-?\d{1,18}|-?[1-8]\d{18}", text)
            }
            asked, wanted = np.array(list(numbers), np.intp), np.array(list(numbers.values()), np.int64)
        order, ordered = self._by_target
        first = np.searchsorted(ordered, wanted, side="left")
        count[asked] = np.searchsorted(ordered, wanted, side="right") - first
        found = count[asked] > 0
        row[asked[found]] = order[first[found]]
        return row, count

    def same_target(self, row: int) -> NDArray[np.intp]:
        """Return all rows of the target of a row, the best first."""
        order, ordered = self._by_target
        first, last = (np.searchsorted(ordered, self.target_id[row], side=side) for side in ("left", "right"))
        return order[first:last]

    def equals(self, row: int) -> NDArray[np.intp]:
        """Return those rows of the target of a row that are as good as the best of them."""
        same = self.same_target(row)
        worth = np.nan_to_num(self.worth[same], nan=np.inf)
        equal: NDArray[np.bool_] = (worth == worth[0]).all(axis=1)
        return same[equal]

    def which(self, row: int) -> str:
        """Say which of several rows of a target the best one is: that of its worth, or the first of equals."""
        if len(self.equals(row)) == len(self.same_target(row)):
            return "the first"
        return "the best (ZWARN 0 before others, then the lowest CHI2)"
