"""Spectra in text tables, one spectrum a file: CSV, ECSV, and columns between tabs or blanks, whatever its name.

Which columns are read says :mod:`imo_engine.readers.spectrum_columns`. Redshift (z or redshift), target_id, ra and dec
come from the header of an ECSV file (its ``meta``), or from comments, which a CSV file may have before its table::

    # z = 0.1234
    # target_id = 39633345008634465
    wave,flux,ivar
    3600.0,1.52,4.0
"""

import re

import numpy as np
from numpy.typing import NDArray

from imo_engine.readers.column_names import AIR, FLUX, WAVELENGTH
from imo_engine.readers.opened_file import OpenedFile, foreign_kind
from imo_engine.readers.plain_files import one_error, printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.spectrum_columns import EXPECTED, OPTIONAL, spectrum_of_columns
from imo_engine.readers.text_columns import MAX_BYTES, UTF_16, TextColumns
from imo_engine.spectra.spectra import Spectra

__all__ = ["read_text_table", "recognises_text_table"]

_MAX_TEXT = 100


def recognises_text_table(file: OpenedFile) -> bool:
    """Tell by its first bytes whether a file is text; that it is a table shows when it is read."""
    if file.fits is not None or file.is_called_fits or foreign_kind(file.head, file.name):
        return False
    return file.head.startswith(UTF_16) or b"\0" not in file.head


def read_text_table(file: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectrum of a text table, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    The result's ``norm`` is in 1e-17 erg/s/cm2/Angstrom if the file gives a unit of flux (per frequency also),
    else in the file's own unit.

    Raises:
        OtherKindError: the file is too large, or is no table of wavelength and flux.
        SpectrumFileError: values that are not numbers.
    """
    name = file.name
    with one_error(name, "text table"):
        content = file.content.read(MAX_BYTES + 1)
        table = TextColumns.parse(content, name, ((*WAVELENGTH, *AIR), FLUX), OPTIONAL, EXPECTED)
        stated = next((table.meta[key] for key in ("target_id", "targetid") if _is_name(table.meta.get(key))), "")
        target_id = printable(str(stated)).strip()[:_MAX_TEXT] or _stem(name)
        return spectrum_of_columns(table, target_id, wavelength, given)


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int))


def _stem(name: str) -> str:
    return re.sub(r"\.(e?csv|txt|tsv|dat|asc|ascii)(\.gz)?$", "", name, flags=re.IGNORECASE)
