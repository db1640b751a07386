"""What the columns of a spectrum are called, with the unit that a name may have in brackets."""

import re

from astropy import units

__all__ = ["AIR", "FLUX", "IVAR", "SIGMA", "VARIANCE", "WAVELENGTH", "as_unit", "name_and_unit"]

WAVELENGTH = (
    *("wave", "wavelength", "lambda", "spectral_axis", "lam", "wl", "wavelengths", "vacuum_wavelength", "wave_vac"),
    "loglam",
)
AIR = ("wave_air", "wavelength_air", "lambda_air", "air_wavelength", "wav_air")
"""Wavelength in air."""
FLUX = ("flux", "flux_density", "flam", "f_lambda", "flux_lambda")
IVAR = ("ivar", "inverse_variance", "invvar", "flux_ivar", "ivar_flux")
_SIGMA = ("error", "sigma", "uncertainty", "err", "std", "stddev", "noise", "unc", "e", "stdev", "rms")
SIGMA = (
    *(name for name in _SIGMA if name != "e"),
    *(f"flux_{name}" for name in _SIGMA),
    *(f"flux{name}" for name in ("err", "error")),
    *(f"{name}_flux" for name in _SIGMA),
    "eflux",
)
"""One standard deviation."""
VARIANCE = ("variance", "var", "flux_variance", "flux_var", "var_flux", "variance_flux")

_BRACKETS = re.compile(r"(.*?)\s*[\[(]([^\[\]()]*(?:\([^()]*\)[^\[\]()]*)*)[\])]\s*")
_SPELLINGS = (
    (r"(?<![A-Za-z])(?:[Aa]ngstroms?|ang|AA|A|\u00c5|\u212b)(?![A-Za-z])", "Angstrom"),
    (r"(?<![A-Za-z])(?:[Nn]anomet(?:er|re)s?)(?![A-Za-z])", "nm"),
    (r"(?<![A-Za-z])(?:[Mm]icrons|[Mm]icrom(?:eter|etre)s?)(?![A-Za-z])", "micron"),
    (r"(?<![A-Za-z])(?:ergs)(?![A-Za-z])", "erg"),
    (r"(?<![A-Za-z])(?:sec|seconds?)(?![A-Za-z])", "s"),
)


def name_and_unit(title: str) -> tuple[str, str]:
    """Return the name of a column in small letters with "_" for what is between its words, and the unit, or "".

    >>> name_and_unit("Flux Density [1e-17 erg/s/cm2/A]")
    ('flux_density', '1e-17 erg/s/cm2/A')
    """
    found = _BRACKETS.fullmatch(title)
    name, unit = (found[1], found[2].strip()) if found else (title, "")
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or title.lower(), unit


def as_unit(text: str) -> units.UnitBase:
    """Return the unit that a text stands for, in the spelling of spectra: A is Angstrom, never ampere.

    Raises:
        ValueError: it stands for none.
    """
    for spelling, name in _SPELLINGS:
        text = re.sub(spelling, name, text)
    first, *others = text.split("/")
    if len(others) > 1 and "(" not in text:
        text = f"{first}/({' '.join(others)})"  # erg/s/cm2/A divides by all three
    return units.Unit(text)
