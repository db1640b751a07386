"""Attribution methods called with little to do."""

import numpy as np

from helpers.networks import COVERED_REDSHIFT, WAVELENGTH, random_flux
from imo_engine.methods import METHODS

N = len(WAVELENGTH)
FLUX = random_flux(1, seed=11)[0]
POOL = random_flux(4, seed=12)
IVAR = np.random.default_rng(3).uniform(50, 200, N)


QUICK = {
    "imo": {"window_sizes": (64, 150)},
    "occlusion": {"window": 32},
    "lime": {"segments": 10, "samples": 40},
    "residual_over_noise": {"ivar": IVAR},
    "expected_gradients": {"samples": 8},
    "gradient_shap": {"samples": 16, "noise": 0.1},
    "smooth_grad": {"samples": 8},
}
"""Settings that make a method quick, or that it needs."""


APPLICABLE = sorted(set(METHODS) - {"deep_lift"})


def run(name, model, flux=FLUX, baselines=POOL, redshift=COVERED_REDSHIFT, **arguments):
    return METHODS[name](model, flux, redshift, baselines, **arguments)
