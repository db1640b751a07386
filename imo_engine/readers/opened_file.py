"""A file of unknown kind, opened: its first bytes, and its parts if it is FITS.

Readers tell by these whether it is theirs, whatever it is called.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imo_engine.errors import OtherKindError
from imo_engine.readers.fits_file import FITS, FitsFile, fits_in
from imo_engine.readers.plain_files import GZIP, one_error, plain_file, printable

__all__ = ["HDF5", "PYTHON_OBJECTS", "OpenedFile", "foreign_kind", "is_pickle", "open_file"]

HDF5 = b"\x89HDF\r\n\x1a\n"
"""How an HDF5 file begins."""
PYTHON_OBJECTS = "a file of Python objects, which can run code when it is opened; bring FITS, CSV or ECSV"
"""What is said of files that are never opened; of pickles, those with nothing but arrays and plain values are."""

_HEAD = 4096
_ZIP = b"PK\x03\x04"
_BRING = "bring the survey's FITS files, or a table with wavelength, flux and ivar"
_FOREIGN = {
    _ZIP: "a zip archive; unpack it first",
    b"\x93NUMPY": "an array of NumPy, which says neither wavelengths nor redshifts; normalised spectra serve as "
    f"--baselines of a command; to score spectra {_BRING}",
    b"BZh": "a bzip2 file; unpack it first",
    b"\xfd7zXZ": "an xz file; unpack it first",
    b"\x1f\x9d": "a .Z file; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it first",
    GZIP: "gzipped more than once; gunzip it first",
    HDF5: "an HDF5 file",
    b"PAR1": "a Parquet table",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"%PDF": "a PDF",
    b"<": "a web page or XML; was the download refused?",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file it stands for",
}
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npy", ".npz")
_TEXT_NAMES = (".csv", ".ecsv", ".txt", ".tsv", ".dat")
_FITS_NAMES = (".fits", ".fit", ".fts", ".fz")


@dataclass(frozen=True)
class OpenedFile:
    """A file that is open for reading.

    Attributes:
        path: Where it is.
        name: Its name, for messages.
        head: Its first bytes, unpacked if it is gzipped.
        content: All of it, unpacked, for a reader of its own; FITS files are read through ``fits``.
        fits: Its parts if it is a FITS file, else None.
    """

    path: Path
    name: str
    head: bytes
    content: BinaryIO
    fits: FitsFile | None

    @property
    def is_called_fits(self) -> bool:
        """Whether its name says that it is a FITS file."""
        return self.path.name.lower().removesuffix(".gz").endswith(_FITS_NAMES)

    def refusal(self) -> OtherKindError:
        """Return the error for a file that no reader recognises: what it is, as far as that can be told."""
        kind = _zip_words(self.content) if self.head.startswith(_ZIP) else foreign_kind(self.head, self.name)
        what = f" but {kind}" if kind else ""
        if self.is_called_fits:
            text = f"not a FITS file{what or ' (no SIMPLE at its start)'}"
        elif self.path.name.lower().removesuffix(".gz").endswith(_TEXT_NAMES):
            text = f"not a text table{what or ' (it has bytes that are not text)'}"
        else:
            text = f"neither a FITS file nor a text table{what}"
        return OtherKindError(f"{self.name}: {text}", re.split("[;,]| with ", kind)[0] or "neither FITS nor text")


def foreign_kind(head: bytes, name: str) -> str:
    """Return what a file is that certainly holds no spectra of a kind that is read; empty if it may."""
    if head.startswith(FITS):
        return ""
    known = next((text for magic, text in _FOREIGN.items() if head.startswith(magic)), "")
    if not known and (is_pickle(head) or name.lower().removesuffix(".gz").endswith(_PICKLES)):
        return PYTHON_OBJECTS
    return known


def is_pickle(head: bytes) -> bool:
    """Tell by its first bytes whether a file is a pickle of protocol 2 or later; earlier ones look like text."""
    return head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")


def _zip_words(file: BinaryIO) -> str:
    """Say what a zip archive is, and what to bring in its place."""
    try:
        with zipfile.ZipFile(file) as archive:
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


@contextmanager
def open_file(path: Path) -> Iterator[OpenedFile]:
    """Open a file, gzipped or not, FITS or not; whatever goes wrong until it is closed becomes one error.

    Raises:
        SpectrumFileError: ``<file name>: what was wrong``, in one line.
    """
    name = printable(path.name)
    with one_error(name, "file"), plain_file(path, name, _not_empty) as content:
        head = content.read(_HEAD)
        content.seek(0)
        if not head.startswith(FITS):
            yield OpenedFile(path, name, head, content, None)
            return
        with fits_in(path, content) as fits:
            yield OpenedFile(path, name, head, content, fits)


def _not_empty(head: bytes, name: str) -> None:
    if not head:
        raise OtherKindError(f"{name}: the file is empty", "empty")
