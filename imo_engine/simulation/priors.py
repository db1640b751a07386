"""What the galaxies of a magnitude-limited bright survey are made of, drawn at random.

The families and their fractions follow the local galaxy population: about 40 % passive, 45 %
star-forming, 10 % between, Seyferts 4 % (Kauffmann et al. 2003, MNRAS 346, 1055, for narrow-line AGN), post-starbursts
0.6 % (Wild et al. 2009, MNRAS 395, 144). Lines get more freedom than photoionisation grids alone have:
scatter of each ratio around the grid, and a component with the ratios of LINERs (weak in almost every
galaxy, Belfiore et al. 2016, MNRAS 461, 3111) or Seyferts.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAMILIES", "GalaxyParameters", "draw_galaxies"]

FAMILIES = ("passive", "green", "star-forming", "post-starburst")
"""Star-formation histories, in the order of ``GalaxyParameters.family``."""

_FRACTIONS = (0.40, 0.12, 0.474, 0.006)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GalaxyParameters:
    """Parameters of n galaxies, (n,) each unless said otherwise."""

    family: NDArray[np.int64]
    age: Array
    """Gyr since star formation began."""
    tau: Array
    """Gyr, of the delayed exponential star-formation rate t exp(-t/tau)."""
    burst_age: Array
    """Gyr."""
    burst_fraction: Array
    """Share of the mass formed in the burst; 0 for none."""
    quenched_for: Array
    """Gyr since all star formation stopped; 0 if it did not."""
    metallicity: Array
    """Of the stars, solar units."""
    gas_metallicity: Array
    log_u: Array
    """Ionisation parameter."""
    av: Array
    """Attenuation of the stars, magnitudes (Calzetti et al. 2000, with a free slope)."""
    slope: Array
    """Power-law change of the attenuation curve (Salim et al. 2018)."""
    eta: Array
    """Attenuation of lines and birth clouds over that of the stars."""
    dispersion: Array
    """Of the stars, km/s."""
    line_dispersion: Array
    """Of the lines, km/s."""
    line_scale: Array
    """Factor on all lines of star formation (escape, aperture, dust in the nebulae)."""
    ratio_scatter: Array
    """(n, 6) dex for [N II], [O III] and [Ne III], [S II], [O II], [O I], [S III]."""
    agn_width: Array
    """Equivalent width of H-alpha of the LINER or Seyfert component, Angstrom."""
    seyfert: NDArray[np.bool_]
    agn_ratios: Array
    """(n, 6) log10 of [N II]/Ha, [O III]/Hb, [S II]/Ha, [O II]/Hb, [O I]/Ha, [Ne III]/[O III]."""
    sodium: Array
    """Equivalent width of Na D beyond the stellar models', Angstrom (interstellar gas, abundance)."""
    magnesium: Array
    """Equivalent width of Mg b beyond the stellar models', Angstrom (alpha enhancement)."""
    balmer: Array
    """Equivalent width of H-beta absorption beyond the stellar models', Angstrom."""
    calcium: Array
    """Equivalent width of Ca K and H beyond the stellar models', Angstrom."""

    def __len__(self) -> int:
        return len(self.age)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def draw_galaxies(count: int, *, rng: np.random.Generator) -> GalaxyParameters:
    """Draw ``count`` galaxies of the ordinary population, its rare members at their real fractions."""
    n = count
    family = rng.choice(4, size=n, p=_FRACTIONS)
    passive, green, forming, post = (family == k for k in range(4))
    uniform, normal = rng.uniform, rng.normal

    age = uniform(2.0, 11.0, n)
    age[passive] = uniform(5.0, 11.5, passive.sum())
    age[forming] = uniform(3.0, 11.0, forming.sum())
    tau = np.where(forming, age / uniform(0.4, 4.5, n), 1.0)
    tau[passive] = age[passive] / uniform(6.0, 20.0, passive.sum())
    tau[green] = age[green] / uniform(4.5, 8.0, green.sum())
    tau[post] = age[post] / uniform(3.0, 10.0, post.sum())

    # a young burst on top: equivalent widths of H-alpha of 100 to 400 Angstrom, as a few per cent of BGS and SDSS have
    starburst = forming & (uniform(size=n) < 0.09)
    has_burst = uniform(size=n) < np.select([passive, green], [0.12, 0.3], 0.4)
    burst_fraction = np.where(has_burst, 10 ** uniform(-3.3, -1.0, n), 0.0)
    burst_age = 10 ** uniform(-2.3, 0.1, n)
    burst_age[passive] = 10 ** uniform(-0.5, 0.4, passive.sum())
    burst_fraction[post] = 10 ** uniform(-1.3, -0.4, post.sum())
    burst_age[post] = uniform(0.25, 1.0, post.sum())
    burst_fraction[starburst] = 10 ** uniform(-2.4, -0.9, starburst.sum())
    burst_age[starburst] = 10 ** uniform(-2.45, -2.0, starburst.sum())
    quenched = np.zeros(n)
    quenched[post] = burst_age[post] * uniform(0.6, 0.95, post.sum())
    stopped = passive & (uniform(size=n) < 0.5)
    quenched[stopped] = uniform(0.5, 2.5, stopped.sum())

    log_z = np.where(passive | green, normal(0.08, 0.16, n), normal(-0.12, 0.25, n)) - 0.25 * starburst
    metallicity = 10 ** np.clip(log_z, -0.8, 0.45)
    log_gas = np.clip(log_z + normal(0.1, 0.15, n), -0.9, 0.45)
    av = np.where(passive, rng.gamma(1.0, 0.15, n), rng.gamma(1.7, 0.38, n))
    log_sigma = np.where(passive, normal(2.22, 0.15, n), normal(2.05, 0.17, n))
    dispersion = 10 ** np.clip(log_sigma, 1.7, 2.55)
    line_sigma = np.where(forming, 10 ** normal(-0.12, 0.14, n), 10 ** normal(0.0, 0.12, n)) * dispersion

    seyfert = uniform(size=n) < 0.04
    agn_width = 10 ** normal(-0.1, 0.33, n)
    agn_width[seyfert] = 10 ** uniform(0.5, 1.9, seyfert.sum())
    agn_ratios = normal(size=(n, 6)) * [0.15, 0.22, 0.13, 0.2, 0.18, 0.15] + [0.08, 0.3, -0.08, 0.6, -0.7, -0.7]
    agn_ratios[seyfert] = normal(size=(seyfert.sum(), 6)) * [0.18, 0.2, 0.15, 0.2, 0.2, 0.15]
    agn_ratios[seyfert] += [-0.05, 0.85, -0.3, 0.4, -0.9, -1.0]
    old = np.where(passive, 1.0, np.where(green, 0.7, 0.35))
    return GalaxyParameters(
        family=family,
        age=age,
        tau=tau,
        burst_age=burst_age,
        burst_fraction=burst_fraction,
        quenched_for=quenched,
        metallicity=metallicity,
        gas_metallicity=10**log_gas,
        log_u=np.clip(-2.95 - 0.45 * log_gas + 0.3 * starburst + normal(0, 0.22, n), -3.9, -1.9),
        av=np.clip(av, 0, 3.0),
        slope=normal(-0.1, 0.2, n),
        eta=uniform(1.0, 3.0, n),
        dispersion=dispersion,
        line_dispersion=np.clip(line_sigma, 40, 350),
        line_scale=10 ** np.clip(normal(-0.3, 0.2, n) + 0.2 * starburst, -1.0, 0.2),
        ratio_scatter=normal(size=(n, 6)) * [0.17, 0.18, 0.11, 0.14, 0.2, 0.15] + [0.13, 0.05, -0.03, 0.0, 0.15, -0.15],
        agn_width=agn_width,
        seyfert=seyfert,
        agn_ratios=agn_ratios,
        sodium=np.clip(rng.gamma(1.3, 0.35, n) + 0.55 * av * 10 ** normal(0, 0.25, n) + 0.3 * old - 0.1, 0, 6),
        magnesium=np.clip(normal(0.55, 0.45, n) * old, -0.5, 2.5),
        balmer=normal(0.25, 0.35, n),
        calcium=normal(0.0, 0.5, n),
    )
