"""Spectra from files of any kind that is known, recognised by what is in them, wherever they lie in a folder."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.errors import InputError, OtherKindError, SpectrumFileError
from imo_engine.readers.folders import named_files
from imo_engine.readers.kinds import LAST_READERS, READERS, Reader, reader_of, refusal
from imo_engine.readers.opened_file import open_file
from imo_engine.readers.plain_files import printable
from imo_engine.readers.redshift_tables import RedshiftTable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.target_columns import catalogue_words, holds_catalogue
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, concatenate, normalise

__all__ = ["UNREAD", "SurveyFiles", "read_spectra", "read_survey"]

UNREAD = "not read: "
"""How the problem of a row begins that stands for a file which could not be read."""

_MOST_REASONS, _MOST_NAMES = 3, 3

log = logging.getLogger(__name__)

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class SurveyFiles:
    """What was read of a list of files and folders.

    Attributes:
        spectra: Every target of every file; a file that could not be read is a row of its own, whose ``problem`` is
            the reason.
        unreadable: Why, by name of file, some could not be read.
        passed_over: How many files in folders hold no spectra, by what they are.
        alike: Which of these look like spectra all the same, and why they are not read, by name of file.
        remark: What is odd about the catalogue of redshifts, in one line; empty if nothing is.
    """

    spectra: Spectra
    unreadable: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, int] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""

    def passed_over_words(self) -> str:
        """Say in one line what was passed over; empty if nothing was."""
        total = sum(self.passed_over.values())
        if not total:
            return ""
        counted = f"{total} {'file' if total == 1 else 'files'} passed over: {_counted(self.passed_over)}"
        return "; ".join([counted, *_named(self.alike)])

    def words(self) -> str:
        """Say in one line what is odd, was passed over and could not be read; empty if there is nothing."""
        lost = [f"{name} cannot be read" for name in self.unreadable]
        if len(lost) > 3:
            lost = [*lost[:3], f"and {len(lost) - 3} more"]
        return "; ".join(filter(None, [self.remark, self.passed_over_words(), *lost]))


def read_spectra(
    paths: Paths,
    *,
    wavelength: ArrayLike | None = None,
    redshift: float | Mapping[str, float] | None = None,
    redshifts: str | os.PathLike[str] | None = None,
) -> Spectra:
    """Read and normalise spectra: files of DESI, SDSS and BOSS, FITS tables, Parquet, HDF5, text, and more.

    The kinds are those of :data:`imo_engine.readers.kinds.READERS`. Every target of every file is returned, in order,
    also those that cannot be scored: their ``problem`` says why. A file among several that cannot be read is such a
    row too. A target that occurs more than once keeps its identifier the first time and gets "-2", "-3", ... after it
    from then on, with a note.

    Args:
        paths: files, recognised by their content, or folders, which are searched to any depth for whatever can be
            read, in the order of names. A file named twice is read once. The redshifts of ``coadd-*`` are in the
            file, or in ``redrock-*`` or a catalogue of the survey's beside it; a file of redshifts among the paths
            serves those that have none.
        wavelength: (N,) grid of the result, vacuum Angstrom, observed frame; DESI's by default. Spectra on
            other pixels are interpolated (:func:`imo_engine.readers.pixels.resample`).
        redshift: one number for every target, whatever the files say (redrock files are then not opened),
            or a mapping from target id to redshift, for the targets it names; other names in it are ignored.
        redshifts: a catalogue (FITS, ECSV or CSV) whose redshifts come before those of the files, joined by target.

    Returns:
        Flux over its median at rest 5300-5850 Angstrom, on ``wavelength``.

    Raises:
        SpectrumFileError: none of the files can be read; one line, beginning with the name of the first. Or the
            catalogue cannot be used: it begins with its path.
        InputError: ``wavelength`` does not increase, ``redshift`` is not a number, or no path was given.
    """
    found = read_survey(paths, wavelength=wavelength, redshift=redshift, redshifts=redshifts)
    if found.remark:
        log.warning(found.remark)
    return found.spectra


def read_survey(
    paths: Paths,
    *,
    wavelength: ArrayLike | None = None,
    redshift: float | Mapping[str, float] | None = None,
    redshifts: str | os.PathLike[str] | None = None,
    uploaded: bool = False,
) -> SurveyFiles:
    """Read spectra as :func:`read_spectra` does, and return also what could not be read and what was passed over.

    Files that were ``uploaded``, from whoever has the page, are not of all kinds.
    """
    grid = _grid(wavelength)
    given = GivenRedshifts.parse(redshift, None if redshifts is None else Path(redshifts))
    files, folder_of = named_files(paths)
    reading = _Reading(grid, given, wait=len(files) > 1, uploaded=uploaded)
    passed_over: Counter[str] = Counter()
    alike: dict[str, str] = {}
    for path in files:
        try:
            reading.take(path)
        except OtherKindError as error:
            if path in folder_of:
                passed_over[error.reason] += 1
                if error.may_be_spectrum:
                    alike[printable(path.name)] = _reason(path, error)
            else:
                reading.errors[path] = error
        except SpectrumFileError as error:
            reading.errors[path] = error
    reading.take_waiting()

    if not reading.parts:
        raise _nothing(reading, passed_over, alike, [printable(folder.name) for folder in folder_of.values()])
    found = SurveyFiles(reading.spectra(files), reading.unreadable(), passed_over, alike, reading.remark())
    if found.passed_over:
        log.info(found.passed_over_words())
    return found


class _Reading:
    """Spectra, redshifts and errors of the files that were taken so far, by path."""

    def __init__(self, grid: NDArray[np.float64], given: GivenRedshifts, *, wait: bool, uploaded: bool) -> None:
        self.parts: dict[Path, Spectra] = {}
        self.errors: dict[Path, SpectrumFileError] = {}
        self.tables: list[RedshiftTable] = []
        self._grid, self._given, self._wait, self._uploaded = grid, given, wait, uploaded
        self._waiting: dict[Path, Reader] = {}

    def take(self, path: Path) -> None:
        """Read one file.

        Raises:
            SpectrumFileError: it cannot be read.
        """
        with open_file(path) as file:
            reader = reader_of(file, READERS)
            if reader is None and file.fits is not None:
                table = RedshiftTable.hdu_of(file.fits, any_name=True)
                if table is not None:
                    self.tables.append(RedshiftTable.from_fits(file.fits, table))
                    return
            if reader is None and holds_catalogue(file):
                raise OtherKindError(catalogue_words(file.name), "a catalogue of log p")
            reader = reader or reader_of(file, LAST_READERS)
            if reader is None:
                raise refusal(file)
            if self._uploaded and reader.not_uploaded:
                raise OtherKindError(f"{file.name}: {reader.not_uploaded}", reader.name)
            if self._wait and reader.waits(file):
                self._waiting[path] = reader  # its redshifts may be in a file that comes later in the list
            else:
                self.parts[path] = reader.read(file, self._grid, self._given)

    def take_waiting(self) -> None:
        """Read the files that waited for redshifts from others."""
        given = replace(self._given, others=RedshiftTable.joined(self.tables))
        for path, reader in self._waiting.items():
            try:
                with open_file(path) as file:
                    self.parts[path] = reader.read(file, self._grid, given)
            except SpectrumFileError as error:
                self.errors[path] = error

    def remark(self) -> str:
        """Say what is odd about the catalogue of redshifts beside the targets that were read."""
        targets = [str(target) for part in self.parts.values() for target in part.target_id]
        return self._given.catalogue_words(targets, np.concatenate([part.redshift for part in self.parts.values()]))

    def unreadable(self) -> dict[str, str]:
        """Return why files could not be read, by their names."""
        return {printable(path.name): _reason(path, error) for path, error in self.errors.items()}

    def spectra(self, files: Sequence[Path]) -> Spectra:
        """Return all spectra in the order of the files, a row for each file that could not be read."""
        parts = {path: _unread(path, _reason(path, error), self._grid) for path, error in self.errors.items()}
        parts |= self.parts
        return _with_unique_ids(concatenate([parts[path] for path in files if path in parts]))


def _reason(path: Path, error: SpectrumFileError) -> str:
    return str(error).removeprefix(f"{printable(path.name)}: ")


def _unread(path: Path, reason: str, grid: NDArray[np.float64]) -> Spectra:
    """Return the row of a file that could not be read."""
    name = printable(path.name)
    nothing = np.zeros((1, len(grid)))
    target = name.removesuffix(".gz").rpartition(".")[0] or name
    return normalise(grid, nothing, nothing, [np.nan], target_id=[target], problem=[f"{UNREAD}{reason}"], source=name)


def _nothing(
    reading: _Reading, passed_over: Mapping[str, int], alike: Mapping[str, str], folders: Sequence[str]
) -> SpectrumFileError:
    """Return the error for paths without any spectrum: the first file's, or what the folders have instead."""
    first = next(iter(reading.errors.values()), None)
    if not folders:
        if first is not None:
            more = len(reading.errors) - 1
            return SpectrumFileError(f"{first}{f'; {more} more cannot be read either' if more else ''}")
        return SpectrumFileError(
            f"{reading.tables[0].name}: holds redshifts but no spectra; give the coadd file as well"
        )
    found = dict(passed_over)
    if reading.tables:
        found["redshifts without spectra"] = len(reading.tables)
    if first is not None:
        found[f"cannot be read (first {first})"] = len(reading.errors)
    words = "; ".join([f"found {_counted(found)}", *_named(alike)])
    return SpectrumFileError(f"{folders[0]}: a folder without spectra; {words}")


def _named(alike: Mapping[str, str]) -> list[str]:
    """Name some of the files that look like spectra, those with the same reason together."""
    groups: dict[str, list[str]] = {}
    for name, reason in alike.items():
        groups.setdefault(reason, []).append(name)
    words = []
    for reason, names in list(groups.items())[:_MOST_REASONS]:
        more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
        words.append(f"{', '.join([*names[:_MOST_NAMES], *more])}: {reason}")
    left = sum(len(names) for names in list(groups.values())[_MOST_REASONS:])
    return [*words, f"{left} more look like spectra"] if left else words


def _counted(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(found.items(), key=lambda item: -item[1]))


def _grid(wavelength: ArrayLike | None) -> NDArray[np.float64]:
    if wavelength is None:
        return desi_wavelength()
    grid = np.asarray(wavelength, np.float64)
    if grid.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all() or not (np.diff(grid) > 0).all():
        raise InputError(f"'wavelength' {grid.shape} should be at least two increasing wavelengths in Angstrom")
    return grid


def _with_unique_ids(spectra: Spectra) -> Spectra:
    """Number the second and later occurrences of a target, so that a name stands for one row."""
    ids, notes = spectra.target_id.tolist(), spectra.note.tolist()
    repeated = {target for target, count in Counter(ids).items() if count > 1}
    if not repeated:
        return spectra
    taken = set(ids)
    seen: Counter[str] = Counter()
    for row, target in enumerate(ids):
        if target not in repeated:
            continue
        seen[target] += 1
        if seen[target] == 1:
            continue
        number = seen[target]
        while f"{target}-{number}" in taken:
            number += 1
        ids[row] = f"{target}-{number}"
        taken.add(ids[row])
        text = f"target {target} for the {seen[target]}. time"
        notes[row] = f"{notes[row]}; {text}" if notes[row] else text
    return replace(spectra, target_id=np.array(ids, np.str_), note=np.array(notes, np.str_))
