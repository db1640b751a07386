"""Latents of the targets and of the baselines: who is near whom, and a plane to look at them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.survey.survey import Survey

__all__ = ["LatentMap", "Latents"]

_CHUNK = 512  # spectra encoded at a time
_FLATTEST = 1e-3


@dataclass(frozen=True, eq=False)
class LatentMap:
    """Latents of a survey in the units of ordinary spectra: the baselines have mean 0 and unit covariance.

    Distances are those of Mahalanobis with the covariance of the baselines, so that neither the scale of single
    latents nor how they are mixed matters, nor which other targets there are.

    Attributes:
        target_id: (n,) targets with latents.
        targets: (n, S) in these units.
        baselines: (m, S) in these units.
        axes: (2, S) first two principal components of the targets about the mean of the baselines.
        share: (2,) of the targets' squared distance from that mean that each of them holds.
    """

    target_id: NDArray[np.str_]
    targets: NDArray[np.float64]
    baselines: NDArray[np.float64]
    axes: NDArray[np.float64]
    share: NDArray[np.float64]

    @classmethod
    def of(
        cls, target_id: NDArray[np.str_], latents: NDArray[np.float32], baselines: NDArray[np.float32]
    ) -> "LatentMap":
        """Bring latents of targets, (n, S), and baselines, (m, S), into these units, and find the plane.

        Directions in which the baselines do not scatter count as if they scattered a thousandth of the widest.
        Signs are chosen so that the largest weight of each component is positive.
        """
        ordinary = baselines.astype(float)
        centre = ordinary.mean(axis=0)
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(ordinary.T)))
        scatter = np.sqrt(np.clip(values, 0, None))
        widest = scatter.max(initial=0.0) or 1.0
        whiten = vectors / np.maximum(scatter, _FLATTEST * widest)
        targets = (latents.astype(float) - centre) @ whiten
        power, directions = np.linalg.eigh(targets.T @ targets)
        power, axes = np.clip(power[::-1], 0, None), directions.T[::-1]
        signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
        share = power / (power.sum() or 1.0)
        return cls(target_id, targets, (ordinary - centre) @ whiten, (signs[:, None] * axes)[:2], share[:2])

    def only(self, chosen: Sequence[bool]) -> "LatentMap":
        """Return the same map with the chosen ones, (n,), of its targets."""
        keep = np.asarray(chosen, bool)
        return replace(self, target_id=self.target_id[keep], targets=self.targets[keep])

    def plane(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project latents in these units, (k, S), to the plane, (k, 2)."""
        return points @ self.axes.T

    def nearest(self, target_id: str, count: int) -> list[tuple[str, float]]:
        """Return the targets nearest to one and their distances, the nearest first; none if it has no latents."""
        found = np.flatnonzero(self.target_id == target_id)
        if not len(found):
            return []
        distance = np.linalg.norm(self.targets - self.targets[found[0]], axis=1)
        distance[found[0]] = np.inf
        order = np.argsort(distance, kind="stable")[:count]
        return [(str(self.target_id[k]), float(distance[k])) for k in order if np.isfinite(distance[k])]


class Latents:
    """Encodes each target once, when somebody needs it; safe to use from any thread but the page's, which it blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, NDArray[np.float32]] = {}
        self._map: tuple[frozenset[str], LatentMap] | None = None

    def map(self, survey: Survey) -> LatentMap:
        """Return the map of the targets that have a score, the users' own files included.

        Raises:
            ImoError: a model that cannot be loaded.
        """
        spectra = survey.spectra
        scored = spectra.target_id[spectra.scorable & np.isfinite(survey.log_prob)]
        wanted = frozenset(scored.tolist())
        with self._lock:
            if self._map is not None and self._map[0] == wanted:
                return self._map[1]
            model, pool = survey.engine.get()
            rows = np.flatnonzero(np.isin(spectra.target_id, [one for one in wanted if one not in self._known]))
            for start in range(0, len(rows), _CHUNK):
                part = spectra[rows[start : start + _CHUNK]]
                codes = model.encode(model.prepare(part))
                self._known.update(zip(part.target_id.tolist(), codes, strict=True))
            table = np.array([self._known[one] for one in scored.tolist()]).reshape(len(scored), model.n_latent)
            made = LatentMap.of(scored, table, pool.latents)
            self._map = (wanted, made)
            return made
