"""What the columns of a spectrum are called, with the unit that a name may have in brackets or at its end."""

import re
from collections.abc import Iterable, Sequence

from astropy import units

__all__ = [
    "AIR",
    "FLUX",
    "IVAR",
    "PER_FREQUENCY",
    "SIGMA",
    "VARIANCE",
    "WAVELENGTH",
    "as_unit",
    "looks_like_spectrum",
    "name_and_unit",
    "names_and_units",
]

WAVELENGTH = (
    *("wave", "wavelength", "lambda", "spectral_axis", "lam", "wl", "wavelengths", "vacuum_wavelength", "wave_vac"),
    "loglam",
)
AIR = ("wave_air", "wavelength_air", "lambda_air", "air_wavelength", "wav_air")
"""Wavelength in air."""
PER_FREQUENCY = ("fnu", "f_nu", "flux_nu")
"""Flux per frequency, which a unit has to go with."""
FLUX = ("flux", "flux_density", "flam", "f_lambda", "flux_lambda", *PER_FREQUENCY)
IVAR = ("ivar", "inverse_variance", "invvar", "flux_ivar", "ivar_flux", "fnu_ivar", "flam_ivar")
_SIGMA = ("error", "sigma", "uncertainty", "err", "std", "stddev", "noise", "unc", "e", "stdev", "rms")
SIGMA = (
    *(name for name in _SIGMA if name != "e"),
    *(f"{flux}_{name}" for flux in ("flux", "fnu", "flam") for name in _SIGMA),
    *(f"flux{name}" for name in ("err", "error")),
    *(f"{name}_{flux}" for flux in ("flux", "fnu", "flam") for name in _SIGMA),
    "eflux",
)
"""One standard deviation."""
VARIANCE = ("variance", "var", "flux_variance", "flux_var", "var_flux", "variance_flux")

_GROUPS = ((*WAVELENGTH, *AIR), FLUX, (*IVAR, *SIGMA, *VARIANCE))
_OBSERVED = ("observed", "obs")
_ENDINGS = {
    **dict.fromkeys(("aa", "ang", "angstrom", "angstroms"), "Angstrom"),
    **dict.fromkeys(("um", "micron", "microns"), "micron"),
    **{"nm": "nm", "jy": "Jy", "mjy": "mJy", "ujy": "uJy", "njy": "nJy"},
}
"""Units that the last word of a name may be."""
_LIKE_WAVELENGTH = re.compile(r"(?:^|_)(?:wav[a-z]*|lam|lambda|wl|angstroms?|spectral)(?:_|$)")
_LIKE_FLUX = re.compile(r"(?:^|_)(?:[a-z]*flux[a-z]*|flam|f_lambda|fnu|f_nu|counts|spec|spectrum)(?:_|$)")
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


def names_and_units(titles: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and unit of each column of a table, as :func:`name_and_unit` does.

    Where no column is called wavelength, flux or noise, the only one that is but for "observed" before it, or for a
    unit at its end, is called so.

    >>> names_and_units(["Observed Wavelength [nm]", "fnu_mJy", "fnu_err_mJy"])
    [('wavelength', 'nm'), ('fnu', 'mJy'), ('fnu_err', 'mJy')]
    """
    found = [name_and_unit(title) for title in titles]
    for group in _GROUPS:
        if any(name in group for name, _ in found):
            continue
        others = {column: _bare(title) for column, title in enumerate(titles) if _bare(title)[0] in group}
        if len(others) == 1:
            ((column, bare),) = others.items()
            found[column] = bare
    return found


def _bare(title: str) -> tuple[str, str]:
    """Return name and unit of a column without "observed" and without the unit that the name ends with."""
    name, unit = name_and_unit(title.replace("\u00b5", "u").replace("\u03bc", "u"))
    words = [word for word in name.split("_") if word not in _OBSERVED]
    # in capitals, as in FITS files, mJy and MJy are the same
    if not unit and words and words[-1] in _ENDINGS and (words[-1] != "mjy" or title.strip().endswith("mJy")):
        unit = _ENDINGS[words.pop()]
    return "_".join(words), unit if words != ["loglam"] else ""


def looks_like_spectrum(titles: Iterable[str]) -> bool:
    """Tell by the names of its columns whether a table may be a spectrum, though under names that are not known.

    >>> looks_like_spectrum(["Rest Wavelength", "Total flux"]), looks_like_spectrum(["wave", "height"])
    (True, False)
    """
    names = [name_and_unit(title)[0] for title in titles]
    return any(map(_LIKE_WAVELENGTH.search, names)) and any(map(_LIKE_FLUX.search, names))


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
