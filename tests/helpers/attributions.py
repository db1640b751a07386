"""Attributions with given values."""

import numpy as np

from imo_engine.attribution.record import Attribution


def attribution(values, *, valid=None, weighting="inverse_variance", provenance=None):
    values = np.asarray(values, float)
    n_window, n_baseline, n_pixel = values.shape
    rng = np.random.default_rng(5)
    valid = np.ones(n_pixel, bool) if valid is None else valid
    values = np.where(valid, values, np.nan)
    return Attribution(
        values=values,
        baselines=rng.normal(size=(n_baseline, n_pixel)).astype(np.float32),
        baseline_log_prob=rng.normal(size=n_baseline),
        flux=rng.normal(size=n_pixel).astype(np.float32),
        redshift=0.25,
        wavelength=np.linspace(4000, 5000, n_pixel),
        valid=valid,
        window_sizes=tuple(4**k for k in range(n_window)),
        offsets=(0,) * n_window,
        strides=tuple(4**k for k in range(n_window)),
        weighting=weighting,
        provenance=provenance or {"model": "tiny", "evaluations": 7, "seconds": 0.5},
    )
