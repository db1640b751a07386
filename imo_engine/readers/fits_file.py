"""FITS files from strangers, opened so that a bad one gives one clear error and nothing else.

What is refused: names that are not ordinary files (astropy would download a URL), containers other than
gzip, gzip and packed images that unpack to far more than its size, headers that promise more data than there are bytes,
tables whose columns do not fill their rows, and whatever makes astropy warn.
"""

import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.column_names import name_and_unit
from imo_engine.readers.fits_layout import Extent, datasum, fits_layout
from imo_engine.readers.packed_image import is_packed, packed_shape, unpack
from imo_engine.readers.plain_files import one_error, printable

__all__ = ["FITS", "FitsFile", "fits_in"]

FITS = b"SIMPLE  ="
"""How a FITS file begins."""

# catch_warnings() changes the whole process, so two threads must not be inside it at once;
# re-entrant because a redrock file is opened while its coadd file is
_ASTROPY = threading.RLock()


class FitsFile:
    """An open FITS file whose layout has been checked; made by :func:`fits_in`.

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

    def keyword(self, *keywords: str, hdu: int = 0) -> Any:  # noqa: ANN401 - text, numbers and booleans
        """Return the value of the first keyword that is in the header of an HDU or else in the primary one, or None."""
        headers = [self._hdus[number].header for number in dict.fromkeys((hdu, 0))]
        return next((header[key] for header in headers for key in keywords if key in header), None)

    def columns(self, hdu: str | int) -> set[str]:
        """Return the column names of a table, in capitals; none if the HDU is not a binary table."""
        found = self._hdus[self._index(hdu)]
        return {str(name).strip().upper() for name in found.columns.names} if self._is_table(found) else set()

    def shape(self, hdu: str | int) -> tuple[int, ...]:
        """Return the shape of an image, packed or not, in NumPy's order; () of a table and of an HDU without data."""
        number = self._index(hdu)
        found = self._hdus[number]
        if is_packed(found):
            return packed_shape(found, f"{self.name}: {self._label(number)}")
        return self._layout[number].shape if found.is_image else ()

    def image(self, hdu: str | int, *shape: int) -> NDArray[Any]:
        """Return the array of an image HDU, in the file's own byte order.

        Args:
            hdu: EXTNAME or number of the HDU.
            shape: the shape it has to have; -1 fits any length.

        Raises:
            SpectrumFileError: no such image, or another shape.
        """
        number = self._index(hdu)
        found, actual = self._hdus[number], self.shape(number)
        fits_shape = len(actual) == len(shape) and all(s in (-1, a) for a, s in zip(actual, shape, strict=True))
        if not actual or not fits_shape:
            wanted = " x ".join("any" if s == -1 else str(s) for s in shape)
            got = "x".join(map(str, actual)) + " image" if actual or found.is_image else "table"
            raise SpectrumFileError(f"{self.name}: {self._label(number)} should be an image of {wanted}, it is a {got}")
        self._verify_datasum(number)
        if is_packed(found):
            return unpack(found, f"{self.name}: {self._label(number)}")
        return np.asarray(found.data) if found.data is not None else np.zeros(actual, np.float32)

    def integers(self, hdu: str | int, column: str) -> NDArray[np.int64]:
        """Return an integer column, (rows,), never by way of floating point numbers."""
        values = self._column(hdu, column, "iu", "integers")
        if values.dtype.kind == "u" and values.size and int(values.max()) >= 2**63:
            raise SpectrumFileError(f"{self.name}: {column} has values above 2**63")
        return values.astype(np.int64)

    def floats(self, hdu: str | int, column: str) -> NDArray[np.float64]:
        """Return a column of numbers, (rows,); true is 1."""
        return self._column(hdu, column, "iufb", "numbers").astype(np.float64)

    def column_units(self, hdu: int) -> dict[str, str]:
        """Return the columns of a table and their units, in order; the unit is empty where none is stated.

        One that is in brackets in the name of a column is stated too; in capitals it would be lost.
        """
        found = self._hdus[hdu].columns
        return {
            str(name).strip().upper(): str(unit or name_and_unit(str(name))[1])
            for name, unit in zip(found.names, found.units, strict=True)
        }

    def holds_pixels(self, hdu: int, column: str) -> bool:
        """Tell whether a column has a row a pixel, or one row with an array, as :meth:`pixels` wants it."""
        form = str(self._hdus[hdu].columns.formats[list(self.column_units(hdu)).index(column)])
        return self._layout[hdu].shape[0] == 1 or form.lstrip("1") in ("D", "E", "K", "J", "I", "B", "L")

    def pixels(self, hdu: int, column: str) -> NDArray[np.float64]:
        """Return a column of numbers, (pixels,): a row a pixel, or the array of the only row."""
        values = np.asarray(self._table(hdu).field(column))
        if values.ndim == 2 and len(values) == 1:
            values = values[0]
        if values.ndim != 1 or values.dtype.kind not in "iufb":
            raise SpectrumFileError(f"{self.name}: {column} of {self._label(hdu)} is not a column of numbers")
        return values.astype(np.float64)

    def has_integers(self, hdu: str | int, column: str) -> bool:
        """Tell whether a column is one of integers."""
        return bool(self._column(hdu, column, "iufbSU", "numbers or text").dtype.kind in "iu")

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
def fits_in(path: Path, file: BinaryIO) -> Iterator[FitsFile]:
    """Read an open file, unpacked, as FITS; whatever goes wrong until it is closed becomes one error.

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
                disable_image_compression=True,  # packed images are unpacked one by one, those that are asked for
            )
        )
        yield FitsFile(path, file, hdus, layout)
