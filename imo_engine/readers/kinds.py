"""The kinds of files that spectra come in: one record a reader, tried from first to last.

To add a kind, write a module with a function that tells its files by their content and one that reads them, and
add a row to :data:`READERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError
from imo_engine.readers.column_names import looks_like_spectrum
from imo_engine.readers.desi import lacks_redshifts, read_desi, recognises_desi
from imo_engine.readers.fits_table import read_fits_table, recognises_fits_table
from imo_engine.readers.image_spectra import (
    read_image_rows,
    read_lamost,
    recognises_image_rows,
    recognises_lamost,
)
from imo_engine.readers.layouts import (
    NO_HDF5,
    NO_PICKLES,
    read_hdf5,
    recognises_hdf5,
    recognises_parquet,
    recognises_pickle,
)
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.outlier_list import read_outlier_list
from imo_engine.readers.parquet import read_parquet
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.sdss import read_sdss, recognises_sdss
from imo_engine.readers.specutils_files import read_with_specutils, recognised_by_specutils
from imo_engine.readers.text_table import read_text_table, recognises_text_table
from imo_engine.spectra.spectra import Spectra

__all__ = ["COLUMNS_TO_SAVE", "LAST_READERS", "READERS", "Reader", "reader_of", "refusal"]

COLUMNS_TO_SAVE = "save a CSV or ECSV table with columns wave, flux and ivar and a line '# z = ...' before it"
"""The way out for spectra in any other layout."""
_OTHERS = "specutils reads" if find_spec("specutils") else "is read without specutils (pip install specutils)"


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: What the kind is called.
        recognises: Tells whether a file is of this kind, by what is in it.
        read: Returns its spectra on a grid, (N,) vacuum Angstrom, observed frame; redshifts that were given replace
            the file's own. Raises SpectrumFileError if the file is damaged, and OtherKindError if it turns out to
            hold no spectra.
        waits: Tells whether the redshifts of a file may be in another file that comes later.
        not_uploaded: Why files of this kind are not read when a browser sends them; empty where they are.
    """

    name: str
    recognises: Callable[[OpenedFile], bool]
    read: Callable[[OpenedFile, NDArray[np.float64], GivenRedshifts], Spectra]
    waits: Callable[[OpenedFile], bool] = lambda file: False
    not_uploaded: str = ""


READERS: tuple[Reader, ...] = (
    Reader("DESI", recognises_desi, read_desi, lacks_redshifts),
    Reader("SDSS", recognises_sdss, read_sdss),
    Reader("LAMOST", recognises_lamost, read_lamost),
    Reader("rows of images", recognises_image_rows, read_image_rows),
    Reader("FITS table", recognises_fits_table, read_fits_table),
    Reader("Parquet", recognises_parquet, read_parquet),
    Reader("HDF5", recognises_hdf5, read_hdf5, not_uploaded=NO_HDF5),
    Reader("outlier list", recognises_pickle, read_outlier_list, not_uploaded=NO_PICKLES),
)
"""In the order in which they are asked."""

LAST_READERS: tuple[Reader, ...] = (
    Reader("specutils", recognised_by_specutils, read_with_specutils),
    Reader("text", recognises_text_table, read_text_table),
)
"""Those that are slow to ask or go by what a file is not: asked about what is no table of redshifts either."""


def reader_of(file: OpenedFile, readers: Sequence[Reader]) -> Reader | None:
    """Return the first of some readers that recognises a file, None if none does."""
    return next((reader for reader in readers if reader.recognises(file)), None)


def refusal(file: OpenedFile) -> OtherKindError:
    """Return the error for a file that no reader recognises."""
    if file.fits is None:
        return file.refusal()
    names = ", ".join(file.fits.extnames[:8]) or "none"
    return OtherKindError(
        f"{file.name}: neither a DESI coadd (FIBERMAP, B_FLUX, ...) nor an SDSS spectrum (HDU 1 with loglam, flux, "
        f"ivar), nor a layout that {_OTHERS}; its HDUs are {names}; {COLUMNS_TO_SAVE}",
        "FITS of another layout",
        may_be_spectrum=any(looks_like_spectrum(file.fits.columns(hdu)) for hdu in range(len(file.fits))),
    )
