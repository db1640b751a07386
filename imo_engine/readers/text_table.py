"""Spectra in text tables, CSV or ECSV, one spectrum a file.

The columns are, whatever their case and order: wave (or wavelength, lambda, spectral_axis; or loglam, its log10),
flux, ivar (or error, sigma, uncertainty: one standard deviation) and, if there is one, mask (0 or False = good).
Others are ignored. Wavelengths are vacuum Angstrom in the observed frame; an ECSV file may say another unit of
length, and one of flux. Whether wavelengths are of vacuum or of air no file of this kind tells: those of air are
1.0 to 2.7 Angstrom shorter between 3600 and 9824 Angstrom and have to be converted before.

Redshift (z or redshift), target_id, ra and dec come from the header of an ECSV file (its ``meta``), or from comments,
which a CSV file may have before its table::

    # z = 0.1234
    # target_id = 39633345008634465
    wave,flux,ivar
    3600.0,1.52,4.0
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.fits_file import one_error, plain_file, printable
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.targets import Targets
from imo_engine.readers.text_columns import MAX_BYTES, TextColumns, is_number
from imo_engine.spectra import Spectra

__all__ = ["read_text_table", "recognises_text_table"]

_SUFFIXES = (".ecsv", ".csv")
_WAVELENGTH = ("wave", "wavelength", "lambda", "spectral_axis", "loglam")
_NOISE = ("ivar", "error", "sigma", "uncertainty")
_EXPECTED = "wave (or wavelength, lambda, loglam), flux, and ivar (or error, sigma, uncertainty)"

_FLUX_UNIT = 1e-17 * units.erg / units.s / units.cm**2 / units.AA
_USUAL_FLUX = (1e-4, 1e5)
_NOT_TEXT = (b"SIMPLE  =", b"\x80", b"PK\x03\x04", b"\x89", b"\x93")
_MAX_TEXT = 100


def recognises_text_table(path: Path) -> bool:
    """Tell by its name whether a file is a text table."""
    return path.name.lower().removesuffix(".gz").endswith(_SUFFIXES)


def read_text_table(path: Path, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectrum of a text table, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    The result's ``norm`` is in 1e-17 erg/s/cm2/Angstrom if an ECSV file gives a unit of flux (per frequency also),
    else in the file's own unit.

    Raises:
        SpectrumFileError: the file is too large, not a table of numbers, or lacks a column.
    """
    name = printable(path.name)
    with one_error(name, "text table"):
        with plain_file(path, name, _check_text, MAX_BYTES) as file:
            content = file.read(MAX_BYTES + 1)
        table = TextColumns.parse(content, name, (_WAVELENGTH, ("flux",), _NOISE), ("mask",), _EXPECTED)
        targets = Targets(name, [_text(table.meta, "target_id", "targetid") or _stem(name)])
        targets.ra, targets.dec = (np.array([_number(table.meta, name, key)]) for key in ("ra", "dec"))
        observed, order = _wavelength(table, targets)
        flux, ivar = _flux_and_ivar(table, targets, observed, order)
        # a mask that is NaN does not say that the pixel is good
        bad = table.columns["mask"][order] != 0 if "mask" in table.columns else np.zeros(len(observed), bool)
        if bad.all():
            targets.remark("the mask is set on every pixel")
        if not np.isfinite(flux).any():
            targets.remark("the flux is nowhere a number")
        _add_redshift(targets, table, given)
        return targets.normalised(Pixels.from_file(flux, ivar, bad), observed, wavelength, slice(0, 1))


def _check_text(head: bytes, name: str) -> None:
    if not head:
        raise SpectrumFileError(f"{name}: the file is empty")
    if b"\0" in head or head.startswith(_NOT_TEXT):
        raise SpectrumFileError(f"{name}: not a text table, whatever its name says")


def _wavelength(table: TextColumns, targets: Targets) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return increasing wavelengths, (rows,) Angstrom, and the row that each is from."""
    title = table.first(_WAVELENGTH)
    values = table.columns[title]
    if not np.isfinite(values).all():
        raise SpectrumFileError(f"{table.name}: {title} is not a number in row {np.argmin(np.isfinite(values)) + 1}")
    if title == "loglam":
        values = 10 ** np.clip(values, -300, 300)
    elif title in table.units:
        values = values * _angstroms(table.units[title], title, table.name)
    order, steps = np.argsort(values, kind="stable"), np.diff(values)
    values = values[order]
    low, high = values[[0, -1]]
    # as for SDSS; NaN here would be a unit beyond floating point
    if not (low >= 100 and high <= 1e6):
        raise SpectrumFileError(
            f"{table.name}: {title} runs from {low:g} to {high:g} Angstrom; expected 100 to 1e6 Angstrom, or an ECSV "
            "file that says its unit"
        )
    if high < 2000:
        targets.remark(f"wavelengths end at {high:.0f} Angstrom; are they in nm?")
    same = np.diff(values) == 0
    if same.any():
        raise SpectrumFileError(f"{table.name}: {title} {values[np.argmax(same)]:g} Angstrom occurs more than once")
    if not (steps > 0).all() and not (steps < 0).all():
        targets.remark("wavelengths were not in order and have been sorted")
    return values, order


def _flux_and_ivar(
    table: TextColumns, targets: Targets, observed: NDArray[np.float64], order: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return flux and inverse variance, (rows,), with flux of a size that is usual in surveys."""
    title = table.first(_NOISE)
    flux, noise = table.columns["flux"][order], table.columns[title][order]
    scale = _flux_scale(table, targets, observed, title)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        flux = flux * scale
        size = np.abs(flux[np.isfinite(flux) & (flux != 0)])
        typical = float(np.median(size)) if len(size) else 1.0
        if np.isfinite(typical) and not _USUAL_FLUX[0] < typical < _USUAL_FLUX[1]:
            # a flux in erg/s/cm2/Angstrom has an ivar of about 1e34: single precision ends there
            power = int(np.floor(np.log10(typical)))
            flux, scale = flux / 10.0**power, scale / 10.0**power
            targets.remark(f"flux in 1e{power} of the file's unit")
        if title == "ivar":
            return flux, noise / scale**2
        return flux, np.where(noise > 0, 1 / (noise * scale) ** 2, 0.0)


def _flux_scale(table: TextColumns, targets: Targets, observed: NDArray[np.float64], noise: str) -> NDArray[np.float64]:
    """Return what makes 1e-17 erg/s/cm2/Angstrom of the flux when multiplied by it, (rows,); 1 if that is not known."""
    ones, stated = np.ones(len(observed)), table.units.get("flux")
    if stated is None:
        return ones
    try:
        unit = units.Unit(stated)
        of_noise = units.Unit(table.units[noise]) if noise in table.units else None
        scale = (ones * unit).to_value(_FLUX_UNIT, equivalencies=units.spectral_density(observed * units.AA))
    except (ValueError, TypeError, units.UnitsError):
        targets.remark(f"flux in {printable(stated)!r}, which is not converted")
        return ones
    if of_noise is not None and of_noise != (unit**-2 if noise == "ivar" else unit):
        raise SpectrumFileError(f"{table.name}: the units of flux, {unit}, and of {noise}, {of_noise}, do not agree")
    return scale


def _angstroms(unit: str, title: str, name: str) -> float:
    try:
        return float(units.Unit(unit).to(units.AA))
    except (ValueError, TypeError, units.UnitsError):
        raise SpectrumFileError(
            f"{name}: the unit of {title} is {printable(unit)!r}; expected a length, such as Angstrom or nm"
        ) from None


def _text(meta: Mapping[str, Any], *keys: str) -> str:
    found = next((meta[key] for key in keys if isinstance(meta.get(key), (str, int))), "")
    return printable(str(found)).strip()[:_MAX_TEXT]


def _number(meta: Mapping[str, Any], name: str, *keys: str) -> float:
    key, found = next(((key, meta[key]) for key in keys if meta.get(key) is not None), ("", np.nan))
    if isinstance(found, (str, int, float)) and not isinstance(found, bool) and is_number(str(found)):
        return float(found)
    raise SpectrumFileError(f"{name}: {key} is {printable(str(found))[:30]!r}, not a number")


def _add_redshift(targets: Targets, table: TextColumns, given: GivenRedshifts) -> None:
    if targets.give_redshifts(given).all():
        return
    if table.meta.get("z") is None and table.meta.get("redshift") is None:
        targets.say(0, f"no redshift: {table.name} has neither z nor redshift before its table")
        return
    z = _number(table.meta, table.name, "z", "redshift")
    targets.redshift[0] = z
    if not np.isfinite(z):
        targets.say(0, f"no redshift: it is {z} in {table.name}")
    elif not -1 < z < 100:
        targets.say(0, f"redshift {z:g} is not a galaxy's")


def _stem(name: str) -> str:
    return re.sub(r"\.e?csv(\.gz)?$", "", name, flags=re.IGNORECASE)
