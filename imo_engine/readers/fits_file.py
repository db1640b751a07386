"""FITS files from strangers, opened so that a bad one gives one clear error and nothing else.

What is refused: names that are not ordinary files (astropy would download a URL), containers other than
gzip, gzip that unpacks to far more than its size, headers that promise more data than there are bytes,
tables whose columns do not fill their rows, and whatever makes astropy warn.
"""

import gzip
import os
import stat
import tempfile
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from imo_engine.errors import ImoError, SpectrumFileError
from imo_engine.readers.fits_layout import Extent, datasum, fits_layout

__all__ = [
    "MAX_EXPANSION",
    "MAX_GUNZIPPED",
    "GZIP",
    "FitsFile",
    "gunzip",
    "one_error",
    "open_fits",
    "plain_file",
    "printable",
]

GZIP = b"\x1f\x8b"
"""How a gzip file begins."""
MAX_GUNZIPPED = 4 << 30
"""Bytes that a gzip file may unpack to."""
MAX_EXPANSION = 50
"""How many times its own size a gzip file may unpack to, if that is more than 64 MiB."""

Check = Callable[[bytes, str], None]
"""Is given the first bytes of a file and its name, and raises SpectrumFileError if it should not be read."""

_PIECE = 1 << 20
_FOREIGN = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"BZh": "a bzip2 file; unpack it first",
    b"\xfd7zXZ": "an xz file; unpack it first",
    b"\x1f\x9d": "a .Z file; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"<": "a web page or XML; was the download refused?",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file it stands for",
}

# catch_warnings() changes the whole process, so two threads must not be inside it at once;
# re-entrant because a redrock file is opened while its coadd file is
_ASTROPY = threading.RLock()


class FitsFile:
    """An open FITS file whose layout has been checked; made by :func:`open_fits`.

    HDUs are named by their EXTNAME, in capitals, or by their number.
    """

    def __init__(self, path: Path, file: BinaryIO, hdus: fits.HDUList, layout: Sequence[Extent]) -> None:
        self.path = path
        self.name = printable(path.name)
        self.remarks: list[str] = []
        """What was found odd in the parts read so far, in words."""
        self._file = file
        self._hdus = hdus
        self._layout = layout
        self._number: dict[str, int] = {}
        self._tables: dict[int, fits.FITS_rec] = {}
        for number, (hdu, extent) in enumerate(zip(hdus, layout, strict=True)):
            # two parsers that disagree on where data begin could be made to read past what was checked
            place = hdu.fileinfo()
            if (place["hdrLoc"], place["datLoc"], place["datSpan"]) != (extent.header_start, extent.start, extent.span):
                raise SpectrumFileError(f"{self.name}: HDU {number} has a contradictory header")
            self._number.setdefault(str(hdu.name).strip().upper(), number)

    def __contains__(self, extname: str) -> bool:
        return extname in self._number

    def __len__(self) -> int:
        return len(self._layout)

    @property
    def extnames(self) -> list[str]:
        """Names of the HDUs in order; HDUs without one are left out."""
        return [printable(name) for name in self._number if name]

    def keyword(self, *keywords: str) -> Any:  # noqa: ANN401 - a header holds text, numbers and booleans
        """Return the primary header's value of the first keyword that it has, None if it has none."""
        header = self._hdus[0].header
        return next((header[key] for key in keywords if key in header), None)

    def columns(self, hdu: str | int) -> set[str]:
        """Return the column names of a table, in capitals; none if the HDU is not a binary table."""
        found = self._hdus[self._index(hdu)]
        return {str(name).strip().upper() for name in found.columns.names} if self._is_table(found) else set()

    def image(self, extname: str, *shape: int) -> NDArray[Any]:
        """Return the array of an image HDU, in the file's own byte order.

        Args:
            extname: EXTNAME of the HDU.
            shape: the shape it has to have; -1 fits any length.

        Raises:
            SpectrumFileError: no such image, or another shape.
        """
        number = self._index(extname)
        found, actual = self._hdus[number], self._layout[number].shape
        fits_shape = len(actual) == len(shape) and all(s in (-1, a) for a, s in zip(actual, shape, strict=True))
        if not found.is_image or not fits_shape:
            wanted = " x ".join("any" if s == -1 else str(s) for s in shape)
            got = "x".join(map(str, actual)) + " image" if found.is_image else "table"
            raise SpectrumFileError(f"{self.name}: {extname} should be an image of {wanted}, it is a {got}")
        self._verify_datasum(number)
        return np.asarray(found.data) if found.data is not None else np.zeros(actual, np.float32)

    def integers(self, hdu: str | int, column: str) -> NDArray[np.int64]:
        """Return an integer column, (rows,), never by way of floating point numbers."""
        values = self._column(hdu, column, "iu", "integers")
        if values.dtype.kind == "u" and values.size and int(values.max()) >= 2**63:
            raise SpectrumFileError(f"{self.name}: {column} has values above 2**63")
        return values.astype(np.int64)

    def floats(self, hdu: str | int, column: str) -> NDArray[np.float64]:
        """Return a column of numbers, (rows,)."""
        return self._column(hdu, column, "iuf", "numbers").astype(np.float64)

    def texts(self, hdu: str | int, column: str) -> list[str]:
        """Return a column of text without the blanks around it."""
        return [printable(str(text)).strip() for text in self._column(hdu, column, "SU", "text")]

    def _index(self, hdu: str | int) -> int:
        if isinstance(hdu, int):
            return hdu
        if hdu not in self._number:
            raise SpectrumFileError(f"{self.name}: no HDU named {hdu}")
        return self._number[hdu]

    @staticmethod
    def _is_table(hdu: Any) -> bool:  # noqa: ANN401 - astropy has no types
        return isinstance(hdu, fits.BinTableHDU)

    def _column(self, hdu: str | int, column: str, kinds: str, meaning: str) -> NDArray[Any]:
        number = self._index(hdu)
        if column not in self.columns(hdu):
            raise SpectrumFileError(f"{self.name}: {self._label(number)} has no column {column}")
        values = np.asarray(self._table(number).field(column))
        if values.ndim != 1 or values.dtype.kind not in kinds:
            raise SpectrumFileError(f"{self.name}: {column} of {self._label(number)} is not a column of {meaning}")
        return values

    def _table(self, number: int) -> fits.FITS_rec:
        if number not in self._tables:
            hdu = self._hdus[number]
            # astropy reads rows as wide as the columns add up to, whatever NAXIS1 says
            if hdu.columns.dtype.itemsize != self._layout[number].shape[-1]:
                raise SpectrumFileError(f"{self.name}: the columns of {self._label(number)} do not fill its rows")
            if any(str(form).lstrip("0123456789")[:1] in ("P", "Q") for form in hdu.columns.formats):
                raise SpectrumFileError(f"{self.name}: {self._label(number)} has columns of variable length")
            self._verify_datasum(number)
            self._tables[number] = hdu.data
        return self._tables[number]

    def _label(self, number: int) -> str:
        return printable(str(self._hdus[number].name)) or f"HDU {number}"

    def _verify_datasum(self, number: int) -> None:
        """Remark on data that are not those their DATASUM was made of.

        Only a remark: astropy keeps the old sum when somebody cuts rows out of a table.
        """
        stated = str(self._hdus[number].header.get("DATASUM", "")).strip()
        if stated.isdecimal() and int(stated) != datasum(self._file, self._layout[number]):
            self.remarks.append(f"{self._label(number)} was changed or damaged after its checksum was made")


@contextmanager
def open_fits(path: Path) -> Iterator[FitsFile]:
    """Open a FITS file, gzipped or not, for reading; whatever goes wrong until it is closed becomes one error.

    Raises:
        SpectrumFileError: ``<file name>: what was wrong``, in one line.
    """
    name = printable(path.name)
    with one_error(name, "FITS file"), ExitStack() as stack:
        stack.enter_context(_ASTROPY)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error", AstropyWarning)
        # a display format or unit that astropy drops, or an odd name of a column, does not touch the numbers
        warnings.filterwarnings("ignore", "Invalid keyword for column|.* that column names", AstropyWarning)
        file = stack.enter_context(plain_file(path, name, _check_beginning))
        layout = fits_layout(file, name, file.seek(0, os.SEEK_END))
        file.seek(0)
        hdus = stack.enter_context(
            fits.open(
                file,
                mode="readonly",
                memmap=False,
                lazy_load_hdus=False,
                ignore_missing_end=False,
                ignore_missing_simple=False,
                disable_image_compression=True,
            )
        )
        yield FitsFile(path, file, hdus, layout)


@contextmanager
def one_error(name: str, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while the file ``name`` is read into a SpectrumFileError of one line."""
    try:
        yield
    except ImoError:
        raise
    except FileNotFoundError as error:
        raise SpectrumFileError(f"{name}: no such file") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SpectrumFileError(f"{name}: truncated or damaged gzip file") from error
    except OSError as error:
        raise SpectrumFileError(f"{name}: cannot be read: {_one_line(error)}") from error
    except MemoryError as error:
        raise SpectrumFileError(f"{name}: not enough memory to read it") from error
    except Exception as error:
        # astropy and NumPy answer damaged headers with any exception there is
        raise SpectrumFileError(f"{name}: damaged {kind}: {_one_line(error)}") from error


def printable(text: str) -> str:
    """Replace line breaks, control characters and undecodable bytes, so that a message stays one line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _one_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__} {error}"
    return printable(" ".join(text.split()))[:200]


@contextmanager
def plain_file(path: Path, name: str, check: Check, limit: int | None = None) -> Iterator[BinaryIO]:
    """Open an ordinary file that begins as ``check`` wants it, unpacking gzip into a nameless temporary file."""
    # opening a pipe or a device could block forever or never end
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise SpectrumFileError(f"{name}: not an ordinary file")
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(open(path, "rb"))
        head = file.read(24)
        if not head.startswith(GZIP):
            check(head, name)
        else:
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            gunzip(file, unpacked, name, check, limit)
            # astropy refuses to read from a handle that is also open for writing
            file = stack.enter_context(open(os.dup(unpacked.fileno()), "rb"))
        file.seek(0)
        yield file


def _check_beginning(head: bytes, name: str) -> None:
    if not head:
        raise SpectrumFileError(f"{name}: the file is empty")
    if head.startswith(b"SIMPLE  ="):
        return
    meaning = next((text for magic, text in _FOREIGN.items() if head.startswith(magic)), "")
    raise SpectrumFileError(f"{name}: not a FITS file{f' but {meaning}' if meaning else ' (no SIMPLE at its start)'}")


def gunzip(packed: BinaryIO, unpacked: BinaryIO, name: str, check: Check, limit: int | None = None) -> None:
    """Unpack gzip if it begins as ``check`` wants it and is no larger than the limits, ``limit`` bytes among them.

    Raises:
        SpectrumFileError: it is larger, or it is empty.
    """
    limit = min(limit or MAX_GUNZIPPED, MAX_GUNZIPPED, max(64 * _PIECE, MAX_EXPANSION * packed.seek(0, os.SEEK_END)))
    packed.seek(0)
    size = 0
    with gzip.GzipFile(fileobj=packed) as stream:
        while piece := stream.read(_PIECE):
            if not size:
                check(piece, name)
            size += len(piece)
            if size > limit:
                raise SpectrumFileError(f"{name}: unpacks to more than {limit >> 20} MiB; gunzip it yourself if it may")
            unpacked.write(piece)
    if not size:
        raise SpectrumFileError(f"{name}: the file is empty")
    unpacked.flush()
