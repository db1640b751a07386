"""A file of unknown kind, opened: its first bytes, and its parts if it is FITS.

Readers tell by these whether it is theirs, whatever it is called.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imo_engine.errors import OtherKindError
from imo_engine.readers.fits_file import FITS, FitsFile, fits_in
from imo_engine.readers.plain_files import GZIP, one_error, plain_file, printable

__all__ = ["PYTHON_OBJECTS", "OpenedFile", "foreign_kind", "open_file"]

PYTHON_OBJECTS = "a file of Python objects, which can run code when it is opened; bring FITS, CSV or ECSV"
"""The kind of files that are never opened."""

_HEAD = 4096
_FOREIGN = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "a bzip2 file; unpack it first",
    b"\xfd7zXZ": "an xz file; unpack it first",
    b"\x1f\x9d": "a .Z file; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it first",
    GZIP: "gzipped more than once; gunzip it first",
    b"\x89HDF": "an HDF5 file",
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
        kind = foreign_kind(self.head, self.name)
        what = f" but {kind}" if kind else ""
        if self.is_called_fits:
            text = f"not a FITS file{what or ' (no SIMPLE at its start)'}"
        elif self.path.name.lower().removesuffix(".gz").endswith(_TEXT_NAMES):
            text = f"not a text table{what or ' (it has bytes that are not text)'}"
        else:
            text = f"neither a FITS file nor a text table{what}"
        return OtherKindError(f"{self.name}: {text}", re.split("[;,]", kind)[0] or "neither FITS nor text")


def foreign_kind(head: bytes, name: str) -> str:
    """Return what a file is that certainly holds no spectra of a kind that is read; empty if it may."""
    if head.startswith(FITS):
        return ""
    # protocol 2 and later; an object array of NumPy is a pickle, and so is what is in a .pt file
    pickled = (head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5") or head.startswith(b"\x93NUMPY")
    if pickled or name.lower().removesuffix(".gz").endswith(_PICKLES):
        return PYTHON_OBJECTS
    return next((text for magic, text in _FOREIGN.items() if head.startswith(magic)), "")


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
