"""SDSS and BOSS spectra, one a file: ``spec-PLATE-MJD-FIBER.fits``.

HDU 1 has the coadded spectrum (columns loglam, flux, ivar, and_mask); the redshift is in the first later
HDU with columns Z and CLASS (https://data.sdss.org/datamodel/files/BOSS_SPECTRO_REDUX/RUN2D/spectra/).
"""

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.fits_file import FitsFile
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.targets import Targets
from imo_engine.spectra.spectra import Spectra

__all__ = ["read_sdss", "recognises_sdss"]

_FIBRE_BITS = {
    0: "NOPLUG",
    1: "BADTRACE",
    2: "BADFLAT",
    3: "BADARC",
    4: "MANYBADCOLUMNS",
    5: "MANYREJECTED",
    6: "LARGESHIFT",
    7: "BADSKYFIBER",
    8: "NEARWHOPPER",
    9: "WHOPPER",
    10: "SMEARIMAGE",
    11: "SMEARHIGHSN",
    12: "SMEARMEDSN",
}
"""Bits of and_mask that speak of the whole spectrum, or of its blue or red half, and not of a pixel."""
_NO_DATA = 1 << 18 | 1 << 22 | 1 << 24
"""FULLREJECT, NOSKY, NODATA: the bits of pixels of which the survey says INVVAR = 0. All others, such as BRIGHTSKY, are
of pixels whose noise is larger, as ivar says (SPPIXMASK in https://www.sdss4.org/dr17/algorithms/bitmasks)."""


def recognises_sdss(file: OpenedFile) -> bool:
    """Tell by its columns whether a file holds an SDSS spectrum."""
    return file.fits is not None and len(file.fits) > 1 and {"LOGLAM", "FLUX", "IVAR"} <= file.fits.columns(1)


def read_sdss(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectrum of an SDSS file, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    Raises:
        SpectrumFileError: the file is damaged.
    """
    file = opened.fits
    assert file is not None  # or it would not be recognised
    loglam = file.floats(1, "LOGLAM")
    # 100 to 1e6 Angstrom; also keeps 10**loglam finite
    if len(loglam) < 2 or not ((loglam > 2) & (loglam < 6)).all() or not (np.diff(loglam) > 0).all():
        raise SpectrumFileError(f"{file.name}: loglam is not an increasing log10 of Angstrom")
    table = next((hdu for hdu in range(2, len(file)) if {"Z", "CLASS"} <= file.columns(hdu)), None)
    if table is not None and not len(file.floats(table, "Z")):
        table = None
    targets = Targets(file.name, [_identifier(file, table)], _instrument(10**loglam))
    targets.ra, targets.dec = _position(file, table)

    mask = file.integers(1, "AND_MASK") if "AND_MASK" in file.columns(1) else np.zeros(len(loglam), np.int64)
    # a pixel that is bad has ivar = 0 already: like DESI's fibre status, bits 0-15 are reported and mask nothing
    flags = [(name, np.mean(mask >> bit & 1)) for bit, name in _FIBRE_BITS.items() if np.any(mask >> bit & 1)]
    if flags:
        targets.remark("and_mask has " + ", ".join(f"{name} on {_share(share)}" for name, share in flags))
    pixels = Pixels.from_file(file.floats(1, "FLUX"), file.floats(1, "IVAR"), mask & _NO_DATA)
    _add_redshift(targets, file, table, given)
    for remark in file.remarks:
        targets.remark(remark)
    return targets.normalised(pixels, 10**loglam, wavelength, slice(0, 1))


def _share(share: float) -> str:
    """Say how many of the pixels, never all or none of them where it is not so."""
    if share == 1:
        return "every pixel"
    percent = min(max(round(100 * share), 1), 99)
    about = "less than " if 100 * share < 0.5 else "more than " if 100 * share >= 99.5 else ""
    return f"{about}{percent}% of the pixels"


def _instrument(wavelength: NDArray[np.float64]) -> str:
    """Tell the spectrographs of SDSS from those of BOSS, which reach farther at both ends."""
    return "BOSS" if wavelength[0] < 3750 or wavelength[-1] > 9400 else "SDSS"


def _add_redshift(targets: Targets, file: FitsFile, table: int | None, given: GivenRedshifts) -> None:
    if targets.give_redshifts(given).all():
        return
    if table is None:
        targets.say(0, f"no redshift: {file.name} has no table with Z and CLASS")
        return
    z = file.floats(table, "Z")[0]
    targets.redshift[0] = z
    if not np.isfinite(z):
        targets.say(0, f"no redshift: it is {z} in {file.name}")
    if "ZWARNING" in file.columns(table):
        warning = file.integers(table, "ZWARNING")[0]
        targets.zwarn[0] = warning
        if warning:
            targets.remark(f"ZWARNING {warning}")
    kind = targets.spectype[0] = file.texts(table, "CLASS")[0]
    if kind not in ("GALAXY", ""):
        targets.remark(f"SDSS calls it a {kind}")


def _identifier(file: FitsFile, table: int | None) -> str:
    """Return PLATE-MJD-FIBERID, from the redshift table or the primary header, else the file's stem."""
    # PLATEID in the table is a long text that identifies the plate's reduction, in the header it is the plate
    wanted = ("PLATE", "MJD", "FIBERID")
    if table is not None and set(wanted) <= file.columns(table):
        return "-".join(str(file.integers(table, column)[0]) for column in wanted)
    parts = [file.keyword("PLATEID", "PLATE"), file.keyword("MJD"), file.keyword("FIBERID")]
    if all(isinstance(part, int) and not isinstance(part, bool) for part in parts):
        return "-".join(str(part) for part in parts)
    return file.name.removesuffix(".gz").removesuffix(".fits")


def _position(file: FitsFile, table: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination, (1,) each, NaN where unknown."""
    columns = file.columns(table) if table is not None else set()
    for ra, dec in (("PLUG_RA", "PLUG_DEC"), ("RA", "DEC")):
        if table is not None and {ra, dec} <= columns:
            return file.floats(table, ra)[:1], file.floats(table, dec)[:1]
    # RA and DEC of the primary header are where the telescope pointed, up to 1.5 degrees from the fibre
    header = file.keyword("PLUG_RA"), file.keyword("PLUG_DEC")
    if all(isinstance(value, (int, float)) for value in header):
        return np.array(header[:1], float), np.array(header[1:], float)
    return np.full(1, np.nan), np.full(1, np.nan)
