"""Spectra in a table of a FITS file, one spectrum a file, with columns of wavelength, flux and noise.

The table has a row a pixel, or one row of arrays (ESO Phase 3, LAMOST from DR8 on).
Redshift, identifier and position come from the header: Z or REDSHIFT, OBJECT or TARGETID, RA and DEC.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.readers.column_names import AIR, FLUX, WAVELENGTH, names_and_units
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.plain_files import printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.spectrum_columns import OPTIONAL, spectrum_of_columns
from imo_engine.readers.text_columns import TextColumns
from imo_engine.spectra.spectra import Spectra

__all__ = ["header_facts", "is_in_air", "read_fits_table", "recognises_fits_table"]

_QUALITY = ("mask", "qual")
_KEYWORDS = {"z": ("Z", "REDSHIFT"), "target_id": ("OBJECT", "OBJNAME", "TARGETID"), "ra": ("RA",), "dec": ("DEC",)}


def _table(file: FitsFile) -> int | None:
    """Return the first table with columns of wavelength and flux."""
    for hdu in range(len(file)):
        titles = sorted(file.columns(hdu))
        names = {name: title for title, (name, _) in zip(titles, names_and_units(titles), strict=True)}
        used = [title for name, title in names.items() if name in (*WAVELENGTH, *AIR, *FLUX)]
        if names.keys() & {*WAVELENGTH, *AIR} and names.keys() & set(FLUX):
            if all(file.holds_pixels(hdu, title) for title in used):
                return hdu
    return None


def recognises_fits_table(file: OpenedFile) -> bool:
    """Tell by their names whether the columns of a table are those of a spectrum."""
    return file.fits is not None and _table(file.fits) is not None


def read_fits_table(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectrum of a table, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    Raises:
        SpectrumFileError: the file is damaged, or its wavelengths or units make no sense.
    """
    file = opened.fits
    hdu = None if file is None else _table(file)
    assert file is not None and hdu is not None  # or it would not be recognised
    columns: dict[str, NDArray[np.float64]] = {}
    units: dict[str, str] = {}
    titles = file.column_units(hdu)
    for (title, stated), (name, unit) in zip(titles.items(), names_and_units(list(titles)), strict=True):
        name = "mask" if name in _QUALITY else name
        if name not in columns and name in {*WAVELENGTH, *AIR, *FLUX, *OPTIONAL}:
            columns[name] = file.pixels(hdu, title)
            if stated or unit:
                units[name] = stated or unit
    meta = header_facts(file, hdu)
    target_id = str(meta.get("target_id") or opened.path.name.removesuffix(".gz").rpartition(".")[0] or file.name)
    table = TextColumns(file.name, columns, {}, units, meta)
    return spectrum_of_columns(table, printable(target_id), wavelength, given, in_air=is_in_air(file, hdu))


def header_facts(file: FitsFile, hdu: int = 0) -> dict[str, Any]:
    """Return redshift, identifier and position as the headers of an HDU and of the whole file say them."""
    found = {name: file.keyword(*keys, hdu=hdu) for name, keys in _KEYWORDS.items()}
    return {name: value for name, value in found.items() if value is not None and str(value).strip()}


def is_in_air(file: FitsFile, hdu: int = 0) -> bool:
    """Tell whether the headers say that wavelengths are of air: VACUUM is false, or the axis is AWAV."""
    stated = file.keyword("VACUUM", hdu=hdu)
    axis = str(file.keyword("CTYPE1", hdu=hdu) or "")
    return (stated is not None and not stated) or axis.startswith("AWAV")
