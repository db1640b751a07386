"""Galaxies and other sources that are really unusual: changes of the expected flux before it is observed.

Kinds as reported for SDSS and DESI outliers (Baron & Poznanski 2017, MNRAS 465, 4530; Liang et al. 2023,
AJ 166, 75); sizes run over four levels from hardly visible to obvious.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.simulation.galaxies import calzetti
from imo_engine.simulation.library import GalaxyLibrary
from imo_engine.simulation.lines import LINE_WAVELENGTHS, SPEED_OF_LIGHT, line_index, render_lines
from imo_engine.simulation.spectrograph import RESOLUTION
from imo_engine.simulation.stars import STAR_TYPES, star_spectrum
from imo_engine.spectra.spectra import NORMALISATION_RANGE

__all__ = ["NEEDS_LINES", "ODDITIES", "Odd", "Target", "double_peaked_lines"]

Array = NDArray[np.float64]

_SPLIT = (220.0, 330.0, 470.0, 700.0)
_WING = ((0.3, 250.0, 120.0), (0.4, 380.0, 250.0), (0.5, 550.0, 400.0), (0.6, 800.0, 600.0))
_BROAD = ((25.0, 0.1), (60.0, 0.25), (150.0, 0.5), (400.0, 0.8))
_BLEND = (0.15, 0.3, 0.6, 1.0)
_WRONG = (0.006, 0.02, 0.08, 0.22)
_STAR = (0.25, 0.5, 0.8, 1.0)
_RATIO = (0.4, 0.7, 1.0, 1.4)
_REDDENED = (0.8, 1.6, 2.8, 4.5)


@dataclass(frozen=True, eq=False)
class Target:
    """One galaxy of the survey: where it is in the library, its redshift, its flux at rest 5300-5850 Angstrom."""

    library: GalaxyLibrary
    row: int
    redshift: float
    amplitude: float
    wavelength: Array

    def continuum(self) -> Array:
        """Return the noiseless flux without lines, (N,)."""
        return self._expected(np.zeros(len(LINE_WAVELENGTHS)))

    def expected(self) -> Array:
        """Return the noiseless flux, (N,), 1e-17 erg/s/cm2/Angstrom."""
        return self._expected(self.library.line_flux[self.row].astype(float))

    def _expected(self, line_flux: Array) -> Array:
        galaxy = self.library[[self.row]]
        bare = GalaxyLibrary(
            galaxy.continuum, line_flux[None].astype(np.float32), galaxy.line_dispersion, galaxy.family, galaxy.seyfert
        )
        z = np.array([self.redshift])
        flux: Array = self.amplitude * bare.observe(np.array([0]), z, self.wavelength, resolution=RESOLUTION)[0]
        return flux

    def with_lines(self, line_flux: Array) -> Array:
        """Return the noiseless flux with other line fluxes, (L,)."""
        return self._expected(line_flux)

    def lines(self, line_flux: Array, *, shift: float, dispersion: float) -> Array:
        """Return lines alone, moved by ``shift`` km/s and broadened to ``dispersion`` km/s, (N,)."""
        centre = (LINE_WAVELENGTHS * (1 + self.redshift) * (1 + shift / SPEED_OF_LIGHT))[None]
        sigma = np.hypot(centre * dispersion / SPEED_OF_LIGHT, RESOLUTION)
        flux: Array = (
            self.amplitude * render_lines(self.wavelength, centre, line_flux[None] * (1 + self.redshift), sigma)[0]
        )
        return flux


@dataclass(frozen=True, eq=False)
class Odd:
    """What became of a target: expected flux, (N,), the redshift that will be reported, parameters in words."""

    expected: Array
    redshift: float
    parameters: dict[str, Any]


def double_peaked_lines(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Split every line in two, as a rotating disc or a pair does."""
    split = _SPLIT[level] * rng.uniform(0.9, 1.1)
    share = rng.uniform(0.4, 0.6)
    flux = target.library.line_flux[target.row].astype(float)
    sigma = min(float(target.library.line_dispersion[target.row]), 0.3 * split)
    odd = target.continuum() + target.lines(flux * share, shift=-split / 2, dispersion=sigma)
    odd += target.lines(flux * (1 - share), shift=split / 2, dispersion=sigma)
    return Odd(odd, target.redshift, {"split_km_s": split, "blue_share": share})


def outflow_wings(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Put part of every line into a broad component that comes towards us."""
    share, width, shift = _WING[level]
    flux = target.library.line_flux[target.row].astype(float)
    odd = target.with_lines(flux) + target.lines(flux * share / (1 - share), shift=-shift, dispersion=width)
    return Odd(odd, target.redshift, {"share": share, "dispersion_km_s": width, "shift_km_s": -shift})


def broad_line_agn(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Add a power-law continuum and broad Balmer lines."""
    width, share = _BROAD[level]
    dispersion = rng.uniform(1300.0, 3200.0)
    rest = target.wavelength / (1 + target.redshift)
    power = target.amplitude * share / (1 - share) * (rest / 5575.0) ** rng.uniform(-2.0, -1.0)
    flux = np.zeros(len(LINE_WAVELENGTHS))
    flux[line_index("Hα", "Hβ", "Hγ", "Hδ")] = width / (1 - share) * np.array([1.0, 0.33, 0.15, 0.08])
    odd = target.expected() + power + target.lines(flux, shift=rng.normal(0, 200), dispersion=dispersion)
    return Odd(odd, target.redshift, {"width_ha_A": width, "dispersion_km_s": dispersion, "agn_share": share})


def blend(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Add another galaxy at another redshift."""
    z = target.redshift
    while abs(z - target.redshift) < 0.03:
        z = rng.uniform(0.02, 0.6)
    other = Target(target.library, int(rng.integers(len(target.library))), z, target.amplitude, target.wavelength)
    odd = target.expected() + _BLEND[level] * other.expected()
    return Odd(odd, target.redshift, {"other_redshift": z, "other_share": _BLEND[level]})


def wrong_redshift(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Report a redshift that is off; the spectrum itself is ordinary."""
    sign = 1.0 if target.redshift < 0.25 else -1.0
    z = (1 + target.redshift) * (1 + sign * _WRONG[level]) - 1
    return Odd(target.expected(), z, {"true_redshift": target.redshift})


def star_as_galaxy(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Replace light of the galaxy by a star's; the redshift stays the galaxy's."""
    kind = str(rng.choice(STAR_TYPES))
    temperature = float({"A": 9000, "K": 4700, "M": 3400}[kind] * rng.uniform(0.92, 1.08))
    star = star_spectrum(kind, target.wavelength, temperature=temperature)
    low, high = (edge * (1 + target.redshift) for edge in NORMALISATION_RANGE)
    star = star / np.median(star[(target.wavelength > low) & (target.wavelength < high)]) * target.amplitude
    share = _STAR[level]
    odd = (1 - share) * target.expected() + share * star
    return Odd(odd, target.redshift, {"star": kind, "temperature_K": temperature, "share": share})


def line_ratios(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Change the ratios of lines beyond what nebulae of galaxies do: high ionisation, or nitrogen-rich."""
    flux = target.library.line_flux[target.row].astype(float)
    flavour = str(rng.choice(["high ionisation", "nitrogen"]))
    factor = 10 ** _RATIO[level]
    if flavour == "nitrogen":
        flux[line_index("[N II] 6548", "[N II] 6584")] *= factor
        flux[line_index("[O III] 4959", "[O III] 5007")] /= factor
    else:
        flux[line_index("[O III] 4959", "[O III] 5007", "[Ne III] 3869", "[Ne III] 3967", "[O III] 4363")] *= factor
        flux[line_index("He II 4686")] += 0.3 * flux[line_index("Hβ")] * _RATIO[level]
        flux[line_index("[N II] 6548", "[N II] 6584", "[S II] 6716", "[S II] 6731")] /= factor
    return Odd(target.with_lines(flux), target.redshift, {"flavour": flavour, "dex": _RATIO[level]})


def dusty_red(target: Target, level: int, rng: np.random.Generator) -> Odd:
    """Redden the galaxy strongly; its flux at rest 5300-5850 Angstrom stays."""
    rest = target.wavelength / (1 + target.redshift)
    curve = calzetti(rest) - calzetti(np.array([5575.0]))
    odd = target.expected() * 10 ** (-0.4 * _REDDENED[level] * curve)
    return Odd(odd, target.redshift, {"extra_av": _REDDENED[level]})


ODDITIES: dict[str, Callable[[Target, int, np.random.Generator], Odd]] = {
    "double_peaked_lines": double_peaked_lines,
    "outflow_wings": outflow_wings,
    "broad_line_agn": broad_line_agn,
    "blend": blend,
    "wrong_redshift": wrong_redshift,
    "star_as_galaxy": star_as_galaxy,
    "line_ratios": line_ratios,
    "dusty_red": dusty_red,
}
"""Kinds of unusual sources: function of (target, level 0 to 3, rng)."""

NEEDS_LINES = frozenset({"double_peaked_lines", "outflow_wings", "line_ratios"})
"""Kinds that are only possible in a galaxy with emission lines."""
