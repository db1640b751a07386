"""What a repair found: regions, log p as they are replaced one after the other, and the repaired spectrum."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Repair", "RepairedRegion"]


@dataclass(frozen=True)
class RepairedRegion:
    """One region, and log p with it and all regions before it replaced.

    Attributes:
        start: First pixel.
        stop: One past the last.
        pixels: How many of them were replaced: those that were measured and that the model reaches.
        observed: First and last wavelength, vacuum Angstrom, observed frame.
        rest: The same in the rest frame.
        log_prob: (M,) nats, one a baseline that filled it.
    """

    start: int
    stop: int
    pixels: int
    observed: tuple[float, float]
    rest: tuple[float, float]
    log_prob: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of log p over baselines, nats."""
        return float(np.median(self.log_prob))

    @property
    def scatter(self) -> float:
        """Half of the range that holds the middle 68 % of the baselines' log p, nats."""
        low, high = np.quantile(self.log_prob, [0.16, 0.84])
        return float(high - low) / 2


@dataclass(frozen=True, eq=False)
class Repair:
    """How a spectrum becomes ordinary.

    Attributes:
        regions: What was replaced, the most important first; none if it is ordinary as it is.
        own: log p of the spectrum, nats.
        target: log p that counts as ordinary.
        reached: Whether the median over baselines is not below it.
        needed: Where it is not: how many pixels have to be replaced to reach it, those with the highest attribution
            first, to an eighth of the spectrum; None if it is not reached even with all of them, or not asked.
        usable: How many pixels could be replaced.
        flux: (N,) the spectrum as repaired by the baseline with the middle log p, normalised as the original.
        replaced: (N,) which pixels were.
        evaluations: How many spectra were scored.
        seconds: How long it took.
        complete: Whether the search ended before it had used up its evaluations.
    """

    regions: tuple[RepairedRegion, ...]
    own: float
    target: float
    reached: bool
    needed: int | None
    usable: int
    flux: NDArray[np.float32]
    replaced: NDArray[np.bool_]
    evaluations: int
    seconds: float
    complete: bool

    @property
    def pixels(self) -> int:
        """How many pixels were replaced."""
        return int(self.replaced.sum())

    @property
    def median(self) -> float:
        """Median over baselines of log p of the repaired spectrum, nats."""
        return self.regions[-1].median if self.regions else self.own

    def to_dict(self) -> dict[str, Any]:
        """Return what can be written as JSON: everything but the fluxes."""
        return {
            "own_log_prob": self.own,
            "target_log_prob": self.target,
            "reached": self.reached,
            "pixels": self.pixels,
            "usable_pixels": self.usable,
            "pixels_needed": self.needed,
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 3),
            "regions": [
                {
                    "pixels": [one.start, one.stop],
                    "replaced": one.pixels,
                    "observed": [round(edge, 2) for edge in one.observed],
                    "rest": [round(edge, 2) for edge in one.rest],
                    "log_prob_median": round(one.median, 4),
                    "log_prob_scatter": round(one.scatter, 4),
                }
                for one in self.regions
            ],
        }
