"""Repair measured where the truth is known: are outliers repaired, by how little, and is it what was done to them?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING
from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.evaluation.model.credibility import rank_survey, read_truth
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.repair.fill import filled, held_out, stand_ins
from imo_engine.repair.regions import Repair, repair

__all__ = ["RepairedOutlier", "evaluate_repair", "random_regions", "repair_table"]

_DILATION = 3  # pixels by which the truth is widened: about the resolution
_CONTROLS = 5  # draws of random regions an outlier


@dataclass(frozen=True, eq=False)
class RepairedOutlier:
    """One injected outlier and its repair.

    Attributes:
        target_id: Which.
        kind: What was done to it.
        strength: 1 to 4.
        repair: What was found.
        inside: Share of the replaced pixels that lie in the truth mask, widened by 3 pixels; NaN if none.
        truth: Share of the usable pixels that lie in it: what ``inside`` is by chance.
        control: Share of the draws of as many random regions of the same widths that reach the target too.
    """

    target_id: str
    kind: str
    strength: int
    repair: Repair
    inside: float
    truth: float
    control: float

    def to_dict(self) -> dict[str, Any]:
        """Return what can be written as JSON."""
        shares = {"inside": self.inside, "truth": self.truth, "control": self.control}
        return {
            "target_id": self.target_id,
            "kind": self.kind,
            "strength": self.strength,
            **{name: round(value, 4) if np.isfinite(value) else None for name, value in shares.items()},
            **self.repair.to_dict(),
        }


def evaluate_repair(
    model: OutlierModel,
    pool: BaselinePool,
    folder: Path,
    *,
    target: float,
    below: float,
    per_kind: int = 4,
    windows: Sequence[int] = (4, 16, 64, 256),
    which: str = "nearest",
    fill: str = "plain",
    seed: int = 0,
    on_each: Callable[[int, int], None] = lambda done, total: None,
) -> list[RepairedOutlier]:
    """Repair injected outliers of a simulated survey.

    Args:
        model: Scores them.
        pool: Baselines; 8 for the attribution, others for the repair.
        folder: Of ``imo simulate``.
        target: log p that counts as ordinary.
        below: Only outliers with a lower log p than this are repaired: others are not found in the first place.
        per_kind: How many of a kind at most, drawn at random.
        windows: Window sizes of the attribution, pixels.
        which: Baselines that fill the regions, :data:`imo_engine.repair.fill.STAND_INS`.
        fill: How they do, :data:`imo_engine.repair.fill.FILLS`.
        seed: Of all draws.
        on_each: Told how many outliers are done, of how many.

    Raises:
        SpectrumFileError: a folder without truth.
        InputError: no outlier with so low a log p.
    """
    truth, masks = read_truth(folder), _read_masks(folder)
    ranking = rank_survey(model, folder)
    rng = np.random.default_rng(seed)
    rows = np.array([ranking.spectra.row(target_id) for target_id in truth["target_id"]], dtype=np.int64)
    low = (ranking.rank[rows] > 0) & (ranking.log_prob[rows] < below)
    kinds = np.asarray(truth["KIND"])
    chosen = [
        int(k)
        for kind in sorted(set(kinds[low]))
        for k in rng.permutation(np.flatnonzero(low & (kinds == kind)))[:per_kind]
    ]
    if not chosen:
        raise InputError(f"{folder}: no injected outlier with log p below {below:.1f}")
    drawn = pool.draw(min(8, len(pool)), seed=seed)
    others = held_out(pool, drawn, target)
    found = []
    for number, k in enumerate(chosen):
        spectrum = ranking.spectra[[rows[k]]]
        flux, z = model.prepare(spectrum)[0], float(spectrum.redshift[0])
        attribution = inverse_multiscale_occlusion(
            model, flux, z, drawn, windows, weights=RECOMMENDED_WEIGHTING, valid=spectrum.measured[0]
        )
        result = repair(
            model, flux, z, others, attribution, valid=spectrum.measured[0], target_log_prob=target,
            which=which, fill=fill, instrument=str(spectrum.instrument[0]), seed=seed,
        )  # fmt: skip
        usable = attribution.valid
        mask = np.convolve(masks[k] & usable, np.ones(2 * _DILATION + 1), "same") > 0
        fills = stand_ins(model, flux, usable, z, others, 8, which=which, seed=seed)
        found.append(
            RepairedOutlier(
                target_id=str(truth["target_id"][k]),
                kind=str(kinds[k]),
                strength=int(truth["STRENGTH"][k]),
                repair=result,
                inside=float(mask[result.replaced].mean()) if result.pixels else float("nan"),
                truth=float(mask[usable].mean()),
                control=_control(model, flux, usable, fills, result, target, fill, rng),
            )
        )
        on_each(number + 1, len(chosen))
    return found


def random_regions(
    widths: Sequence[int], usable: NDArray[np.bool_], rng: np.random.Generator, *, tries: int = 100
) -> NDArray[np.bool_]:
    """Return the pixels, (N,), of regions of these widths at random places, mostly usable and without overlap."""
    taken = np.zeros(len(usable), bool)
    for width in sorted(widths, reverse=True):
        for _ in range(tries):
            start = int(rng.integers(0, len(usable) - width + 1))
            inside = slice(start, start + width)
            if not taken[inside].any() and 2 * int(usable[inside].sum()) >= width:
                break
        taken[inside] = True
    return taken & usable


def repair_table(found: Sequence[RepairedOutlier]) -> list[tuple[str, ...]]:
    """Return a table with a heading: one row a kind, and all. Medians and shares are over the repaired ones."""
    heading = (
        "kind",
        "outliers",
        "repaired",
        "regions",
        "pixels",
        "inside truth",
        "by chance",
        "control",
        "not: needed",
    )
    rows: list[tuple[str, ...]] = [heading]
    for kind in [*sorted({one.kind for one in found}), "all"]:
        mine = [one for one in found if kind in (one.kind, "all")]
        done = [one for one in mine if one.repair.reached]
        failed = [one.repair for one in mine if not one.repair.reached]
        needed = [(one.needed or one.usable) / one.usable for one in failed]
        rows.append(
            (
                kind,
                str(len(mine)),
                str(len(done)),
                _median([len(one.repair.regions) for one in done], ".0f"),
                _median([one.repair.pixels for one in done], ".0f"),
                _mean([one.inside for one in done]),
                _mean([one.truth for one in done]),
                _mean([one.control for one in done]),
                _mean(needed),
            )
        )
    return rows


def _control(
    model: OutlierModel,
    flux: NDArray[np.floating],
    usable: NDArray[np.bool_],
    fills: NDArray[np.float32],
    result: Repair,
    target: float,
    fill: str,
    rng: np.random.Generator,
) -> float:
    """Return the share of draws of random regions as wide as the repaired ones that reach the target."""
    if not result.regions:
        return float("nan")
    widths = [one.stop - one.start for one in result.regions]
    hits = 0
    for _ in range(_CONTROLS):
        hybrids = filled(flux, fills, random_regions(widths, usable, rng), usable, fill)
        hits += float(np.median(model.log_prob(hybrids))) >= target
    return hits / _CONTROLS


def _read_masks(folder: Path) -> list[NDArray[np.bool_]]:
    """Read the truth masks, (N,) each, in the order of :func:`~imo_engine.evaluation.model.credibility.read_truth`."""
    masks: list[NDArray[np.bool_]] = []
    for path in sorted(folder.glob("truth-sim-*.fits")):
        try:
            with fits.open(path) as file:
                if len(file["OUTLIERS"].data):
                    masks.extend(np.asarray(file["MASK"].data, dtype=bool))
        except (OSError, KeyError, ValueError) as error:
            raise SpectrumFileError(f"{path}: not the truth of a simulated survey: {error}") from None
    return masks


def _median(values: Sequence[float], form: str) -> str:
    return format(float(np.median(values)), form) if values else "-"


def _mean(values: Sequence[float]) -> str:
    return f"{float(np.mean(values)):.2f}" if values else "-"
