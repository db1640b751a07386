"""FITS files of other layouts, read by specutils where it is installed: spSpec, spPlate, mwmStar, 6dF, HST, JWST, ...

Importing specutils takes seconds, so that is done when a file needs it (https://specutils.readthedocs.io).
"""

import warnings
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError
from imo_engine.readers.fits_table import header_facts, is_in_air
from imo_engine.readers.opened_file import OpenedFile
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.plain_files import printable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.readers.spectrum_columns import FLUX_UNIT, vacuum
from imo_engine.readers.stated_values import coordinates, leading_number
from imo_engine.readers.targets import Targets
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["read_with_specutils", "recognised_by_specutils"]

_GUESSES = ("JWST x1d MIRI MRS", "tabular-fits")
"""Layouts that specutils sees in every path, or in every table; tables are read by imo_engine.readers.fits_table."""
_MAX_SPECTRA = 10_000


def recognised_by_specutils(file: OpenedFile) -> bool:
    """Tell whether specutils is installed and knows the layout of a FITS file."""
    return file.fits is not None and _format(file) is not None


def read_with_specutils(opened: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read spectra through specutils, resampled to ``wavelength``, (N,) vacuum Angstrom, observed frame.

    Flux is converted to 1e-17 erg/s/cm2/Angstrom if its unit can be; whatever kind of uncertainty there is becomes an
    inverse variance.

    Raises:
        OtherKindError: specutils cannot read the file.
        SpectrumFileError: it holds no flux over wavelength.
    """
    file, found = opened.fits, _format(opened)
    assert file is not None and found is not None  # or it would not be recognised
    kind, layout = found
    for hdu in range(len(file)):
        file.shape(hdu)  # refuses packed images that unpack to too much, which specutils would
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = kind.read(str(opened.path), format=layout)
        except MemoryError:
            raise
        except Exception as error:  # each of its loaders fails in its own way
            words = printable(" ".join(f"{type(error).__name__} {error}".split()))[:100]
            raise OtherKindError(
                f"{file.name}: looks like {layout} and specutils cannot read it: {words}; save a CSV table with "
                "columns wave, flux and ivar",
                "FITS of another layout",
                may_be_spectrum=True,
            ) from error
        each = read if isinstance(read, list) else [read]
        # and_mask of SDSS is no mask: see imo_engine.readers.sdss
        parts = [
            _spectra(one, number, len(each), opened, wavelength, given, use_mask="SDSS" not in layout)
            for number, one in enumerate(each[:_MAX_SPECTRA], start=1)
        ]
    return concatenate(parts)


def _format(file: OpenedFile) -> tuple[Any, str] | None:
    """Return which class of specutils reads a file, and the name of its layout; None if it is not installed."""
    from astropy.io.registry import identify_format

    try:
        from specutils import Spectrum, SpectrumList
    except ImportError:
        return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in (Spectrum, SpectrumList):
            with file.path.open("rb") as content:
                names = identify_format("read", kind, str(file.path), content, [str(file.path)], {})
            names = [name for name in names if name not in _GUESSES]
            if names:
                return kind, names[0]
    return None


def _spectra(
    one: Any,  # noqa: ANN401 - specutils is not imported before it is needed
    number: int,
    count: int,
    opened: OpenedFile,
    wavelength: NDArray[np.float64],
    given: GivenRedshifts,
    *,
    use_mask: bool,
) -> Spectra:
    """Return the spectra of one object of specutils, which may have a row for each of several targets."""
    from astropy.nddata import InverseVariance

    file = opened.fits
    assert file is not None
    observed = one.spectral_axis.to_value(units.AA, equivalencies=units.spectral())
    order = np.argsort(observed)
    in_air = is_in_air(file)
    observed = vacuum(observed[order]) if in_air else observed[order]
    flux = np.atleast_2d(one.flux.value).reshape(-1, len(observed))[:_MAX_SPECTRA, order]
    facts = header_facts(file)
    name = str(facts.get("target_id") or file.name.removesuffix(".gz").rpartition(".")[0] or file.name)
    names = [f"{name}-{number}" if count > 1 else name]
    targets = Targets(file.name, names if len(flux) == 1 else [f"{names[0]}-{row + 1}" for row in range(len(flux))])
    if in_air:
        targets.remark("wavelengths in air, converted to vacuum")
    try:
        scale = (np.ones(len(observed)) * one.flux.unit).to_value(
            FLUX_UNIT, equivalencies=units.spectral_density(observed * units.AA)
        )
    except units.UnitsError:
        scale = np.ones(len(observed))
        targets.remark(f"flux in {str(one.flux.unit) or 'no unit'!r}, which is not converted")
    ivar = None
    if one.uncertainty is None:
        targets.has_noise = False
        targets.remark("the file does not say how noisy it is")
    else:
        found = one.uncertainty.represent_as(InverseVariance).quantity.to_value(one.flux.unit**-2)
        kind, stated = one.uncertainty.uncertainty_type, one.uncertainty.array
        targets.noise = {"std": "sigma", "var": "variance"}.get(kind, kind)
        if kind != "ivar":  # 0 stands for what was not measured
            found = np.where(stated > 0, found, np.where(stated < 0, -1.0, 0.0))
        ivar = np.atleast_2d(found).reshape(-1, len(observed))[: len(flux), order] / scale**2
    mask = None
    if use_mask and one.mask is not None:
        mask = np.atleast_2d(one.mask).reshape(-1, len(observed))[: len(flux), order]
    targets.ra, targets.dec = (np.repeat(value, len(flux)) for value in coordinates(facts, targets))
    missing = ~targets.give_redshifts(given)
    if "z" in facts and len(flux) == count == 1:
        targets.redshift[missing] = leading_number(facts, file.name, "z")
        missing[:] = False
    for row in np.flatnonzero(missing).tolist():
        targets.say(row, f"no redshift: {file.name} has no Z or REDSHIFT in its header")
    pixels = Pixels.from_file(flux * scale, ivar, mask)
    return targets.normalised(pixels, observed, wavelength, slice(0, len(flux)))
