"""All scores of one map of one case."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.evaluation.cases import Case
from imo_engine.evaluation.methods.ceilings import block_shares
from imo_engine.evaluation.methods.contenders import Map
from imo_engine.evaluation.methods.hits import chance_of_hits, dilate, hits
from imo_engine.evaluation.methods.localisation import (
    area_under_roc,
    average_precision,
    expected_average_precision,
    lift,
    normalised,
    soft_area,
)
from imo_engine.evaluation.methods.recovery import block_gains, repair_scores
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["Judge", "Protocol", "all_scores"]


@dataclass(frozen=True)
class Protocol:
    """Everything that decides what is measured and how.

    Attributes:
        seed: Of every draw.
        n_baselines: That the methods compare with.
        n_held_out: Others, that repair with.
        thresholds: Sigma beyond which a pixel is true; the first is that of the headline.
        resolution: Pixels by which the truth is widened for hits; DESI's full width at half maximum is 2.2.
        suppression: Pixels around a place that are no other place.
        budgets: Pixels that are repaired.
        least_deficit: Nats by which log p must be below that of the twin for repair, and to count as seen.
        block_width: Pixels of the random ranges that test faithfulness.
        block_count: How many of them.
    """

    seed: int = 0
    n_baselines: int = 8
    n_held_out: int = 2
    thresholds: tuple[float, ...] = (1.0, 3.0)
    resolution: int = 3
    suppression: int = 20
    budgets: tuple[int, ...] = (64, 256, 1024)
    least_deficit: float = 3.0
    block_width: int = 64
    block_count: int = 32

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


class Judge:
    """Scores maps of one case; everything that is common to them is prepared once.

    Attributes:
        baselines: That the methods compare with.
        replacements: (n_held_out, N) others at the redshift, that repair with.
        rest: The pool without those.
    """

    def __init__(self, model: OutlierModel, case: Case, pool: BaselinePool, protocol: Protocol) -> None:
        """Draw baselines, those of the methods and others for repair, and score outlier and twin."""
        self.model, self.case, self.protocol = model, case, protocol
        self.own_seed = [protocol.seed, int(case.target_id) % 2**32]
        drawn = pool.draw(protocol.n_baselines + protocol.n_held_out, seed=self.own_seed)
        order = np.arange(len(drawn))
        self.baselines = drawn[order[: protocol.n_baselines]]
        held_out = drawn[order[protocol.n_baselines :]]
        known = (pool.latents[:, None] == held_out.latents).all(axis=2).any(axis=1)
        self.rest = pool[np.flatnonzero(~known)]
        self.replacements = model.decode(held_out.latents, np.full(len(held_out), case.redshift))
        self.log_prob, self.clean_log_prob = model.log_prob(np.stack([case.flux, case.clean])).astype(float).tolist()
        self.truths = {sigma: case.significance > sigma for sigma in protocol.thresholds if case.is_local}
        self.blocks, self.gains = block_gains(
            model,
            case.flux,
            self.log_prob,
            self.replacements[0],
            case.valid,
            width=protocol.block_width,
            count=protocol.block_count,
            rng=self._rng(1),
        )

    @property
    def is_seen(self) -> bool:
        """Whether the cause lowers log p at all."""
        return bool(self.clean_log_prob - self.log_prob >= self.protocol.least_deficit)

    def facts(self) -> dict[str, Any]:
        """Return what is known of the case."""
        valid = self.case.valid
        return {
            "target_id": self.case.target_id,
            "kind": self.case.kind,
            "strength": self.case.strength,
            "redshift": self.case.redshift,
            "log_prob": self.log_prob,
            "clean_log_prob": self.clean_log_prob,
            "valid_pixels": int(valid.sum()),
            "true_pixels": {_name(sigma): int(truth.sum()) for sigma, truth in self.truths.items()},
        }

    def scores(self, values: NDArray[np.floating]) -> dict[str, float]:
        """Return the scores of a map, (N,), NaN where not valid; those that mean nothing here are left out."""
        values = np.where(self.case.valid, values, np.nan)
        found = self.located(values)
        if self.is_seen:
            for name, put_in in (("repair", self.replacements), ("restoration", self.case.clean[None])):
                shares = repair_scores(
                    self.model,
                    self.case.flux,
                    self.log_prob,
                    self.clean_log_prob,
                    put_in,
                    values,
                    self.protocol.budgets,
                    self._rng(2),
                )
                found |= {f"{name}_{n}": float(share) for n, share in zip(self.protocol.budgets, shares, strict=True)}
        inside = np.where(self.blocks, np.nan_to_num(values, posinf=0.0, neginf=0.0), 0.0).sum(axis=1)
        if inside.std() > 0 and self.gains.std() > 0:
            found["faithfulness"] = float(np.corrcoef(inside, self.gains)[0, 1])
        return found

    def located(self, values: NDArray[np.floating]) -> dict[str, float]:
        """Return the scores that need to know where the cause is."""
        valid = self.case.valid
        known = values[valid]
        found: dict[str, float] = {}
        for sigma, mask in self.truths.items():
            truth, tail = mask[valid], _name(sigma)
            if not 0 < truth.sum() < len(truth):
                continue
            share = float(truth.mean())
            found[f"average_precision_{tail}"] = normalised(average_precision(known, truth), share)
            found[f"expected_average_precision_{tail}"] = normalised(expected_average_precision(known, truth), share)
            found[f"area_under_roc_{tail}"] = area_under_roc(known, truth)
            found[f"lift_{tail}"] = lift(known, truth)
            wide = dilate(mask, self.protocol.resolution)
            places = hits(values, wide, radius=self.protocol.suppression, rng=self._rng(3))
            found |= {f"hit_at_1_{tail}": float(places[0]), f"hit_at_3_{tail}": float(places[2])}
        if self.case.is_local:
            weight = self.case.significance[valid] ** 2
            if weight.max() > weight.min():
                found["soft_area"] = soft_area(known, weight)
        return found

    def ceilings(self, window: int) -> dict[str, float]:
        """Return the scores of the best map that is constant over windows, threshold by threshold."""
        found: dict[str, float] = {}
        for sigma, mask in self.truths.items():
            truth, tail = mask[self.case.valid], _name(sigma)
            if not 0 < truth.sum() < len(truth):
                continue
            best = block_shares(mask, self.case.valid, window)
            precision = average_precision(best[self.case.valid], truth)
            found[f"average_precision_{tail}"] = normalised(precision, float(truth.mean()))
            wide = dilate(mask, self.protocol.resolution)
            places = hits(block_shares(wide, self.case.valid, window), wide, radius=0, rng=self._rng(3))
            found |= {f"hit_at_1_{tail}": float(places[0]), f"hit_at_3_{tail}": float(places[2])}
        return found

    def chance(self) -> dict[str, float]:
        """Return the scores of random maps in the mean, for those scores where they are not 0 or 1/2."""
        found: dict[str, float] = {}
        for sigma, mask in self.truths.items():
            if 0 < mask[self.case.valid].sum() < self.case.valid.sum():
                share = float(dilate(mask, self.protocol.resolution)[self.case.valid].mean())
                places = chance_of_hits(share)
                found |= {f"hit_at_1_{_name(sigma)}": float(places[0]), f"hit_at_3_{_name(sigma)}": float(places[2])}
        return found

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*self.own_seed, purpose])


def _name(sigma: float) -> str:
    return f"{sigma:g}sigma"


def all_scores(judge: Judge, maps: Mapping[str, Map]) -> dict[str, dict[str, float]]:
    """Return the scores of each map by name, with what it cost."""
    found = {
        name: judge.scores(one.values) | {"seconds": one.seconds, "evaluations": float(one.evaluations)}
        for name, one in maps.items()
    }
    # what is not a number is no score
    return {name: {key: value for key, value in one.items() if np.isfinite(value)} for name, one in found.items()}
