"""Attributions to keep, and whether what comes back is the same."""

from dataclasses import fields

import numpy as np

from imo_engine.attribution.record import Attribution, WindowFacts


def attribution(seed=0, n_pixel=50):
    rng = np.random.default_rng(seed)
    valid = rng.random(n_pixel) > 0.1
    return Attribution(
        values=np.where(valid, rng.normal(size=(2, 3, n_pixel)), np.nan),
        baselines=rng.normal(size=(3, n_pixel)).astype(np.float32),
        baseline_log_prob=rng.normal(size=3),
        flux=rng.normal(size=n_pixel).astype(np.float32),
        redshift=float(rng.uniform(0, 0.5)),
        wavelength=np.linspace(4000, 5000, n_pixel),
        valid=valid,
        window_sizes=(1, 16),
        offsets=(0, 3),
        strides=(1, 8),
        weighting="inverse_standard_deviation",
        facts=(WindowFacts(0.0078125, 0.25), WindowFacts()),
        provenance={"model": "Größe", "evaluations": 7, "seconds": 0.5, "device": "CPU"},
    )


def assert_same(found, expected):
    for entry in fields(Attribution):
        one, other = getattr(found, entry.name), getattr(expected, entry.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, err_msg=entry.name)
        else:
            assert one == other and type(one) is type(other), entry.name
