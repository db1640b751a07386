"""Which of the layouts that are neither FITS nor text a file has, by its first bytes."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.fits_file import one_error, plain_file, printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.target_columns import catalogue_words, is_catalogue
from imo_engine.spectra import Spectra

__all__ = ["HDF5", "NUMPY", "NUMPY_WORDS", "PARQUET", "ZIP", "other_reader", "zip_words"]

PARQUET, HDF5, NUMPY, ZIP = b"PAR1", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"PK\x03\x04"
"""How files begin."""

Reader = Callable[[Path, NDArray[np.float64], GivenRedshifts], Spectra]

_HEAD = 1 << 17
_BRING = "bring the survey's FITS files, or a table with wavelength, flux and ivar"

NUMPY_WORDS = (
    "an array of NumPy, which says neither wavelengths nor redshifts; normalised spectra serve as --baselines of a "
    f"command; to score spectra {_BRING}"
)
"""What an .npy file is, and what to do."""


def other_reader(path: Path) -> Reader | None:
    """Return what reads a Parquet, HDF5 or pickled file, None for any other kind.

    Raises:
        SpectrumFileError: a file of NumPy, a zip archive or a catalogue of log p, which are no spectra: one line with
            what it is and what to do.
    """
    name = printable(path.name)
    with one_error(name, "file"), plain_file(path, name, lambda head, name: None) as file:
        head = file.read(_HEAD)
    if head.startswith(NUMPY):
        raise SpectrumFileError(f"{name}: {NUMPY_WORDS}")
    if head.startswith(ZIP):
        raise SpectrumFileError(f"{name}: {zip_words(path)}")
    if head.startswith(PARQUET):
        from imo_engine.readers.parquet import read_parquet

        return read_parquet
    if head.startswith(HDF5):
        from imo_engine.readers.multimodal import read_multimodal

        return read_multimodal
    if (head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")) or path.suffix in (".pkl", ".pickle"):
        from imo_engine.readers.outlier_list import read_outlier_list

        return read_outlier_list
    if b"\0" not in head and not head.startswith(b"SIMPLE  ="):
        lines = (line for line in head.decode("utf-8", "replace").splitlines() if not line.startswith("#"))
        if is_catalogue(re.split(r"[,;\s]+", next(lines, "").strip())):
            raise SpectrumFileError(catalogue_words(name))
    return None


def zip_words(path: Path) -> str:
    """Say what a zip archive is, and what to bring in its place."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a damaged zip archive"
    if names and all(name.endswith(".npy") for name in names):
        inside = printable(", ".join(name.removesuffix(".npy") for name in names[:5]))[:80]
        return f"a NumPy archive (.npz) with {inside}, in no layout of a survey; {_BRING}"
    if any(name.endswith("data.pkl") for name in names):
        return f"a file of PyTorch, with weights or pickled objects; {_BRING}"
    if "[Content_Types].xml" in names:
        return "an Office document; save the table as CSV"
    return "a zip archive; unpack it first"
