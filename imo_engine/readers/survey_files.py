"""Spectra from files of any survey that is known, recognised by what is in them."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.instrument import desi_wavelength
from imo_engine.readers.desi import read_desi, recognises_desi
from imo_engine.readers.fits_file import open_fits, printable
from imo_engine.readers.layouts import other_reader
from imo_engine.readers.redshifts import GivenRedshifts, RedrockRedshifts, redrock_beside
from imo_engine.readers.sdss import read_sdss, recognises_sdss
from imo_engine.readers.target_columns import catalogue_words, is_catalogue
from imo_engine.readers.text_table import read_text_table, recognises_text_table
from imo_engine.spectra import Spectra, concatenate

__all__ = ["read_spectra"]

_PATTERNS = ("coadd-", "spec-")
_SUFFIXES = (".fits", ".fits.gz")


def read_spectra(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    wavelength: ArrayLike | None = None,
    redshift: float | Mapping[str, float] | None = None,
) -> Spectra:
    """Read and normalise the spectra of DESI coadd files, SDSS or BOSS spec files, and CSV or ECSV tables.

    Also those of Parquet (spender's shards, SPARCL's records), of HDF5 (Multimodal Universe), and of the authors'
    pickled list of outliers.

    Every target of every file is returned, in order, also those that cannot be scored: their ``problem``
    says why. A target that occurs more than once keeps its identifier the first time and gets "-2", "-3", ...
    after it from then on, with a note.

    Args:
        paths: files, recognised by their content (text tables by .csv and .ecsv, see
            :mod:`imo_engine.readers.text_table`), or folders, of which all ``coadd-*.fits`` and ``spec-*.fits``
            (also ``.fits.gz``) are read in the order of their names. A file named twice is read once. The
            redshifts of ``coadd-*`` are in ``redrock-*`` beside it; a redrock file among the paths serves
            the coadd files that have none beside them.
        wavelength: (N,) grid of the result, vacuum Angstrom, observed frame; DESI's by default. Spectra on
            other pixels are interpolated (:func:`imo_engine.readers.pixels.resample`).
        redshift: one number for every target, whatever the files say (redrock files are then not opened),
            or a mapping from target id to redshift, for the targets it names; other names in it are ignored.

    Returns:
        Flux over its median at rest 5300-5850 Angstrom, on ``wavelength``.

    Raises:
        SpectrumFileError: a file is missing, damaged or of an unknown kind; one line, beginning with its name.
        InputError: ``wavelength`` does not increase, ``redshift`` is not a number, or no path was given.
    """
    grid = _grid(wavelength)
    given = GivenRedshifts.parse(redshift)
    files = _files(paths)
    parts: dict[Path, Spectra] = {}
    tables: list[RedrockRedshifts] = []
    waiting: list[Path] = []
    for path in files:
        read_other = other_reader(path) or (read_text_table if recognises_text_table(path) else None)
        if read_other is not None:
            parts[path] = read_other(path, grid, given)
            continue
        with open_fits(path) as file:
            if recognises_desi(file):
                # its redshifts may be in a redrock file that comes later in the list
                if len(files) > 1 and redrock_beside(path)[0] is None:
                    waiting.append(path)
                else:
                    parts[path] = read_desi(file, grid, given)
            elif recognises_sdss(file):
                parts[path] = read_sdss(file, grid, given)
            elif RedrockRedshifts.recognises(file):
                tables.append(RedrockRedshifts.from_file(file))
            elif any(is_catalogue(file.columns(hdu)) for hdu in range(len(file))):
                raise SpectrumFileError(catalogue_words(file.name))
            else:
                found = ", ".join(file.extnames[:8]) or "none"
                raise SpectrumFileError(
                    f"{file.name}: neither a DESI coadd (FIBERMAP, B_FLUX, ...) nor an SDSS spectrum (HDU 1 with "
                    f"loglam, flux, ivar); its HDUs are {found}"
                )
    for path in waiting:
        with open_fits(path) as file:
            parts[path] = read_desi(file, grid, given, RedrockRedshifts.joined(tables))
    if not parts:
        raise SpectrumFileError(f"{tables[0].name}: holds redshifts but no spectra; give the coadd file as well")
    return _with_unique_ids(concatenate([parts[path] for path in files if path in parts]))


def _grid(wavelength: ArrayLike | None) -> NDArray[np.float64]:
    if wavelength is None:
        return desi_wavelength()
    grid = np.asarray(wavelength, np.float64)
    if grid.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all() or not (np.diff(grid) > 0).all():
        raise InputError(f"'wavelength' {grid.shape} should be at least two increasing wavelengths in Angstrom")
    return grid


def _files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return each file once, folders replaced by the spectra in them."""
    files: dict[Path, None] = {}
    for given in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        if not isinstance(given, (str, os.PathLike)):
            raise InputError(f"'paths' has {given!r}, not the name of a file")
        path = Path(given)
        try:
            inside = sorted(filter(_is_spectra, path.iterdir())) if path.is_dir() else [path]
            files |= dict.fromkeys(p.absolute() for p in inside)
        except (OSError, ValueError) as error:
            raise SpectrumFileError(f"{printable(path.name)}: cannot be read: {error}") from error
        if not inside:
            raise SpectrumFileError(f"{printable(path.name)}: a folder without coadd-*.fits and spec-*.fits")
    if not files:
        raise InputError("'paths' names no file")
    return list(files)


def _is_spectra(path: Path) -> bool:
    return path.name.startswith(_PATTERNS) and path.name.endswith(_SUFFIXES) and path.is_file()


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
