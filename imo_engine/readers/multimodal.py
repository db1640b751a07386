"""Spectra in the HDF5 files of the Multimodal Universe: an array a column, one row a target.

``spectrum_flux`` and ``spectrum_ivar``, (n, N), perhaps ``spectrum_mask``; wavelengths in ``spectrum_lambda``, (N,) or
(n, N), where -1 fills rows up, or the ends of their range in ``spectrum_lambda_min`` and ``spectrum_lambda_max``;
beside them the columns of a catalogue (``object_id``, ``Z``, ``ZWARN``, ``SPECTYPE``, ``ra``, ``dec``, ...). Names
without ``spectrum_`` will do.
"""

from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError, SpectrumFileError
from imo_engine.readers.column_names import looks_like_spectrum
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.plain_files import MAX_EXPANSION, one_error, printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.target_columns import COLUMNS, targets_of
from imo_engine.readers.targets import Targets
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["read_multimodal"]

_PIXELS = ("flux", "ivar", "mask", "lambda")
_ENDS = ("lambda_min", "lambda_max")
_ROWS_AT_A_TIME = 256
_MAX_KEYS = 2000
_MAX_CHUNK = 1 << 30
_SMALL = 64 << 20


def read_multimodal(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectra of an HDF5 file, on ``wavelength``, (M,) vacuum Angstrom, observed frame, in blocks of rows.

    Raises:
        OtherKindError: other arrays.
        SpectrumFileError: damaged, arrays that do not fit together, links to elsewhere, or more data promised than
            there can be.
    """
    name = opened.name
    with one_error(name, "HDF5 file"), _opened(opened.content, name) as file:
        arrays = _arrays(file, name, opened.content.seek(0, 2))
        flux = arrays["flux"]
        n = flux.shape[0]
        columns = {key: _column(name, key, arrays[key], n) for key in COLUMNS if key in arrays}
        is_sdss = {"plate", "fiberid"} <= set(columns) or "specobjid" in columns
        targets = targets_of(name, columns, given, "SDSS" if is_sdss else "DESI" if "targetid" in columns else "")
        parts = []
        for start in range(0, n, _ROWS_AT_A_TIME):
            rows = slice(start, min(start + _ROWS_AT_A_TIME, n))
            # SDSS's mask has one bit for all of and_mask, most of which speaks of the fibre; ivar is 0 where it matters
            mask = arrays["mask"][rows] if "mask" in arrays and not is_sdss else None
            ivar = np.asarray(arrays["ivar"][rows], np.float64)
            observed = _wavelength(name, arrays, rows, flux.shape[1])
            parts += _normalised(targets, np.asarray(flux[rows], np.float64), ivar, mask, observed, wavelength, rows)
    if not parts:
        raise SpectrumFileError(f"{name}: no rows, so there is no spectrum")
    return concatenate(parts)


def _opened(file: BinaryIO, name: str) -> h5py.File:
    try:
        return h5py.File(file, "r", locking=False, rdcc_nbytes=_SMALL)
    except OSError as error:
        raise SpectrumFileError(f"{name}: truncated or damaged HDF5 file") from error


def _arrays(file: h5py.File, name: str, size: int) -> dict[str, h5py.Dataset]:
    """Return the arrays that are used, by name in small letters without "spectrum_"; none has been read yet."""
    keys = list(file)
    if len(keys) > _MAX_KEYS:
        raise SpectrumFileError(f"{name}: {len(keys)} names at its top; {_MAX_KEYS} are read at most")
    arrays: dict[str, h5py.Dataset] = {}
    for key in keys:
        short = key.lower().removeprefix("spectrum_")
        if short in COLUMNS or short in (*_PIXELS, *_ENDS):
            arrays.setdefault(short, _checked(file, key, name, size))
    missing = [key for key in ("flux", "ivar") if key not in arrays]
    if missing:
        found = printable(", ".join(keys[:8]))[:100] or "none"
        raise OtherKindError(
            f"{name}: HDF5 without {missing[0]}; expected (n, N) arrays flux and ivar; found {found}",
            "HDF5 without spectra",
            may_be_spectrum=looks_like_spectrum(keys),
        )
    shape = arrays["flux"].shape
    if len(shape) != 2 or not shape[1]:
        raise SpectrumFileError(f"{name}: flux has shape {shape}; expected (targets, pixels)")
    for key in ("ivar", "mask", "lambda"):
        fits = (
            arrays[key].shape == shape or (key == "lambda" and arrays[key].shape == shape[1:])
            if key in arrays
            else True
        )
        if not fits:
            raise SpectrumFileError(f"{name}: {key} has shape {arrays[key].shape}; flux has {shape}")
    return arrays


def _checked(file: h5py.File, key: str, name: str, size: int) -> h5py.Dataset:
    shown = printable(key)[:60]
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        raise SpectrumFileError(f"{name}: {shown} is a link to elsewhere, which is not followed")
    found = file[key]
    if not isinstance(found, h5py.Dataset):
        raise SpectrumFileError(f"{name}: {shown} is a group; expected an array")
    if found.is_virtual or found.external:
        raise SpectrumFileError(f"{name}: {shown} is kept in another file, which is not opened")
    text = h5py.check_string_dtype(found.dtype)
    if found.dtype.kind not in "fiubS" and not (text is not None and found.ndim == 1):
        raise SpectrumFileError(f"{name}: {shown} is of type {found.dtype}; expected numbers or text")
    chunk = int(np.prod(found.chunks, dtype=float)) * found.dtype.itemsize if found.chunks else 0
    if found.nbytes > max(_SMALL, MAX_EXPANSION * size) or chunk > _MAX_CHUNK:
        raise SpectrumFileError(f"{name}: {shown} claims {found.nbytes >> 20} MiB in a file of {size >> 20} MiB")
    return found


def _column(name: str, key: str, array: h5py.Dataset, n: int) -> list[Any]:
    if array.shape != (n,):
        raise SpectrumFileError(f"{name}: {key} has shape {array.shape}; expected one value for each of {n} spectra")
    values: list[Any] = array[()].tolist()
    return values


def _wavelength(name: str, arrays: dict[str, h5py.Dataset], rows: slice, pixels: int) -> NDArray[np.float64]:
    """Return observed wavelengths, (N,) if all rows share them, else (rows, N)."""
    if "lambda" in arrays:
        found = arrays["lambda"]
        values = np.asarray(found[()] if found.ndim == 1 else found[rows], np.float64)
        return values if values.ndim == 1 or not (values == values[0]).all() else values[0]
    if set(_ENDS) <= set(arrays):
        ends = [np.unique(np.asarray(arrays[key][rows], np.float64)) for key in _ENDS]
        if all(len(end) == 1 for end in ends):
            return np.linspace(ends[0][0], ends[1][0], pixels)
    if pixels == len(desi_wavelength()):
        return desi_wavelength()
    raise SpectrumFileError(f"{name}: no array lambda, and {pixels} pixels are not DESI's {len(desi_wavelength())}")


def _normalised(
    targets: Targets,
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
    mask: NDArray[Any] | None,
    observed: NDArray[np.float64],
    wavelength: NDArray[np.float64],
    rows: slice,
) -> list[Spectra]:
    if observed.ndim == 1:
        _check_wavelength(targets, observed, rows.start)
        return [targets.normalised(Pixels.from_file(flux, ivar, mask), observed, wavelength, rows)]
    parts = []
    for row in range(len(flux)):
        there = observed[row] > 0
        _check_wavelength(targets, observed[row][there], rows.start + row)
        pixels = Pixels.from_file(flux[row][there], ivar[row][there], None if mask is None else mask[row][there])
        place = slice(rows.start + row, rows.start + row + 1)
        parts.append(targets.normalised(pixels, observed[row][there], wavelength, place))
    return parts


def _check_wavelength(targets: Targets, observed: NDArray[np.float64], row: int) -> None:
    if not len(observed) or not (np.isfinite(observed).all() and (np.diff(observed) > 0).all()):
        raise SpectrumFileError(f"{targets.source}: lambda of target {targets.target_id[row]} does not increase")
