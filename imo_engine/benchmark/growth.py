"""How the engine's cost grows, how a probe and scoring do, and whether two ways rank chunks alike."""

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imo_engine.attribution.evaluators.base import Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.probe import probe_range
from imo_engine.benchmark.machine import peak_memory, reset_peak_memory
from imo_engine.benchmark.process import Subject, alone
from imo_engine.benchmark.ways import all_chunks, example_spectra
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["growth_rows", "probe_seconds", "agreement", "scoring_rates"]


def growth_rows(subject: Subject, n_pixel: int, windows: tuple[int, ...], n_baselines: int) -> list[list[Any]]:
    """Return rows of pixels, baselines, window sizes, evaluations, seconds and peak memory in MB.

    Each is a process of its own, whose memory includes Python and torch.
    """
    cases = [(subject, count, windows) for count in (2, 4, 8, 16, 32)]
    cases += [(subject, n_baselines, windows[-count:]) for count in range(1, len(windows))]
    # random weights of the published widths: a trained model has one length
    cases += [(subject.of_published_widths(n_pixel // part), 2, windows) for part in (4, 2, 1)]
    return [alone(_one, *case) for case in cases]


def _one(subject: Subject, n_baselines: int, windows: tuple[int, ...]) -> list[Any]:
    model = subject.load()
    n_pixel = len(model.wavelength)
    base, flux = example_spectra(n_pixel, n_baselines)
    replacement = Replacement.of(model, base, flux, np.ones(n_pixel, bool))
    reset_peak_memory(model.device)
    local = model.encoder.config.normalisation == "none"
    began = time.perf_counter()
    evaluator = choose_evaluator("exact" if local else "local_update", replacement)
    count = 0
    for window in windows:
        chunks = all_chunks(replacement, window)
        evaluator.log_prob(chunks)
        count += len(chunks)
    seconds = time.perf_counter() - began
    return [
        f"{n_pixel}{'' if local else ' (published widths)'}",
        n_baselines,
        " ".join(map(str, windows)),
        count,
        f"{seconds:.2f}",
        f"{peak_memory(model.device) / 2**20:.0f}",
    ]


def probe_seconds(model: OutlierModel, base: NDArray[np.float32], flux: NDArray[np.float32], repeats: int = 5) -> float:
    """Return the median time of :func:`imo_engine.attribution.probe.probe_range` with aligned baselines."""
    pool = BaselinePool(
        np.zeros((len(base), model.n_latent), np.float32),
        np.zeros(len(base)),
        np.zeros(len(base), np.float32),
        model.fingerprint,
    )
    times = []
    for k in range(repeats):
        low = float(model.wavelength[len(flux) // (k + 2)])
        began = time.perf_counter()
        probe_range(model, flux, 0.2, pool, low, low + 80, aligned=base, valid=np.ones(len(flux), bool))
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def scoring_rates(model: OutlierModel, count: int = 48) -> dict[str, float]:
    """Return spectra a second: log p by the engine, and by the encoder's and the flow's own forward passes."""
    flux, _ = example_spectra(len(model.wavelength), count)
    rates = {}

    def own_passes() -> None:
        with torch.inference_mode():
            for piece in torch.from_numpy(flux).to(model.device).split(16):
                model.flow(model.encoder(piece)).cpu()

    for name, run in (("engine", lambda: model.log_prob(flux)), ("plain forward passes", own_passes)):
        run()
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - began)
        rates[name] = count / best
    return rates


def agreement(
    values: dict[int, NDArray[np.float64]], exact: dict[int, NDArray[np.float64]]
) -> dict[int, tuple[float, float]]:
    """Compare two results, (input, chunk) by window size, in their means over inputs.

    Returns:
        By window size the largest difference relative to the window's largest value, and Spearman's correlation.
    """
    from scipy.stats import spearmanr

    found = {}
    for window in values:
        mine, right = values[window].mean(axis=0), exact[window].mean(axis=0)
        difference = float(np.abs(mine - right).max() / np.abs(right).max())
        found[window] = difference, float(spearmanr(mine, right).statistic)
    return found
