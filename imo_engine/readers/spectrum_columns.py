"""A spectrum from columns of numbers, of a text table or a FITS table: their names, units and noise.

The columns are, whatever their case and order, wavelength (or loglam, its log10), flux, its noise as inverse variance,
variance or one standard deviation, and mask (0 or False = good), under the names of
:mod:`imo_engine.readers.column_names`; a unit may follow in brackets. Noise and mask may be absent, other columns are
ignored. Wavelengths are of vacuum, in the observed frame, in Angstrom if no unit is stated and they can be. Only the
name of a column (wave_air) or the header of a FITS file tells of wavelengths in air, which are 1.0 to 2.7 Angstrom
shorter between 3600 and 9824 Angstrom; they are converted.
"""

import numpy as np
from astropy import units
from numpy.typing import NDArray

from imo_engine.errors import SpectrumFileError
from imo_engine.readers.column_names import AIR, FLUX, IVAR, PER_FREQUENCY, SIGMA, VARIANCE, WAVELENGTH, as_unit
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.plain_files import printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.stated_values import coordinates, leading_number
from imo_engine.readers.targets import Targets
from imo_engine.readers.text_columns import TextColumns
from imo_engine.spectra.spectra import Spectra

__all__ = ["EXPECTED", "FLUX_UNIT", "OPTIONAL", "spectrum_of_columns", "vacuum"]

EXPECTED = "wave (or wavelength, lambda, loglam), flux, and ivar (or error, sigma, uncertainty, variance) if known"
_NOISE_POWERS = {**dict.fromkeys(IVAR, -2), **dict.fromkeys(SIGMA, 1), **dict.fromkeys(VARIANCE, 2)}
"""Which power of the flux's unit a column of noise is in, by its name."""
FLUX_UNIT = 1e-17 * units.erg / units.s / units.cm**2 / units.AA
_UNSTATED = (("nm", 10.0, (200.0, 800.0), (400.0, 2000.0)), ("micron", 1e4, (0.1, 1.2), (0.4, 30.0)))
"""Units in which wavelengths that begin and end in these ranges are taken, for want of any other meaning."""

OPTIONAL = ("mask", *_NOISE_POWERS)
"""Names of columns that are read if they are there."""


def spectrum_of_columns(
    table: TextColumns, target_id: str, wavelength: NDArray[np.float64], given: GivenRedshifts, *, in_air: bool = False
) -> Spectra:
    """Make a spectrum of the columns of a table, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    The result's ``norm`` is in 1e-17 erg/s/cm2/Angstrom if the file gives a unit of flux (per frequency also),
    else in the file's own unit. ``in_air`` is whether the file says that its wavelengths are of air.

    Raises:
        SpectrumFileError: wavelengths or units that make no sense, or less than two rows.
    """
    rows = len(table.columns[table.first(FLUX)])
    if rows < 2:
        raise SpectrumFileError(f"{table.name}: a spectrum has at least two rows, this has {rows}")
    targets = Targets(table.name, [target_id])
    targets.ra, targets.dec = coordinates(table.meta, targets)
    observed, order = _wavelength(table, targets)
    if in_air or table.first(WAVELENGTH) == "":
        observed = vacuum(observed)
        targets.remark("wavelengths in air, converted to vacuum")
    flux, ivar = _flux_and_ivar(table, targets, observed, order)
    # a mask that is NaN does not say that the pixel is good
    bad = table.columns["mask"][order] != 0 if "mask" in table.columns else np.zeros(len(observed), bool)
    if bad.all():
        targets.remark("the mask is set on every pixel")
    if not np.isfinite(flux).any():
        targets.remark("the flux is nowhere a number")
    _add_redshift(targets, table, given)
    return targets.normalised(Pixels.from_file(flux, ivar, bad), observed, wavelength, slice(0, 1))


def vacuum(air: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vacuum wavelengths of those in air, Angstrom, above 2000.

    The inverse of Ciddor (1996, Applied Optics 35, 1566) that the VALD database uses, good to 1e-5 Angstrom.

    >>> vacuum(np.array([5006.843])).round(3).tolist()  # [O III]
    [5008.24]
    """
    squared = (1e4 / air) ** 2
    index = 1 + 8.336624212083e-5 + 0.02408926869968 / (130.1065924522 - squared)
    return np.where(air > 2000, air * (index + 1.599740894897e-4 / (38.92568793293 - squared)), air)


def _wavelength(table: TextColumns, targets: Targets) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return increasing wavelengths, (rows,) Angstrom, and the row that each is from."""
    title = table.first((*WAVELENGTH, *AIR))
    values = table.columns[title]
    if not np.isfinite(values).all():
        raise SpectrumFileError(f"{table.name}: {title} is not a number in row {np.argmin(np.isfinite(values)) + 1}")
    if title == "loglam":
        values = 10 ** np.clip(values, -300, 300)
    elif title in table.units:
        values = values * _angstroms(table.units[title], title, table.name)
    else:
        values = values * _unstated_unit(values, targets)
    order, steps = np.argsort(values, kind="stable"), np.diff(values)
    values = values[order]
    low, high = values[[0, -1]]
    # as for SDSS; NaN here would be a unit beyond floating point
    if not (low >= 100 and high <= 1e6):
        raise SpectrumFileError(
            f"{table.name}: {title} runs from {low:g} to {high:g} Angstrom; expected 100 to 1e6 Angstrom, or a unit in "
            f"the name of the column, such as '{title} [nm]'"
        )
    if high < 2000:
        targets.remark(f"wavelengths end at {high:.0f} Angstrom; are they in another unit?")
    same = np.diff(values) == 0
    if same.any():
        raise SpectrumFileError(f"{table.name}: {title} {values[np.argmax(same)]:g} Angstrom occurs more than once")
    if not (steps > 0).all() and not (steps < 0).all():
        targets.remark("wavelengths were not in order and have been sorted")
    return values, order


def _unstated_unit(values: NDArray[np.float64], targets: Targets) -> float:
    """Return how many Angstrom the unit has that wavelengths without one can only be in."""
    low, high = float(values.min()), float(values.max())
    for unit, angstroms, first, last in _UNSTATED:
        if first[0] <= low <= first[1] and last[0] <= high <= last[1]:
            targets.remark(f"wavelengths from {low:g} to {high:g} without a unit are taken as {unit}")
            return angstroms
    return 1.0


def _flux_and_ivar(
    table: TextColumns, targets: Targets, observed: NDArray[np.float64], order: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return flux and inverse variance, (rows,); None if nothing is known of the noise."""
    title = table.first(tuple(_NOISE_POWERS))
    flux = table.columns[table.first(FLUX)][order]
    scale = _flux_scale(table, targets, observed, title)
    if not title:
        targets.has_noise = False
        targets.remark("the file does not say how noisy it is")
        return flux * scale, None
    targets.noise = title
    noise, power = table.columns[title][order], _NOISE_POWERS[title]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if power == -2:
            return flux * scale, noise / scale**2
        ivar = np.where(noise > 0, (noise * scale**power) ** (-2 / power), 0.0)
        return flux * scale, np.where(noise < 0, -1.0, ivar)  # Pixels.from_file says how many are negative


def _flux_scale(table: TextColumns, targets: Targets, observed: NDArray[np.float64], noise: str) -> NDArray[np.float64]:
    """Return what makes 1e-17 erg/s/cm2/Angstrom of the flux when multiplied by it, (rows,); 1 if that is not known."""
    title = table.first(FLUX)
    ones, stated = np.ones(len(observed)), table.units.get(title)
    if stated is None and title not in PER_FREQUENCY:
        return ones
    try:
        unit = as_unit(stated or "")
        of_noise = as_unit(table.units[noise]) if noise in table.units else None
        scale: NDArray[np.float64] = (ones * unit).to_value(
            FLUX_UNIT, equivalencies=units.spectral_density(observed * units.AA)
        )
    except (ValueError, TypeError, units.UnitsError):
        shown = repr(printable(stated)) if stated else "no unit"
        if title in PER_FREQUENCY:
            raise SpectrumFileError(
                f"{table.name}: {title} is flux per frequency in {shown}; expected a unit in the name of the column, "
                f"such as '{title} [mJy]'"
            ) from None
        targets.remark(f"flux in {shown}, which is not converted")
        return ones
    if of_noise is not None and of_noise != unit ** _NOISE_POWERS[noise]:
        raise SpectrumFileError(f"{table.name}: the units of flux, {unit}, and of {noise}, {of_noise}, do not agree")
    return scale


def _angstroms(unit: str, title: str, name: str) -> float:
    try:
        return float(as_unit(unit).to(units.AA))
    except (ValueError, TypeError, units.UnitsError):
        raise SpectrumFileError(
            f"{name}: the unit of {title} is {printable(unit)!r}; expected a length, such as Angstrom or nm"
        ) from None


def _add_redshift(targets: Targets, table: TextColumns, given: GivenRedshifts) -> None:
    if targets.give_redshifts(given).all():
        return
    if table.meta.get("z") is None and table.meta.get("redshift") is None:
        targets.say(0, f"no redshift: {table.name} has neither z nor redshift in its header or before its table")
        return
    z = leading_number(table.meta, table.name, "z", "redshift")
    targets.redshift[0] = z
    if not np.isfinite(z):
        targets.say(0, f"no redshift: it is {z} in {table.name}")
    elif not -1 < z < 100:
        targets.say(0, f"redshift {z:g} is not a galaxy's")
