"""Spectra beside flat twins, with deviations whose truth is known, and what occlusion would find in them."""

import numpy as np

from imo_engine.attribution.record import Attribution
from imo_engine.reasons.deviation_null import OBSERVED_BIN, REST_EDGES, WIDTHS, DeviationNull
from imo_engine.reasons.deviations import Comparison
from imo_engine.spectra.instrument import desi_wavelength

WAVE = desi_wavelength()
Z = 0.36
NOISE = 0.05
SIZES = (4, 16, 64, 256)


def gaussian(centre, sigma):
    return np.exp(-0.5 * ((WAVE - centre) / sigma) ** 2)


def ordinary(n=400, seed=5):
    """What ordinary spectra would show: white noise, and maxima as that gives."""
    maxima = np.exp(np.random.default_rng(seed).normal(np.log(4.0), 0.1, (n, len(WIDTHS))))
    return DeviationNull(
        np.full((len(WIDTHS), len(REST_EDGES) + 1), 0.01, np.float32),
        np.ones((len(WIDTHS), -(-len(WAVE) // OBSERVED_BIN)), np.float32),
        maxima.astype(np.float32),
        model="flat",
    )


def compared(odd, *, redshift=Z, seed=0, noise=NOISE, valid=None, instrument="DESI", null=None, twin=None):
    """A spectrum that differs from its twin, 1 everywhere unless given, by ``odd``, (pixel,), and noise."""
    rng = np.random.default_rng(seed)
    twin = np.ones(len(WAVE)) if twin is None else twin
    valid = np.ones(len(WAVE), bool) if valid is None else valid
    flux = np.where(valid, twin + odd + rng.normal(0, noise, len(WAVE)), 0.0)
    ivar = np.where(valid, noise**-2, 0.0)
    return Comparison(WAVE, flux, ivar, redshift, twin, ordinary() if null is None else null, instrument)


def occluded(odd, *, per_pixel=4.0, n_baseline=8, scatter=0.15, sizes=SIZES, redshift=Z, seed=0, valid=None):
    """What occlusion finds if log p falls by ``per_pixel`` nats for each pixel with a difference of 1."""
    rng = np.random.default_rng(seed)
    n = len(WAVE)
    valid = np.ones(n, bool) if valid is None else valid
    values = np.empty((len(sizes), n_baseline, n))
    for index, size in enumerate(sizes):
        starts = np.arange(0, n, size)
        counts = np.maximum(np.add.reduceat(valid.astype(float), starts), 1)
        fall = np.add.reduceat(np.where(valid, per_pixel * np.abs(odd), 0), starts) / counts
        single = fall * (1 + rng.normal(0, scatter, (n_baseline, 1))) + rng.normal(0, 1e-4, (n_baseline, len(starts)))
        values[index] = np.repeat(single, size, axis=1)[:, :n]
    return Attribution(
        values=np.where(valid, values, np.nan),
        baselines=np.ones((n_baseline, n), np.float32),
        baseline_log_prob=np.zeros(n_baseline),
        flux=np.where(valid, 1 + odd, 0).astype(np.float32),
        redshift=redshift,
        wavelength=WAVE,
        valid=valid,
        window_sizes=sizes,
        offsets=(0,) * len(sizes),
        strides=sizes,
    )


def beside_baselines(attribution, ivar=None):
    """The spectrum of an attribution beside the mean of its baselines, without ordinary spectra."""
    n = len(attribution.valid)
    ivar = np.where(attribution.valid, 400.0, 0.0) if ivar is None else np.where(attribution.valid, ivar, 0.0)
    return Comparison(
        wavelength=attribution.wavelength,
        flux=attribution.flux.astype(float),
        ivar=ivar.astype(float),
        redshift=attribution.redshift,
        twin=attribution.baselines.astype(float).mean(axis=0),
        null=DeviationNull.typical(n),
        instrument="DESI",
    )
