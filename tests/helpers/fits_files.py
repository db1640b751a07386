"""Small files in the layouts of DESI, redrock and SDSS, for tests that must run anywhere."""

import numpy as np
from astropy.io import fits

from imo_engine.spectra.instrument import ARMS

GRID = np.round(3600.0 + 0.8 * np.arange(7781), 1)
OXYGEN = 5008.24
"""[O III], vacuum Angstrom."""


def arm_wavelength(arm):
    """Vacuum wavelengths of one arm, as in DESI's files."""
    low, high = (3600.0, 9824.0) if arm == "BRZ" else ARMS[arm]
    return np.arange(low, high + 0.4, 0.8)


def arms(rows, *, names="BRZ", flux=1.0, ivar=4.0):
    """Arms of constant flux and ivar: {name: {"wavelength", "flux", "ivar", "mask"}}, to be changed by a test."""
    made = {}
    for name in [names] if isinstance(names, str) and len(names) == 1 else names:
        wave = arm_wavelength(name)
        shape = rows, len(wave)
        made[name] = {
            "wavelength": wave,
            "flux": np.full(shape, flux, np.float32),
            "ivar": np.full(shape, ivar, np.float32),
            "mask": np.zeros(shape, np.uint32),
        }
    return made


def write_coadd(path, target_id, data=None, *, objtype=None, status=None, checksum=False):
    """Write a DESI coadd file; ``data`` as :func:`arms` makes it."""
    n = len(target_id)
    columns = [
        fits.Column("TARGETID", "K", array=np.array(target_id, np.int64)),
        fits.Column("COADD_FIBERSTATUS", "J", array=np.array([0] * n if status is None else status, np.int32)),
        fits.Column("TARGET_RA", "D", array=150.0 + np.arange(n)),
        fits.Column("TARGET_DEC", "D", array=2.0 + np.arange(n)),
        fits.Column("OBJTYPE", "3A", array=np.array(["TGT"] * n if objtype is None else objtype)),
    ]
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="FIBERMAP")]
    for name, arm in (arms(n) if data is None else data).items():
        hdus += [fits.ImageHDU(values, name=f"{name}_{kind.upper()}") for kind, values in arm.items()]
    fits.HDUList(hdus).writeto(path, overwrite=True, checksum=checksum)
    return path


def write_redrock(path, target_id, z, *, zwarn=0, spectype="GALAXY"):
    """Write a redrock file."""
    n = len(target_id)
    columns = [
        fits.Column("TARGETID", "K", array=np.array(target_id, np.int64)),
        fits.Column("Z", "D", array=np.array(z, float)),
        fits.Column("ZERR", "D", array=np.full(n, 1e-5)),
        fits.Column("ZWARN", "K", array=np.broadcast_to(zwarn, n).astype(np.int64)),
        fits.Column("SPECTYPE", "6A", array=np.broadcast_to(spectype, n).astype(str)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="REDSHIFTS")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


def write_sdss(path, *, z=0.05, flux=None, ivar=4.0, and_mask=0, table_name=None, table=True, header=None, extra=()):
    """Write an SDSS spec file, a flat continuum with [O III] at its place unless ``flux`` is given.

    ``header``: cards of the primary header; ``extra``: more columns of the table with the redshift.
    """
    loglam = 3.58 + 1e-4 * np.arange(3800)
    if flux is None:
        flux = 1.0 + 5.0 * np.exp(-0.5 * ((10**loglam - OXYGEN * (1 + z)) / 3.0) ** 2)
    coadd = fits.BinTableHDU.from_columns(
        [
            fits.Column("flux", "E", array=np.broadcast_to(flux, loglam.shape)),
            fits.Column("loglam", "E", array=loglam),
            fits.Column("ivar", "E", array=np.broadcast_to(ivar, loglam.shape)),
            fits.Column("and_mask", "J", array=np.broadcast_to(and_mask, loglam.shape)),
        ],
        name="COADD",
    )
    primary = fits.PrimaryHDU()
    primary.header.update({"PLATEID": 1234, "MJD": 55555, "FIBERID": 7, **(header or {})})
    hdus = [primary, coadd]
    if table:
        columns = [
            fits.Column("Z", "E", array=[z]),
            fits.Column("CLASS", "6A", array=["GALAXY"]),
            fits.Column("ZWARNING", "J", array=[0]),
            *extra,
        ]
        hdus.append(fits.BinTableHDU.from_columns(columns, name=table_name))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def altered(path, *changes):
    """Replace header cards of a file, (beginning of the old card, new text) each, leaving its length alone."""
    content = path.read_bytes()
    for old, new in changes:
        at = content.rindex(old.encode())
        content = content[:at] + new.ljust(80).encode() + content[at + 80 :]
    path.write_bytes(content)
    return path
