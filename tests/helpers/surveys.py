"""A survey of four targets with a model that needs no training."""

import numpy as np

from app.survey.survey import Survey
from helpers.fits_files import GRID
from helpers.networks import COVERED_REDSHIFT, WAVELENGTH, random_flux, tiny_model
from imo_engine.bundle.engine import Engine
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.ranking.ranking import rank_spectra
from imo_engine.spectra.spectra import Spectra

TARGETS = ("39627866878511337", "39627866878511338", "39627866878511339", "unscored")
"""The first three differ only in digits that a double cannot hold."""


def tiny_spectra():
    """Four targets on 300 pixels: three to score, one that cannot be; the first has masked pixels."""
    n = len(TARGETS)
    flux = random_flux(n).astype(np.float32)
    measured = np.ones(flux.shape, bool)
    measured[0, 40:60] = False
    unknown = np.full(n, np.nan)
    return Spectra(
        wavelength=WAVELENGTH,
        flux=np.where(measured, flux, 0),
        ivar=np.where(measured, np.float32(25), 0),
        measured=measured,
        redshift=np.array([COVERED_REDSHIFT, 0.12, 0.08, np.nan]),
        target_id=np.array(TARGETS),
        ra=unknown,
        dec=unknown,
        norm=np.ones(n),
        problem=np.array(["", "", "", "no redshift"]),
        note=np.array([""] * n),
        source=np.array(["<b>file</b>.fits"] * n),
        instrument=np.array(["DESI"] * n),
        spectype=np.array(["GALAXY"] * n),
        zwarn=np.zeros(n, np.int64),
        objtype=np.array(["TGT"] * n),
    )


def tiny_survey(model=None, load=None):
    """A survey of :func:`tiny_spectra` with a random model, which tests may tamper with if they bring their own."""
    spectra = tiny_spectra()
    model = model or tiny_model()
    pool = BaselinePool.from_spectra(model, random_flux(6, seed=9), np.full(6, 0.05))
    ranking = rank_spectra(model, spectra)
    return Survey(
        title="Tiny",
        spectra=spectra,
        log_prob=ranking.log_prob,
        rank=ranking.rank,
        size=3,
        simulated=True,
        engine=Engine(load or (lambda: (model, pool))),
    )


class FlatModel:
    """Stands for a model on DESI's grid: scores by the mean flux."""

    wavelength = GRID
    n_latent = 1
    name, fingerprint = "flat", "0"
    provenance = {}

    def prepare(self, spectra):
        return spectra.flux

    def encode(self, flux, *, memory_budget=None):
        return flux.mean(axis=1, keepdims=True)

    def latent_log_prob(self, latents):
        return -latents[:, 0]
