"""Spectra as rows of images: LAMOST's five rows in the first HDU, and HDUs WAVE, FLUX, IVAR, MASK and Z as MaNGA's.

LAMOST (http://www.lamost.org/dr1/doc/data-production-description): flux, inverse variance, wavelength in vacuum, and
two masks. Its flux has the shape of a spectrum only, no unit.
"""

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.fits_table import header_facts, is_in_air
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.spectrum_columns import vacuum
from imo_engine.readers.stated_values import coordinates, leading_number
from imo_engine.readers.targets import Targets
from imo_engine.spectra.spectra import Spectra

__all__ = ["read_image_rows", "read_lamost", "recognises_image_rows", "recognises_lamost"]


def recognises_lamost(file: OpenedFile) -> bool:
    """Tell by its telescope and its five rows whether a file is LAMOST's."""
    fits = file.fits
    return fits is not None and str(fits.keyword("TELESCOP")).strip() == "LAMOST" and fits.shape(0)[:-1] == (5,)


def read_lamost(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read a spectrum of LAMOST, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    Raises:
        SpectrumFileError: the file is damaged.
    """
    file = opened.fits
    assert file is not None  # or it would not be recognised
    flux, ivar, observed = np.asarray(file.image(0, 5, -1), np.float64)[:3]
    first, step = file.keyword("COEFF0"), file.keyword("COEFF1")
    if all(isinstance(number, float) and 0 < number < 6 for number in (first, step)):
        observed = 10 ** np.minimum(first + step * np.arange(len(flux)), 300)  # the row is in single precision
    targets = Targets(file.name, [_stem(file)])
    facts = header_facts(file)
    targets.ra, targets.dec = coordinates(facts, targets)
    targets.spectype[0] = str(file.keyword("CLASS") or "").strip()
    if not targets.give_redshifts(given).all():
        if "z" in facts:
            targets.redshift[0] = leading_number(facts, file.name, "z")
        else:
            targets.say(0, f"no redshift: {file.name} has no Z in its header")
    return _spectra(targets, file, observed, Pixels.from_file(flux, ivar), wavelength)


def recognises_image_rows(file: OpenedFile) -> bool:
    """Tell by its HDUs whether a file has spectra as rows of images on one wavelength axis."""
    fits = file.fits
    if fits is None or not all(name in fits for name in ("WAVE", "FLUX", "IVAR")):
        return False
    return len(fits.shape("WAVE")) == 1 and fits.shape("FLUX")[-1:] == fits.shape("WAVE") == fits.shape("IVAR")[-1:]


def read_image_rows(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read spectra of images, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    Raises:
        SpectrumFileError: images that do not fit together.
    """
    file = opened.fits
    assert file is not None  # or it would not be recognised
    observed = file.image("WAVE", -1).astype(np.float64)
    shape = file.shape("FLUX")
    if len(shape) > 2:
        raise SpectrumFileError(f"{file.name}: FLUX is a cube of {shape}; expected a row a spectrum")
    mask = file.image("MASK", *shape) if "MASK" in file else None
    pixels = Pixels.from_file(file.image("FLUX", *shape), file.image("IVAR", *shape), mask)
    rows = len(pixels.flux)
    stem = _stem(file)
    targets = Targets(file.name, [stem] if rows == 1 else [f"{stem}-{row + 1}" for row in range(rows)])
    missing = ~targets.give_redshifts(given)
    if "Z" in file:
        stated = file.image("Z", rows).astype(np.float64)
        targets.redshift[missing] = stated[missing]
        missing &= ~np.isfinite(stated)
    for row in np.flatnonzero(missing).tolist():
        targets.say(row, f"no redshift: {file.name} has none in an HDU Z")
    return _spectra(targets, file, observed, pixels, wavelength)


def _stem(file: FitsFile) -> str:
    return file.name.removesuffix(".gz").removesuffix(".fits")


def _spectra(
    targets: Targets, file: FitsFile, observed: NDArray[np.float64], pixels: Pixels, wavelength: NDArray[np.float64]
) -> Spectra:
    if len(observed) < 2 or not (np.diff(observed) > 0).all() or not (observed[0] >= 100 and observed[-1] <= 1e6):
        raise SpectrumFileError(f"{file.name}: its wavelengths do not increase from pixel to pixel")
    if is_in_air(file):
        observed = vacuum(observed)
        targets.remark("wavelengths in air, converted to vacuum")
    for remark in file.remarks:
        targets.remark(remark)
    return targets.normalised(pixels, observed, wavelength, slice(0, len(pixels.flux)))
