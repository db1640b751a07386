"""The outliers that the authors of the method published: ``DESI_EDR_top200_outliers.pkl``.

A pickled dict whose keys are ranks, 1 for the lowest log p; each value is a dict with spectrum and weight, (N,) on
DESI's grid and normalised, target_id, z, ra, dec and -logP (Liang et al. 2023, arXiv:2307.07664).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError, SpectrumFileError
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.plain_files import one_error, printable
from imo_engine.readers.plain_pickle import MAX_PICKLE, array_or_value, load_plain_pickle
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.target_columns import targets_of
from imo_engine.readers.weighted import weighted_spectra
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["read_outlier_list"]

_NEEDED = ("spectrum", "weight", "target_id", "z")
_MAX_ROWS = 100_000
_ROWS_AT_A_TIME = 256
_OTHER = "a pickle that is no list of outliers"


def read_outlier_list(file: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read a published list of outliers in the order of their ranks, which with the stored log p become remarks.

    Raises:
        OtherKindError: it holds anything but arrays and plain values, or is not such a list.
        SpectrumFileError: it is damaged, or too large.
    """
    name = file.name
    with one_error(name, "pickle"):
        content = file.content.read(MAX_PICKLE + 1)
        if len(content) > MAX_PICKLE:
            raise SpectrumFileError(f"{name}: larger than {MAX_PICKLE >> 20} MiB, the most that a pickle may have")
        entries = _entries(load_plain_pickle(content, name), name)
        flux, weight = (_pixels(entries, key, name) for key in ("spectrum", "weight"))
        rows = [entry for _, entry in entries]
        columns = {
            key: [array_or_value(entry.get(key)) for entry in rows]
            for key in ("target_id", "z", "ra", "dec")
            if any(key in entry for entry in rows)
        }
        targets = targets_of(name, columns, given, "DESI")
        for row, (rank, entry) in enumerate(entries):
            stored = array_or_value(entry.get("-logP"))
            words = f", -log p {stored:.6g} there" if isinstance(stored, (int, float)) else ""
            targets.remark(f"number {rank} of the list{words}", row)
        parts = [slice(start, start + _ROWS_AT_A_TIME) for start in range(0, len(rows), _ROWS_AT_A_TIME)]
        return concatenate(
            [weighted_spectra(targets, flux[p], weight[p], desi_wavelength(), wavelength, p) for p in parts]
        )


def _entries(found: object, name: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return rank and contents of each outlier, by rank."""
    expected = f"expected a dict from rank to a dict with {', '.join(_NEEDED)}"
    if not isinstance(found, dict) or not found or len(found) > _MAX_ROWS:
        raise OtherKindError(f"{name}: a pickled {type(found).__name__}; {expected}", _OTHER)
    entries = []
    for key, entry in found.items():
        rank = array_or_value(key)
        if isinstance(rank, bool) or not isinstance(rank, int) or not isinstance(entry, dict):
            shown = printable(str(rank))[:30]
            raise OtherKindError(f"{name}: {shown!r} is not a rank with a spectrum; {expected}", _OTHER)
        missing = [needed for needed in _NEEDED if needed not in entry]
        if missing:
            raise OtherKindError(f"{name}: number {rank} has no {missing[0]}; {expected}", _OTHER)
        entries.append((rank, entry))
    return sorted(entries, key=lambda one: one[0])


def _pixels(entries: list[tuple[int, Mapping[str, Any]]], key: str, name: str) -> NDArray[np.float64]:
    pixels, rows = len(desi_wavelength()), []
    for rank, entry in entries:
        values = array_or_value(entry[key])
        if not isinstance(values, np.ndarray) or values.size != pixels:
            size = values.shape if isinstance(values, np.ndarray) else type(values).__name__
            raise SpectrumFileError(f"{name}: {key} of number {rank} is {size}; expected {pixels} numbers")
        rows.append(values.reshape(pixels))
    return np.array(rows, np.float64)
