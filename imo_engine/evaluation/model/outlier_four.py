"""The simulated analogue of the paper's outlier 4: does inverse multiscale occlusion show both of its causes?

Shen & Melchior (2023, arXiv:2310.20012), figure 2: a calibration problem of the B arm and double-peaked lines. W = 1
and 4 show two peaks at H-alpha, 16 and 64 the jump at the end of the arm, 256 the progressive drop to the blue.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import Attribution
from imo_engine.errors import SpectrumFileError
from imo_engine.evaluation.model.credibility import read_truth
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.readers import read_spectra
from imo_engine.simulation.survey import FIRST_TARGET
from imo_engine.spectra.instrument import ARMS

__all__ = ["OutlierFour", "explain_outlier_four"]

_HALPHA = 6564.6


@dataclass(frozen=True, eq=False)
class OutlierFour:
    """The attribution of the analogue and what was looked for in it."""

    target_id: str
    log_prob: float
    attribution: Attribution
    split: float
    """km/s between the two peaks."""
    findings: dict[str, str]


def explain_outlier_four(
    model: OutlierModel, pool: BaselinePool, survey: Path, *, baselines: int = 8, seed: int = 4
) -> OutlierFour:
    """Explain the "outlier_four" of a simulated survey with ordinary baselines and measure what shows.

    Raises:
        SpectrumFileError: a survey without it.
    """
    truth = read_truth(survey)
    rows = truth[truth["KIND"] == "outlier_four"]
    if len(rows) != 1:
        raise SpectrumFileError(f"{survey}: {len(rows)} targets of kind outlier_four, expected 1")
    name = str(rows["target_id"][0])
    size = json.loads((survey / "simulation.json").read_text())["part_size"]
    part = (int(name) - FIRST_TARGET) % 1_000_000 // size
    spectra = read_spectra(survey / f"coadd-sim-{part:03d}.fits", wavelength=model.wavelength)
    spectra = spectra[[spectra.row(name)]]
    flux = model.prepare(spectra)[0]
    # the half nearest to the median log p: baselines that are themselves rare would speak of themselves
    ordinary = pool[np.argsort(np.abs(pool.log_prob - np.median(pool.log_prob)))[: len(pool) // 2]]
    chosen = ordinary.draw(baselines, seed=seed)
    result = inverse_multiscale_occlusion(model, flux, float(spectra.redshift[0]), chosen)
    split = float(json.loads(str(rows["PARAMETERS"][0]))["split_km_s"])
    log_prob = float(model.log_prob(flux[None])[0])
    return OutlierFour(name, log_prob, result, split, _findings(result, split))


def _findings(result: Attribution, split: float) -> dict[str, str]:
    """Return what is to be seen, in words with numbers."""
    wave, z = result.wavelength, result.redshift
    mean = dict(zip(result.window_sizes, result.mean, strict=True))
    edge = ARMS["B"][1]
    found = {}
    centre = _HALPHA * (1 + z)
    half = 0.5 * split / 299792.458 * centre
    blue, red = (np.abs(wave - (centre + side * half)) < 3 for side in (-1, 1))
    middle = np.abs(wave - centre) < 1.2
    around = (np.abs(wave - centre) > 40) & (np.abs(wave - centre) < 200)
    for window in (1, 4):
        peaks = [float(np.nanmax(mean[window][where])) for where in (blue, red)]
        scatter = float(np.nanstd(mean[window][around]))
        between = float(np.nanmin(mean[window][middle]))
        found[f"W = {window}: peaks at H-alpha, blue and red, and between"] = (
            f"{peaks[0] / scatter:.1f}, {peaks[1] / scatter:.1f} and {between / scatter:.1f} times the scatter nearby"
        )
    for window in (16, 64, 256):
        values = mean[window]
        inside, outside = wave < edge, wave > edge
        found[f"W = {window}: mean in the B arm, beyond it"] = (
            f"{float(np.nanmean(values[inside])):.2e}, {float(np.nanmean(values[outside])):.2e} nats per pixel"
        )
    thirds = [np.nanmean(mean[256][(wave > a) & (wave < a + 720)]) for a in (3600, 4320, 5040)]
    found["W = 256: mean at 3600-4320, 4320-5040, 5040-5760"] = ", ".join(f"{float(v):.2e}" for v in thirds)
    combined = result.combined
    lines = np.abs(wave - centre) < 25
    rank = float(np.nanmean(combined <= np.nanmax(combined[lines])))
    found["combined: highest value within 25 Angstrom of H-alpha, its percentile"] = f"{100 * rank:.2f}"
    found["combined: mean in the B arm, beyond it without H-alpha"] = (
        f"{float(np.nanmean(combined[wave < edge])):.2e}, {float(np.nanmean(combined[(wave > edge) & ~lines])):.2e}"
    )
    return found
