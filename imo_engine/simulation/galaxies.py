"""Galaxies from stellar population synthesis, with bagpipes' grids (Carnall et al. 2018, MNRAS 480, 4379).

Stars: BC03 in its 2016 version with MILES; nebulae: Cloudy. bagpipes is GPL and optional: it is imported
only when a :class:`GalaxySynthesis` is made. Its model_galaxy samples at R = 1000 and adds lines into single
pixels, too coarse for DESI; its grids are used directly instead, lines apart from the continuum.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from imo_engine.errors import ImoError
from imo_engine.simulation.library import GalaxyLibrary, normalise_library, rest_wavelength
from imo_engine.simulation.lines import LINE_NAMES, LINE_WAVELENGTHS, SPEED_OF_LIGHT, line_index, to_air
from imo_engine.simulation.priors import GalaxyParameters

__all__ = ["GalaxySynthesis", "analytic_galaxies", "calzetti"]

_YOUNG = 1e7  # years; stars younger than this ionise and lie in birth clouds
_BIN = 60.0  # km/s, width of the rest-frame bins
_GROUPS = {
    0: ("[N II] 6548", "[N II] 6584"),
    1: ("[O III] 4363", "[O III] 4959", "[O III] 5007", "[Ne III] 3869", "[Ne III] 3967"),
    2: ("[S II] 6716", "[S II] 6731"),
    3: ("[O II] 3726", "[O II] 3729", "[O II] 7320", "[O II] 7330"),
    4: ("[O I] 6300", "[O I] 6364"),
    5: ("[S III] 9069", "[S III] 9532", "[Ar III] 7135"),
}
_CASE_B = {"Hα": 2.86, "Hβ": 1.0, "Hγ": 0.468, "Hδ": 0.259, "Hε": 0.159, "H8": 0.105, "H9": 0.073, "H10": 0.053}
_ABSORPTION = {
    "sodium": ((5891.58, 0.55), (5897.56, 0.45)),
    "magnesium": ((5168.76, 0.25), (5174.13, 0.35), (5185.05, 0.40)),
    "balmer": ((4862.71, 1.0), (4341.69, 0.7), (4102.89, 0.5)),
    "calcium": ((3934.78, 0.5), (3969.59, 0.5)),
}


def calzetti(wavelength: NDArray[np.float64], slope: NDArray[np.float64] | float = 0.0) -> NDArray[np.float64]:
    """Return A(wavelength)/A(V) of Calzetti et al. (2000, ApJ 533, 682), times (wavelength/5500)**slope."""
    micron = np.asarray(wavelength) / 1e4
    blue = 2.659 * (-2.156 + 1.509 / micron - 0.198 / micron**2 + 0.011 / micron**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 / micron) + 4.05
    return np.where(micron < 0.63, blue, red) / 4.05 * (np.asarray(wavelength) / 5500.0) ** slope


class GalaxySynthesis:
    """bagpipes' stellar and nebular grids on :func:`~imo_engine.simulation.library.rest_wavelength`.

    Raises:
        ImoError: bagpipes is not installed.
    """

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                from bagpipes import config
                from bagpipes.models.nebular_model import nebular
                from bagpipes.models.stellar_model import stellar
        except ImportError as error:
            raise ImoError(f"galaxies need bagpipes: pip install 'imo-explorer[simulate]' ({error})") from None
        self._config = config
        self.rest = rest_wavelength()
        # BC03-MILES and Cloudy wavelengths are in air
        air = to_air(self.rest)
        self._stars = stellar(air).grid.transpose(1, 2, 0).astype(np.float32)  # (metallicity, age, R)
        self._lines = nebular(np.linspace(3000.0, 10000.0, 8), 0.0)
        self._cloudy = [int(np.argmin(np.abs(config.line_wavs - wave))) for wave in to_air(LINE_WAVELENGTHS)]
        known = np.abs(config.line_wavs[self._cloudy] - to_air(LINE_WAVELENGTHS)) < 2.0
        self._known = known & (np.array(LINE_NAMES) != "[Ne V] 3426")
        young = len(config.neb_ages)
        shape = len(config.logU), len(config.metallicities), young, len(air)
        self._nebulae = np.zeros(shape, np.float32)
        for u in range(shape[0]):
            for z in range(shape[1]):
                grid = config.cont_grid[shape[1] * u + z + 1]
                for age in range(young):
                    self._nebulae[u, z, age] = np.interp(air, config.neb_wavs, grid[age + 1, 1:])

    def galaxies(self, parameters: GalaxyParameters, *, batch: int = 250) -> Iterator[GalaxyLibrary]:
        """Synthesise galaxies, ``batch`` at a time."""
        columns = parameters.columns()
        for start in range(0, len(parameters), batch):
            yield self._batch(GalaxyParameters(**{k: v[start : start + batch] for k, v in columns.items()}))

    def _batch(self, p: GalaxyParameters) -> GalaxyLibrary:
        n, config = len(p), self._config
        history = self._star_formation(p)
        young = int(np.searchsorted(config.age_bins, _YOUNG * 0.999))
        stars = self._metallicity_weights(p.metallicity)
        gas = self._metallicity_weights(p.gas_metallicity)
        weights = (stars[:, :, None] * history[:, None, :]).astype(np.float32)
        old_light = np.tensordot(weights[:, :, young:], self._stars[:, young:], axes=([1, 2], [0, 1])).astype(
            np.float64
        )
        young_light = np.tensordot(weights[:, :, :young], self._stars[:, :young], axes=([1, 2], [0, 1])).astype(float)

        ionised = min(young, self._nebulae.shape[2])
        u_low = np.clip(np.searchsorted(config.logU, p.log_u) - 1, 0, len(config.logU) - 2)
        u_high = (p.log_u - config.logU[u_low]) / (config.logU[u_low + 1] - config.logU[u_low])
        u_weights = np.zeros((n, len(config.logU)))
        u_weights[np.arange(n), u_low], u_weights[np.arange(n), u_low + 1] = 1 - u_high, u_high
        gas_weights = u_weights[:, :, None, None] * gas[:, None, :, None] * history[:, None, None, :ionised]
        scale = p.line_scale[:, None]
        continuum = np.tensordot(gas_weights.astype(np.float32), self._nebulae[:, :, :ionised], axes=3)
        young_light += continuum * scale
        grid = self._lines.line_grid[self._cloudy][..., :ionised].transpose(0, 2, 1, 3)  # (L, logU, Z, age)
        lines = np.tensordot(gas_weights, grid, axes=([1, 2, 3], [1, 2, 3])) * self._known * scale
        for group, names in _GROUPS.items():
            lines[:, line_index(*names)] *= 10 ** p.ratio_scatter[:, [group]]

        curve = calzetti(self.rest[None], p.slope[:, None])
        line_curve = calzetti(LINE_WAVELENGTHS[None], p.slope[:, None])
        av, eta = p.av[:, None], p.eta[:, None]
        stellar_light = old_light * 10 ** (-0.4 * av * curve) + young_light * 10 ** (-0.4 * av * eta * curve)
        lines *= 10 ** (-0.4 * av * eta * line_curve)
        return self._finished(p, stellar_light, lines)

    def _finished(self, p: GalaxyParameters, light: NDArray[np.float64], lines: NDArray[np.float64]) -> GalaxyLibrary:
        """Normalise, add what bagpipes has not, and broaden."""
        norm = np.median(light[:, (self.rest > 5300) & (self.rest < 5850)], axis=1)[:, None]
        light, lines = light / norm, lines / norm
        at_ha = light[:, np.searchsorted(self.rest, 6600.0)]
        lines = lines + agn_lines(p) * at_ha[:, None]
        for name, components in _ABSORPTION.items():
            light = light * absorption(self.rest, components, getattr(p, name), p.dispersion)
        # MILES is at 2.5 Angstrom already: the dispersion is what comes on top
        for row, sigma in enumerate(p.dispersion):
            light[row] = gaussian_filter1d(light[row], sigma / _BIN, mode="nearest")
        return normalise_library(
            GalaxyLibrary(
                continuum=light.astype(np.float32),
                line_flux=lines.astype(np.float32),
                line_dispersion=p.line_dispersion.astype(np.float32),
                family=p.family,
                seyfert=p.seyfert,
            )
        )

    def _star_formation(self, p: GalaxyParameters) -> NDArray[np.float64]:
        """Return the mass formed in each of bagpipes' age bins, (n, ages), 1 in all."""
        edges = self._config.age_bins / 1e9
        # 8 steps in each bin: a delayed exponential has no closed form once it is cut off
        fine = np.concatenate([np.linspace(a, b, 9)[:-1] for a, b in zip(edges[:-1], edges[1:], strict=True)])
        width = np.repeat(np.diff(edges) / 8, 8)
        since = p.age[:, None] - (fine + width / 2)
        rate = np.where(since > 0, since, 0) * np.exp(-np.clip(since, 0, None) / p.tau[:, None])
        rate[fine[None] < p.quenched_for[:, None]] = 0.0
        mass = (rate * width).reshape(len(p), -1, 8).sum(axis=2)
        mass /= mass.sum(axis=1, keepdims=True)
        burst = np.zeros_like(mass)
        burst[np.arange(len(p)), np.clip(np.searchsorted(edges, p.burst_age) - 1, 0, mass.shape[1] - 1)] = 1
        formed: NDArray[np.float64] = mass * (1 - p.burst_fraction)[:, None] + burst * p.burst_fraction[:, None]
        return formed

    def _metallicity_weights(self, metallicity: NDArray[np.float64]) -> NDArray[np.float64]:
        values = self._config.metallicities
        low = np.clip(np.searchsorted(values, metallicity) - 1, 0, len(values) - 2)
        high = (metallicity - values[low]) / (values[low + 1] - values[low])
        weights = np.zeros((len(metallicity), len(values)))
        weights[np.arange(len(low)), low], weights[np.arange(len(low)), low + 1] = 1 - high, high
        return weights


def agn_lines(p: GalaxyParameters) -> NDArray[np.float64]:
    """Return the lines of the LINER or Seyfert component, (n, L), Angstrom of continuum at H-alpha."""
    lines = np.zeros((len(p), len(LINE_NAMES)))
    nitrogen, oxygen3, sulphur, oxygen2, oxygen1, neon = (10**p.agn_ratios).T
    decrement = 10 ** (-0.4 * p.av[:, None] * (calzetti(LINE_WAVELENGTHS) - calzetti(np.array([6564.6]))))

    def put(name: str, value: NDArray[np.float64]) -> None:
        lines[:, line_index(name)[0]] += value

    for name, ratio in _CASE_B.items():
        put(name, np.full(len(p), ratio))
    beta = np.ones(len(p))
    put("[N II] 6584", 2.86 * nitrogen)
    put("[N II] 6548", 2.86 * nitrogen / 2.96)
    put("[O III] 5007", oxygen3 * beta)
    put("[O III] 4959", oxygen3 / 2.98)
    put("[O III] 4363", oxygen3 * 0.015)
    put("[S II] 6716", 2.86 * sulphur * 0.55)
    put("[S II] 6731", 2.86 * sulphur * 0.45)
    put("[O II] 3726", oxygen2 * 0.45)
    put("[O II] 3729", oxygen2 * 0.55)
    put("[O I] 6300", 2.86 * oxygen1)
    put("[O I] 6364", 2.86 * oxygen1 / 3.1)
    put("[Ne III] 3869", oxygen3 * neon)
    put("[Ne III] 3967", oxygen3 * neon * 0.31)
    put("He II 4686", np.where(p.seyfert, 0.2, 0.0))
    put("[Ne V] 3426", np.where(p.seyfert, 0.06 * oxygen3, 0.0))
    put("[S III] 9069", np.where(p.seyfert, 0.6, 0.2))
    put("[S III] 9532", np.where(p.seyfert, 1.5, 0.5))
    return lines * decrement * (p.agn_width / 2.86)[:, None]


def absorption(
    rest: NDArray[np.float64],
    components: tuple[tuple[float, float], ...],
    width: NDArray[np.float64],
    dispersion: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the factor, (n, R), of absorption with an equivalent width, (n,), shared among components."""
    depth = np.zeros((len(width), len(rest)))
    for centre, share in components:
        sigma = np.hypot(1.5, centre * 0.5 * dispersion / SPEED_OF_LIGHT)[:, None]
        near = np.abs(rest - centre) < 40
        profile = np.exp(-0.5 * ((rest[near] - centre) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        depth[:, near] += share * width[:, None] * profile
    return np.exp(-np.clip(depth, -1.0, 3.0))


def analytic_galaxies(count: int, *, rng: np.random.Generator) -> GalaxyLibrary:
    """Return crude galaxies that need no bagpipes: a continuum with a break, dust, absorption and lines.

    For tests and quick looks; the shipped model is not trained on them.
    """
    rest = rest_wavelength()
    tilt, jump = rng.normal(0.3, 0.8, count), rng.uniform(0.0, 0.6, count)
    light = (rest / 5575.0) ** tilt[:, None] * (1 - jump[:, None] / (1 + np.exp((rest - 4000.0) / 60.0)))
    width = np.full(count, 150.0)
    for name, components in _ABSORPTION.items():
        light = light * absorption(rest, components, rng.gamma(2.0, 0.7, count) if name else width, width)
    strength = 10 ** rng.uniform(-0.5, 1.3, count)
    lines = np.zeros((count, len(LINE_NAMES)))
    for name, ratio in {**_CASE_B, "[O III] 5007": 1.5, "[N II] 6584": 1.0, "[O II] 3729": 2.0}.items():
        lines[:, line_index(name)[0]] = ratio * strength / 2.86
    return normalise_library(
        GalaxyLibrary(
            continuum=light.astype(np.float32),
            line_flux=lines.astype(np.float32),
            line_dispersion=rng.uniform(70, 200, count).astype(np.float32),
            family=np.full(count, 2),
            seyfert=np.zeros(count, bool),
        )
    )
