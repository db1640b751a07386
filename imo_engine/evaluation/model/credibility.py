"""How credible a model is: reconstruction, redshift in the latents, ranking, reality, aligned baselines."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from astropy.table import Table, vstack
from numpy.typing import NDArray
from torch import nn

from imo_engine.errors import SpectrumFileError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.ranking.ranking import Ranking, rank_spectra
from imo_engine.readers import read_spectra

__all__ = [
    "AlignedBaselines",
    "KindRanking",
    "LatentRedshift",
    "RankingReport",
    "aligned_baselines",
    "latent_redshift",
    "rank_survey",
    "read_truth",
    "reconstruction_chi2",
    "report_ranking",
]


@dataclass(frozen=True)
class LatentRedshift:
    """Share of the variance of z that latents explain on the half that was not fitted."""

    linear: float
    nonlinear: float


@dataclass(frozen=True, eq=False)
class KindRanking:
    """How outliers of one kind rank among a survey."""

    kind: str
    count: int
    area: float
    """Under the receiver operating curve, against all that are not outliers."""
    area_strong: float
    """Of the stronger half alone."""
    found_strong: float
    """Share of the stronger half among the lowest 3 % of log p."""
    found_weak: float
    curve: NDArray[np.float64]
    """(101,) share found among the lowest 0, 1, ... 100 % of ordinary targets, the stronger half."""


@dataclass(frozen=True, eq=False)
class RankingReport:
    """Ranking of injected outliers, kind by kind and in all."""

    kinds: list[KindRanking]
    found_strong: float
    found_weak: float
    threshold: float
    """log p below which the lowest 3 % are."""
    number: int


@dataclass(frozen=True)
class AlignedBaselines:
    """Baselines moved to one redshift: where their log p lies in the validation distribution."""

    redshift: float
    median: float
    quantile: float
    inside: float
    """Share of them within the central 90 %."""


def read_truth(folder: Path) -> Table:
    """Read the OUTLIERS tables of ``truth-sim-*.fits``: target_id (text), KIND, STRENGTH, PARAMETERS.

    Raises:
        SpectrumFileError: none there, or damaged.
    """
    paths = sorted(folder.glob("truth-sim-*.fits"))
    if not paths:
        raise SpectrumFileError(f"{folder}: no truth-sim-*.fits")
    tables = []
    for path in paths:
        try:
            with fits.open(path) as file:
                tables.append(Table(file["OUTLIERS"].data))
        except (OSError, KeyError, ValueError) as error:
            raise SpectrumFileError(f"{path}: not the truth of a simulated survey: {error}") from None
    table = vstack(tables, metadata_conflicts="silent")
    table["target_id"] = np.array([str(value) for value in table["TARGETID"]])
    table["KIND"] = np.char.strip(np.asarray(table["KIND"]).astype(str))
    return table


def rank_survey(model: OutlierModel, folder: Path) -> Ranking:
    """Rank all spectra of a folder."""
    return rank_spectra(model, read_spectra(folder, wavelength=model.wavelength), rank_all=True)


def report_ranking(ranking: Ranking, truth: Table, *, lowest: float = 0.03) -> RankingReport:
    """Compare a ranking with what was injected; the stronger half is strength 3 and 4."""
    ids = ranking.spectra.target_id
    position = {target: row for row, target in enumerate(ids)}
    rows = np.array([position[target] for target in truth["target_id"]], dtype=int)
    log_prob = np.where(np.isfinite(ranking.log_prob), ranking.log_prob, -np.inf)
    threshold = float(np.quantile(log_prob, lowest))
    ordinary = np.ones(len(ids), bool)
    ordinary[rows] = False
    normal = np.sort(log_prob[ordinary])
    strong = np.asarray(truth["STRENGTH"]) >= 3
    kinds = []
    for kind in sorted(set(truth["KIND"])):
        mine = np.asarray(truth["KIND"]) == kind
        share = 1 - np.searchsorted(normal, log_prob[rows[mine]]) / len(normal)
        share_strong = 1 - np.searchsorted(normal, log_prob[rows[mine & strong]]) / len(normal)
        levels = 1 - np.linspace(0, 1, 101)
        kinds.append(
            KindRanking(
                kind=kind,
                count=int(mine.sum()),
                area=float(share.mean()),
                area_strong=float(share_strong.mean()) if len(share_strong) else float("nan"),
                found_strong=_share(log_prob[rows[mine & strong]] < threshold),
                found_weak=_share(log_prob[rows[mine & ~strong]] < threshold),
                curve=np.array([_share(share_strong >= level) for level in levels]),
            )
        )
    found = log_prob[rows] < threshold
    return RankingReport(kinds, _share(found[strong]), _share(found[~strong]), threshold, len(ids))


def _share(values: NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def reconstruction_chi2(model: OutlierModel, ranking: Ranking) -> NDArray[np.float64]:
    """Return chi2 per measured pixel of each spectrum's own reconstruction, (n,); NaN where there is no score."""
    spectra = ranking.spectra
    out = np.full(len(spectra), np.nan)
    scored = np.flatnonzero(ranking.rank > 0)
    for rows in np.array_split(scored, max(1, len(scored) // 256)):
        model_flux = model.decode(ranking.latents[rows], spectra.redshift[rows])
        weight = spectra.weight[rows] * (model_flux != 0)
        chi2 = ((model_flux - spectra.flux[rows]) ** 2 * weight).sum(axis=1, dtype=float)
        out[rows] = chi2 / np.maximum((weight > 0).sum(axis=1), 1)
    return out


def latent_redshift(latents: NDArray[np.float32], redshift: NDArray[np.float64], *, seed: int = 0) -> LatentRedshift:
    """Predict z from latents with a linear fit and a small network, on two halves of the objects."""
    order = np.random.default_rng(seed).permutation(len(latents))
    half = len(order) // 2
    x = (latents - latents.mean(axis=0)) / latents.std(axis=0).clip(min=1e-9)
    x = np.clip(np.column_stack([x, np.ones(len(x))]), -8, 8).astype(np.float64)
    fit, test = order[:half], order[half:]
    weight, *_ = np.linalg.lstsq(x[fit], redshift[fit], rcond=None)

    def explained(predicted: NDArray[np.float64]) -> float:
        return float(1 - np.mean((predicted - redshift[test]) ** 2) / np.var(redshift[test]))

    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(x.shape[1], 48), nn.GELU(), nn.Linear(48, 48), nn.GELU(), nn.Linear(48, 1))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    data, target = torch.tensor(x[fit]).float(), torch.tensor(redshift[fit]).float()
    steps = 400
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(data), (min(256, len(data)),))
        loss = ((net(data[rows])[:, 0] - target[rows]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    torch.random.set_rng_state(state)
    with torch.no_grad():
        predicted = net(torch.tensor(x[test]).float())[:, 0].numpy()
    return LatentRedshift(explained(x[test] @ weight), explained(predicted))


def aligned_baselines(
    model: OutlierModel,
    pool: BaselinePool,
    reference: NDArray[np.float32],
    *,
    redshifts: tuple[float, ...] = (0.05, 0.2, 0.4, 0.55),
    count: int = 400,
    seed: int = 0,
) -> list[AlignedBaselines]:
    """Decode baselines at each redshift, encode them again and compare their log p with ``reference``."""
    latents = pool.draw(min(count, len(pool)), seed=seed).latents
    low, high = np.quantile(reference, [0.05, 0.95])
    ordered = np.sort(reference)
    results = []
    for z in redshifts:
        log_prob = model.log_prob(model.decode(latents, np.full(len(latents), z)))
        median = float(np.median(log_prob))
        quantile = float(np.searchsorted(ordered, median) / len(ordered))
        results.append(AlignedBaselines(z, median, quantile, float(((log_prob > low) & (log_prob < high)).mean())))
    return results
