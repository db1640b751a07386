"""Write simulated surveys in DESI's layout: coadd, redrock, and the truth in a file of its own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.simulation.spectrograph import arm_slices
from imo_engine.simulation.survey import SurveyPart
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.system.files import write_atomically

__all__ = ["round_mantissa", "write_coadd", "write_hdus", "write_part", "write_redrock"]

_UNIT = "10**-17 erg/(s cm2 Angstrom)"


def round_mantissa(values: NDArray[np.floating], bits: int) -> NDArray[np.float32]:
    """Round float32 values to ``bits`` bits of mantissa, so that gzip finds something to compress.

    >>> float(round_mantissa(np.float32([3.14159]), 4)[0])
    3.125
    """
    raw = np.ascontiguousarray(values, np.float32).view(np.uint32)
    drop = 23 - bits
    rounded = (raw + np.uint32(1 << (drop - 1))) & np.uint32(0xFFFFFFFF ^ ((1 << drop) - 1))
    return np.where(np.isfinite(values), rounded.view(np.float32), np.float32(0)).astype(np.float32)


def write_coadd(
    path: Path,
    target_id: NDArray[np.int64],
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    flux: Mapping[str, NDArray[np.floating]],
    ivar: Mapping[str, NDArray[np.floating]],
    mask: Mapping[str, NDArray[np.integer]],
) -> None:
    """Write a coadd file: FIBERMAP, and WAVELENGTH, FLUX, IVAR, MASK of each arm (no RESOLUTION).

    Raises:
        SpectrumFileError: the disk refuses.
    """
    fibers = Table(
        {
            "TARGETID": target_id.astype(np.int64),
            "TARGET_RA": ra,
            "TARGET_DEC": dec,
            "OBJTYPE": np.full(len(target_id), "TGT"),
            "COADD_FIBERSTATUS": np.zeros(len(target_id), np.int32),
        }
    )
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(fibers, name="FIBERMAP")]
    for arm, where in arm_slices().items():
        wave = fits.ImageHDU(np.round(desi_wavelength()[where], 6), name=f"{arm}_WAVELENGTH")
        wave.header["BUNIT"] = "Angstrom"
        image = fits.ImageHDU(flux[arm].astype(np.float32), name=f"{arm}_FLUX")
        image.header["BUNIT"] = _UNIT
        hdus += [
            wave,
            image,
            fits.ImageHDU(ivar[arm].astype(np.float32), name=f"{arm}_IVAR"),
            fits.ImageHDU(mask[arm].astype(np.int32), name=f"{arm}_MASK"),
        ]
    write_hdus(path, hdus)


def write_redrock(path: Path, target_id: NDArray[np.int64], redshift: NDArray[np.float64]) -> None:
    """Write the redshifts of a coadd file as redrock does.

    Raises:
        SpectrumFileError: the disk refuses.
    """
    n = len(target_id)
    table = Table(
        {
            "TARGETID": target_id.astype(np.int64),
            "Z": redshift,
            "ZERR": np.full(n, 5e-5),
            "ZWARN": np.zeros(n, np.int64),
            "SPECTYPE": np.full(n, "GALAXY"),
            "DELTACHI2": np.full(n, 500.0),
        }
    )
    write_hdus(path, [fits.PrimaryHDU(), fits.BinTableHDU(table, name="REDSHIFTS")])


def write_part(folder: Path, number: int, part: SurveyPart) -> None:
    """Write ``coadd-sim-NNN.fits``, ``redrock-sim-NNN.fits`` and ``truth-sim-NNN.fits``; the truth comes last.

    Raises:
        SpectrumFileError: the disk refuses.
    """
    shot = part.exposure
    name = f"sim-{number:03d}.fits"
    write_coadd(folder / f"coadd-{name}", part.target_id, part.ra, part.dec, shot.flux, shot.ivar, shot.mask)
    write_redrock(folder / f"redrock-{name}", part.target_id, part.redshift)
    write_hdus(folder / f"truth-{name}", truth_hdus(part))


def truth_hdus(part: SurveyPart) -> list[fits.ImageHDU]:
    """Return the truth of one part: tables TARGETS and OUTLIERS; a row an outlier, images MASK and CLEAN_{arm}_FLUX."""
    targets = Table({"TARGETID": part.target_id, "Z_TRUE": part.true_redshift})
    outliers = Table(
        {
            "TARGETID": part.target_id[[truth.row for truth in part.outliers]].astype(np.int64),
            "KIND": np.array([truth.kind for truth in part.outliers], "U24"),
            "STRENGTH": np.array([truth.strength for truth in part.outliers], np.int32),
            "Z_CLEAN": np.array([truth.clean_redshift for truth in part.outliers], float),
            "PARAMETERS": np.array([truth.parameters for truth in part.outliers], "U160"),
        }
    )
    hdus = [
        fits.PrimaryHDU(),
        fits.BinTableHDU(targets, name="TARGETS"),
        fits.BinTableHDU(outliers, name="OUTLIERS"),
    ]
    if part.outliers:
        hdus.append(fits.ImageHDU(np.array([t.mask for t in part.outliers], np.uint8), name="MASK"))
        for arm in arm_slices():
            clean = np.array([t.clean_flux[arm] for t in part.outliers], np.float32)
            hdus.append(fits.ImageHDU(clean, name=f"CLEAN_{arm}_FLUX"))
    return hdus


def write_hdus(path: Path, hdus: list[fits.ImageHDU]) -> None:
    """Write a FITS file (gzipped if its name ends in .gz) so that an interruption leaves no half of it.

    Raises:
        SpectrumFileError: the disk refuses.
    """
    try:
        write_atomically(path, lambda name: fits.HDUList(hdus).writeto(name, overwrite=True))
    except OSError as error:
        raise SpectrumFileError(f"{path}: cannot be written: {error}") from None
