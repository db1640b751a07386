"""Spectra in Parquet tables, one row a target: spender's shards, records of SPARCL, and the Multimodal Universe's.

spender 0.3: ``spec`` and ``w``, lists of N numbers, normalised; ``z``, ``norm``; ``target_id`` (DESI, N = 7781) or
``plate, mjd, fiberid`` (SDSS, N = 3921 from 10**3.578 Angstrom in steps of 1e-4). SPARCL
(https://astrosparcl.datalab.noirlab.edu): ``wavelength``, ``flux``, ``ivar`` and perhaps ``mask``, lists of any length,
with ``specid``, ``redshift``, ``redshift_warning``, ``spectype``, ``instrument``, ``ra``, ``dec``. The Multimodal
Universe has the same inside a column ``spectrum``.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError, SpectrumFileError
from imo_engine.readers.column_names import looks_like_spectrum
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.plain_files import one_error, printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.target_columns import COLUMNS, IDENTIFIERS, targets_of
from imo_engine.readers.weighted import weighted_spectra
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["FIBRE_BITS", "read_parquet"]

FIBRE_BITS = 0xFFFF
"""Bits of SDSS's and BOSS's masks that speak of the fibre; a pixel that is bad has ivar = 0 besides."""

_SHARD, _RECORD = ("spec", "w"), ("wavelength", "flux", "ivar")
_NESTED = "spectrum."
_SAME = {"lambda": "wavelength"}
_EXPECTED = "spec and w (spender), or wavelength, flux and ivar (SPARCL), lists of numbers"
_SDSS_PIXELS = (3920, 3921)
_ROWS_AT_A_TIME = 256
_MAX_PIXELS = 1 << 17
_MAX_VALUES = 1 << 31
_MAX_GROUP = 8 << 30
_MAX_THRIFT = 64 << 20


def read_parquet(file: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectra of a Parquet table, on ``wavelength``, (N,) vacuum Angstrom, observed frame.

    Shards are on DESI's or SDSS's grid, or on ``wavelength`` itself if they have as many pixels.

    Raises:
        OtherKindError: other columns.
        SpectrumFileError: damaged, or more values than such a file can have.
    """
    name = file.name
    with one_error(name, "Parquet file"):
        parts = [_spectra(name, block, wavelength, given) for block in _blocks(file.content, name)]
    if not parts:
        raise SpectrumFileError(f"{name}: a table without rows, so there is no spectrum")
    return concatenate(parts)


def _blocks(file: BinaryIO, name: str) -> Iterator[dict[str, list[Any]]]:
    """Return columns by name in small letters, some rows at a time."""
    import pyarrow.parquet  # takes a while

    table = pyarrow.parquet.ParquetFile(
        file,
        thrift_string_size_limit=_MAX_THRIFT,
        thrift_container_size_limit=1_000_000,
    )
    wanted = _wanted(table.schema_arrow, name)
    _check_sizes(table.metadata, name)
    for batch in table.iter_batches(_ROWS_AT_A_TIME, columns=sorted(wanted), use_threads=False):
        batch.validate(full=True)
        block = {}
        for column, values in zip(batch.schema.names, batch.columns, strict=True):
            if pyarrow.types.is_struct(values.type):
                for part in values.type:
                    block[_short(f"{column}.{part.name}")] = _values(values.field(part.name))
            else:
                block[_short(column)] = _values(values)
        yield block


def _values(values: Any) -> list[Any]:  # noqa: ANN401 - an array of Arrow
    """Return one value a row: an array for a list of numbers, a plain value else."""
    import pyarrow

    kinds = (pyarrow.types.is_list, pyarrow.types.is_large_list, pyarrow.types.is_fixed_size_list)
    if not any(is_list(values.type) for is_list in kinds):
        plain: list[Any] = values.to_pylist()
        return plain
    return [row.values.to_numpy(zero_copy_only=False) if row.is_valid else np.empty(0) for row in values]


def _wanted(schema: Any, name: str) -> set[str]:  # noqa: ANN401 - a schema of Arrow
    """Return the columns that are read.

    Raises:
        SpectrumFileError: there are no spectra among them, or they have a type that is not plain.
    """
    import pyarrow

    wanted, leaves = set(), set()
    for field in schema:
        parts = (
            [f"{field.name}.{part.name}" for part in field.type]
            if pyarrow.types.is_struct(field.type)
            else [field.name]
        )
        known = {*COLUMNS, *_SHARD, *_RECORD, "mask", "norm"}
        used = {_short(part) for part in parts} & known
        if used:
            wanted.add(field.name)
            leaves |= used
        if used and isinstance(field.type, pyarrow.BaseExtensionType):
            raise SpectrumFileError(f"{name}: {printable(field.name)} has a type of its own; expected {_EXPECTED}")
    if not leaves.issuperset(_SHARD) and not leaves.issuperset(_RECORD):
        found = printable(", ".join(schema.names[:8]))[:100] or "none"
        raise OtherKindError(
            f"{name}: not a table of spectra; expected columns {_EXPECTED}; found {found}",
            "Parquet without spectra",
            may_be_spectrum=looks_like_spectrum(schema.names),
        )
    return wanted


def _check_sizes(metadata: Any, name: str) -> None:  # noqa: ANN401 - metadata of Parquet
    """Refuse a file whose metadata promise more than can be: nothing has been read yet."""
    values = 0
    for group in range(metadata.num_row_groups):
        group = metadata.row_group(group)
        columns = [group.column(number) for number in range(group.num_columns)]
        values += sum(column.num_values for column in columns)
        most = max((column.num_values for column in columns), default=0)
        size = sum(column.total_uncompressed_size for column in columns)
        if size > _MAX_GROUP or values > _MAX_VALUES or most > _MAX_PIXELS * max(group.num_rows, 1):
            raise SpectrumFileError(
                f"{name}: claims {values} values in {metadata.num_rows} rows; split it, or write fewer rows a row group"
            )


def _short(column: str) -> str:
    """Return a column's name in small letters, without the column that it is in."""
    text = column.lower().removeprefix(_NESTED)
    return _SAME.get(text, text)


def _spectra(name: str, block: dict[str, list[Any]], wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    n = len(next(iter(block.values())))
    rows = slice(0, n)
    is_shard = set(_SHARD) <= set(block)
    targets = targets_of(name, {key: block[key] for key in COLUMNS & set(block)}, given)
    pixels = {key: block[key] for key in (_SHARD if is_shard else (*_RECORD, "mask")) if key in block}
    for key, values in pixels.items():
        for row, one in enumerate(values):
            if not isinstance(one, np.ndarray) or one.ndim != 1 or one.dtype.kind not in "fiub":
                raise SpectrumFileError(f"{name}: {key} of target {targets.target_id[row]} is not a list of numbers")
    if is_shard:
        flux, weight = _rectangle(name, pixels, "spec"), _rectangle(name, pixels, "w")
        if flux.shape != weight.shape:
            raise SpectrumFileError(f"{name}: spec and w have {flux.shape[1]} and {weight.shape[1]} pixels")
        is_sdss = not set(IDENTIFIERS) & set(block)
        observed = _shard_grid(name, flux.shape[1], wavelength, is_sdss)
        if not targets.instrument:
            targets.instrument = "SDSS" if is_sdss else "DESI"
        norm = np.array(block.get("norm", [1.0] * n), np.float64).reshape(n, -1)[:, 0]
        scale = np.where(np.isfinite(norm) & (norm > 0), norm, 1.0)[:, None]
        return weighted_spectra(targets, flux * scale, weight / scale**2, observed, wavelength, rows)
    parts = []
    for row in range(n):
        one = {key: np.asarray(values[row], np.float64) for key, values in pixels.items()}
        observed = one["wavelength"]
        if any(values.shape != observed.shape for values in one.values()):
            sizes = ", ".join(f"{key} {len(values)}" for key, values in one.items())
            raise SpectrumFileError(f"{name}: lists of different length for target {targets.target_id[row]}: {sizes}")
        if not len(observed) or not (np.isfinite(observed).all() and (np.diff(observed) > 0).all()):
            raise SpectrumFileError(f"{name}: wavelength of target {targets.target_id[row]} does not increase")
        mask = pixels["mask"][row] if "mask" in pixels else None
        if mask is not None and _of_sdss(targets.instrument, row, observed):
            mask = np.asarray(mask).astype(np.int64) & ~FIBRE_BITS if np.asarray(mask).dtype.kind != "b" else None
        here = Pixels.from_file(one["flux"], one["ivar"], mask)
        parts.append(targets.normalised(here, observed, wavelength, slice(row, row + 1)))
    return concatenate(parts)


def _of_sdss(instrument: str | list[str], row: int, observed: NDArray[np.float64]) -> bool:
    """Tell whether a record is of SDSS or BOSS: by what it says, else by its logarithmic steps."""
    said = instrument if isinstance(instrument, str) else instrument[row]
    return said.upper() in ("SDSS", "BOSS") or (not said and not np.allclose(np.diff(observed)[:1], 0.8, atol=0.01))


def _rectangle(name: str, pixels: dict[str, list[Any]], key: str) -> NDArray[np.float64]:
    lengths = sorted({len(row) for row in pixels[key]})
    if len(lengths) > 1:
        raise SpectrumFileError(
            f"{name}: {key} has lists of {lengths[0]} to {lengths[-1]} numbers; expected one length"
        )
    return np.array(pixels[key], np.float64)


def _shard_grid(name: str, n: int, wavelength: NDArray[np.float64], is_sdss: bool) -> NDArray[np.float64]:
    if n == len(desi_wavelength()) and not is_sdss:
        return desi_wavelength()
    if n == len(wavelength):
        return wavelength
    if n in _SDSS_PIXELS:
        grid: NDArray[np.float64] = np.power(10.0, 3.578 + 1e-4 * np.arange(n), dtype=np.float64)
        return grid
    raise SpectrumFileError(f"{name}: spectra of {n} pixels; expected 7781 (DESI) or {_SDSS_PIXELS[-1]} (SDSS)")
