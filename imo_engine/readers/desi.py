"""DESI coadded spectra: ``coadd-*.fits`` with their redshifts in ``redrock-*.fits``.

Three arms, B, R and Z (or one that is already combined, BRZ), are put on DESI's common grid and combined
by inverse variance (DESI data model, https://desidatamodel.readthedocs.io).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.instrument import desi_wavelength
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.pixels import Pixels, resample
from imo_engine.readers.redshifts import GivenRedshifts, RedrockRedshifts, redrock_beside
from imo_engine.readers.targets import Targets
from imo_engine.spectra import Spectra, concatenate

__all__ = ["read_desi", "recognises_desi"]

_ARMS = ("B", "R", "Z")
_COMBINED = "BRZ"
_MISALIGNED = 0.01
_ROWS_AT_A_TIME = 256


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

    def pixels(self, rows: slice) -> Pixels:
        """Return the good pixels of some rows."""
        return Pixels.from_file(self.flux[rows], self.ivar[rows], None if self.mask is None else self.mask[rows])

    def add_to(self, flux: NDArray[np.float64], ivar: NDArray[np.float64], pixels: Pixels) -> None:
        """Add ivar * flux and ivar to sums on the common grid, (rows, 7781)."""
        grid = desi_wavelength()
        step = grid[1] - grid[0]
        position = (self.wavelength - grid[0]) / step
        index = np.rint(position)
        if len(index) and np.abs(position - index).max() > _MISALIGNED:
            # not DESI's pixels (early data had others): moving flux to the nearest pixel would shift lines
            pixels, index = resample(pixels, self.wavelength, grid), np.arange(len(grid), dtype=float)
        inside = (index >= 0) & (index < len(grid))
        there = index[inside].astype(np.intp)
        flux[:, there] += (pixels.ivar * pixels.flux)[:, inside]
        ivar[:, there] += pixels.ivar[:, inside]


def recognises_desi(file: FitsFile) -> bool:
    """Tell by its HDUs whether a file holds DESI spectra."""
    return "FIBERMAP" in file and any(f"{arm}_FLUX" in file for arm in (*_ARMS, _COMBINED))


def read_desi(
    file: FitsFile, wavelength: NDArray[np.float64], given: GivenRedshifts, others: RedrockRedshifts | None = None
) -> Spectra:
    """Read the spectra of an open coadd file and their redshifts from the redrock file beside it.

    Args:
        file: the coadd file.
        wavelength: (N,) grid of the result, vacuum Angstrom, observed frame.
        given: redshifts that replace redrock's.
        others: redshifts to use if there is no redrock file beside this one.

    Raises:
        SpectrumFileError: the file or the redrock file beside it is damaged or incomplete.
    """
    id_number = file.integers("FIBERMAP", "TARGETID")
    rows = len(id_number)
    if not rows:
        raise SpectrumFileError(f"{file.name}: FIBERMAP has no rows, so there is no spectrum")
    names = [name for name in _ARMS if f"{name}_FLUX" in file] or [_COMBINED]
    arms = [_Arm.from_file(file, name, rows) for name in names]
    targets = _targets(file, id_number)
    if names != [_COMBINED]:
        for name in _ARMS:
            if name not in names:
                targets.remark(f"arm {name} missing")
    for remark in file.remarks:
        targets.remark(remark)
    _add_redshifts(targets, file, id_number, given, others)

    parts = []
    for start in range(0, rows, _ROWS_AT_A_TIME):
        part = slice(start, min(start + _ROWS_AT_A_TIME, rows))
        parts.append(_combine(arms, part, targets, wavelength))
    return concatenate(parts)


def _targets(file: FitsFile, id_number: NDArray[np.int64]) -> Targets:
    """Read what FIBERMAP says of each target."""
    columns = file.columns("FIBERMAP")
    targets = Targets(file.name, [str(number) for number in id_number], "DESI")
    if {"TARGET_RA", "TARGET_DEC"} <= columns:
        targets.ra, targets.dec = file.floats("FIBERMAP", "TARGET_RA"), file.floats("FIBERMAP", "TARGET_DEC")
    if "OBJTYPE" in columns:
        for row, kind in enumerate(file.texts("FIBERMAP", "OBJTYPE")):
            targets.objtype[row] = kind or "NONE"
            if kind == "SKY":
                targets.problem[row] = "sky fibre"
    status = next((name for name in ("COADD_FIBERSTATUS", "FIBERSTATUS") if name in columns), None)
    if status:
        for row, value in enumerate(file.integers("FIBERMAP", status)):
            if value:
                targets.remark(f"{status} {value}", row)
    return targets


def _add_redshifts(
    targets: Targets,
    file: FitsFile,
    id_number: NDArray[np.int64],
    given: GivenRedshifts,
    others: RedrockRedshifts | None,
) -> None:
    """Fill in redshifts, and say for each target without one why it has none."""
    by_hand = targets.give_redshifts(given)
    if by_hand.all():
        return
    path, expected = redrock_beside(file.path)
    redrock = others if path is None else RedrockRedshifts.read(path)
    if redrock is None:
        for row in np.flatnonzero(~by_hand).tolist():
            targets.say(row, f"no redshift: {expected} is not beside {file.name}")
        return
    found, count = redrock.rows(id_number)
    for row in np.flatnonzero(~by_hand).tolist():
        if found[row] < 0:
            targets.say(row, f"no redshift: TARGETID not in {redrock.name}")
            continue
        z, warning, kind = redrock.z[found[row]], redrock.zwarn[found[row]], redrock.spectype[found[row]]
        targets.redshift[row], targets.zwarn[row], targets.spectype[row] = z, warning, kind
        if not np.isfinite(z):
            targets.say(row, f"no redshift: it is {z} in {redrock.name}")
        if count[row] > 1:
            targets.remark(f"{redrock.name} has {count[row]} redshifts of it, the first is used", row)
        if warning:
            targets.remark(f"ZWARN {warning}", row)
        if kind not in ("GALAXY", ""):
            targets.remark(f"redrock calls it a {kind}", row)


def _combine(arms: list[_Arm], part: slice, targets: Targets, wavelength: NDArray[np.float64]) -> Spectra:
    """Combine the arms of some rows by inverse variance and bring them to the grid asked for."""
    grid = desi_wavelength()
    flux, ivar = np.zeros((2, part.stop - part.start, len(grid)))
    has_data = np.zeros((part.stop - part.start, len(arms)), bool)
    for column, arm in enumerate(arms):
        pixels = arm.pixels(part)
        has_data[:, column] = pixels.has_data
        arm.add_to(flux, ivar, pixels)
    np.divide(flux, ivar, out=flux, where=ivar > 0)
    for row, column in np.argwhere(np.any(has_data, axis=1, keepdims=True) & ~has_data).tolist():
        targets.remark(f"arm {arms[column].name} has no data", part.start + row)
    return targets.normalised(Pixels(flux, ivar), grid, wavelength, part)
