"""DESI spectra: ``coadd-*.fits`` and ``spectra-*.fits``, with their redshifts inside or in ``redrock-*.fits``.

Spectra by exposure (``spectra-*.fits``) are combined by inverse variance, all exposures of a target. Three arms, B, R
and Z (or one that is already combined, BRZ), are put on DESI's common grid and combined by inverse variance too (DESI
data model, https://desidatamodel.readthedocs.io).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.pixels import Pixels, resample
from imo_engine.readers.redshift_tables import TABLES, RedshiftTable
from imo_engine.readers.redshifts import CATALOGUES, GivenRedshifts, catalogue_beside, redshifts_beside
from imo_engine.readers.targets import Targets
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["lacks_redshifts", "read_desi", "recognises_desi"]

_ARMS = ("B", "R", "Z")
_COMBINED = "BRZ"
_MISALIGNED = 0.01
_TARGETS_AT_A_TIME = 256


@dataclass(frozen=True)
class _Arm:
    """The pixels of one arm of the spectrograph, as they are in the file."""

    name: str
    wavelength: NDArray[np.float64]
    flux: NDArray[Any]
    ivar: NDArray[Any]
    mask: NDArray[Any] | None

    @classmethod
    def from_file(cls, file: FitsFile, name: str, rows: int) -> "_Arm":
        wavelength = file.image(f"{name}_WAVELENGTH", -1).astype(np.float64)
        if not np.isfinite(wavelength).all() or not (np.diff(wavelength) > 0).all():
            raise SpectrumFileError(f"{file.name}: {name}_WAVELENGTH does not increase from pixel to pixel")
        shape = rows, len(wavelength)
        mask = file.image(f"{name}_MASK", *shape) if f"{name}_MASK" in file else None
        return cls(name, wavelength, file.image(f"{name}_FLUX", *shape), file.image(f"{name}_IVAR", *shape), mask)

    def pixels(self, rows: NDArray[np.intp]) -> Pixels:
        """Return the good pixels of some rows."""
        return Pixels.from_file(self.flux[rows], self.ivar[rows], None if self.mask is None else self.mask[rows])

    def add_to(self, flux: NDArray[np.float64], ivar: NDArray[np.float64], rows: list[int], pixels: Pixels) -> None:
        """Add ivar * flux and ivar to ``rows`` of sums on the common grid, (n, 7781)."""
        grid = desi_wavelength()
        step = grid[1] - grid[0]
        position = (self.wavelength - grid[0]) / step
        index = np.rint(position)
        if len(index) and np.abs(position - index).max() > _MISALIGNED:
            # not DESI's pixels (early data had others): moving flux to the nearest pixel would shift lines
            pixels, index = resample(pixels, self.wavelength, grid), np.arange(len(grid), dtype=float)
        inside = (index >= 0) & (index < len(grid))
        there = index[inside].astype(np.intp)
        flux[np.ix_(rows, there)] += (pixels.ivar * pixels.flux)[:, inside]
        ivar[np.ix_(rows, there)] += pixels.ivar[:, inside]


def recognises_desi(file: OpenedFile) -> bool:
    """Tell by its HDUs whether a file holds DESI spectra."""
    fits = file.fits
    return fits is not None and "FIBERMAP" in fits and any(f"{arm}_FLUX" in fits for arm in (*_ARMS, _COMBINED))


def lacks_redshifts(file: OpenedFile) -> bool:
    """Tell whether there are no redshifts in the file and none in a file of redrock's beside it."""
    return file.fits is not None and RedshiftTable.hdu_of(file.fits) is None and redshifts_beside(file.path)[0] is None


def read_desi(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectra of a coadd file, or of a file by exposure, and their redshifts from inside or beside it.

    Args:
        opened: the file.
        wavelength: (N,) grid of the result, vacuum Angstrom, observed frame.
        given: redshifts that replace the survey's.

    Raises:
        SpectrumFileError: the file or the redrock file beside it is damaged or incomplete.
    """
    file = opened.fits
    assert file is not None  # or it would not be recognised
    id_number = file.integers("FIBERMAP", "TARGETID")
    rows = len(id_number)
    if not rows:
        raise SpectrumFileError(f"{file.name}: FIBERMAP has no rows, so there is no spectrum")
    names = [name for name in _ARMS if f"{name}_FLUX" in file] or [_COMBINED]
    arms = [_Arm.from_file(file, name, rows) for name in names]
    exposures = _exposures(file, id_number)
    targets = _targets(file, id_number, exposures)
    if names != [_COMBINED]:
        for name in _ARMS:
            if name not in names:
                targets.remark(f"arm {name} missing")
    for remark in file.remarks:
        targets.remark(remark)
    _add_redshifts(targets, file, given)

    parts = []
    for start in range(0, len(exposures), _TARGETS_AT_A_TIME):
        part = slice(start, min(start + _TARGETS_AT_A_TIME, len(exposures)))
        parts.append(_combine(arms, exposures[part], part, targets, wavelength))
    return concatenate(parts)


def _exposures(file: FitsFile, id_number: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Return the rows of each target, in the order of their first: several where the file is by exposure."""
    if "EXPID" not in file.columns("FIBERMAP"):
        return [np.array([row]) for row in range(len(id_number))]
    _, first, which = np.unique(id_number, return_index=True, return_inverse=True)
    together = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    return [together[number] for number in np.argsort(first)]


def _targets(file: FitsFile, id_number: NDArray[np.int64], exposures: list[NDArray[np.intp]]) -> Targets:
    """Read what FIBERMAP says of each target."""
    columns = file.columns("FIBERMAP")
    first = np.array([rows[0] for rows in exposures])
    targets = Targets(file.name, [str(number) for number in id_number[first]], "DESI")
    if {"TARGET_RA", "TARGET_DEC"} <= columns:
        targets.ra, targets.dec = (file.floats("FIBERMAP", name)[first] for name in ("TARGET_RA", "TARGET_DEC"))
    if "OBJTYPE" in columns:
        kinds = file.texts("FIBERMAP", "OBJTYPE")
        for row, kind in enumerate(kinds[number] for number in first):
            targets.objtype[row] = kind or "NONE"
            if kind == "SKY":
                targets.problem[row] = "sky fibre"
    status = next((name for name in ("COADD_FIBERSTATUS", "FIBERSTATUS") if name in columns), None)
    values = file.integers("FIBERMAP", status) if status else np.zeros(len(id_number), np.int64)
    for row, rows in enumerate(exposures):
        if len(rows) > 1:
            targets.remark(f"{len(rows)} exposures combined", row)
        for value in np.unique(values[rows][values[rows] != 0]):
            targets.remark(f"{status} {value}", row)
    return targets


def _add_redshifts(targets: Targets, file: FitsFile, given: GivenRedshifts) -> None:
    """Fill in redshifts, and say for each target without one where one was looked for."""
    missing = ~targets.give_redshifts(given)
    if not missing.any():
        return
    inside = RedshiftTable.hdu_of(file)
    beside, expected = redshifts_beside(file.path)
    asked = [] if given.catalogue is None else [given.catalogue.name]
    if inside is not None:
        tables = [RedshiftTable.from_fits(file, inside)]
    else:
        other = beside or (catalogue_beside(file.path) if given.others is None else None)
        found = given.others if other is None else RedshiftTable.read(other)
        tables = [] if found is None else [found]
    for table in tables:
        asked.append(table.name)
        missing &= ~targets.look_up(table, missing)
    for row in np.flatnonzero(missing).tolist():
        if tables:
            targets.say(row, f"no redshift: TARGETID not in {' and not in '.join(asked)}")
        else:
            targets.say(
                row,
                f"no redshift: {expected} is not beside {file.name}, nor zbest, {', '.join(CATALOGUES)} files; no "
                f"table {', '.join(TABLES)} in it{''.join(f'; TARGETID not in {name}' for name in asked)}",
            )


def _combine(
    arms: list[_Arm],
    exposures: list[NDArray[np.intp]],
    part: slice,
    targets: Targets,
    wavelength: NDArray[np.float64],
) -> Spectra:
    """Combine arms and exposures of some targets by inverse variance and bring them to the grid asked for."""
    grid = desi_wavelength()
    flux, ivar = np.zeros((2, len(exposures), len(grid)))
    has_data = np.zeros((len(exposures), len(arms)), bool)
    odd = np.zeros((len(exposures), 2), np.int64)
    for column, arm in enumerate(arms):
        for turn in range(max(map(len, exposures))):
            of_turn = [i for i, rows in enumerate(exposures) if len(rows) > turn]
            pixels = arm.pixels(np.array([exposures[i][turn] for i in of_turn]))
            has_data[of_turn, column] |= pixels.has_data
            odd[of_turn] += 0 if pixels.odd is None else pixels.odd
            arm.add_to(flux, ivar, of_turn, pixels)
    np.divide(flux, ivar, out=flux, where=ivar > 0)
    for row, column in np.argwhere(np.any(has_data, axis=1, keepdims=True) & ~has_data).tolist():
        targets.remark(f"arm {arms[column].name} has no data", part.start + row)
    return targets.normalised(Pixels(flux, ivar, odd), grid, wavelength, part)
