"""Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365) along a straight line, adaptively.

The network's pooling makes the gradient jump thousands of times along the line, so a fixed rule converges only
as fast as 1/steps, and how many steps are enough depends on the spectrum. Here the function itself, which
every gradient brings with it, tells the error of each piece of the line: the piece's integral must equal the
change of the function over it. The pieces with the largest errors are halved until the whole is good enough.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imo_engine.methods.problem import Problem

__all__ = ["PathIntegral", "integrate_adaptively", "relative_gap"]

_FIRST_PIECES = 16
_LUCK = 5
"""The errors of the pieces, all taken as positive, may add up to this many tolerances."""


@dataclass(frozen=True, eq=False)
class PathIntegral:
    """The gradient's integral from a reference to the spectrum.

    Attributes:
        values: (N,) nats; they add up to ``change * (1 + gap)``.
        change: Anomaly of the spectrum less that of the reference, nats.
        gap: Relative completeness gap.
    """

    values: NDArray[np.float64]
    change: float
    gap: float


@dataclass(eq=False)
class _Pieces:
    """Pieces [low, high] of the line: anomaly at both ends and the middle, gradient in the middle."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    at_low: NDArray[np.float64]
    at_high: NDArray[np.float64]
    at_middle: NDArray[np.float64]
    gradient: NDArray[np.floating]  # (piece, N)

    def __getitem__(self, rows: NDArray[np.integer | np.bool_]) -> "_Pieces":
        return _Pieces(*(column[rows] for column in vars(self).values()))

    def errors(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far each piece's share is from the change of the anomaly over it, nats."""
        return (self.high - self.low) * (self.gradient @ direction) - (self.at_high - self.at_low)


def integrate_adaptively(
    problem: Problem, reference: NDArray[np.floating], *, tolerance: float, max_steps: int
) -> PathIntegral:
    """Integrate the gradient from ``reference``, (N,), to the spectrum by midpoints.

    Stops when the sum of the pieces' errors is within ``tolerance`` of the change of the anomaly, and the sum
    of their absolute values within five times that, or after ``max_steps`` gradients. One gradient of N values
    is held for each piece, in the model's precision.
    """
    start, end = problem.on_device(reference), problem.on_device(problem.flux)
    direction = problem.flux.astype(np.float64) - reference

    def middles(
        low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
        position = problem.on_device((low + high) / 2)[:, None]
        return problem.anomaly_and_gradient(lambda a, b: start + position[a:b] * (end - start), len(low))

    edge = np.linspace(0, 1, _FIRST_PIECES + 1)
    positions = problem.on_device(edge)[:, None]
    at_edge = problem.anomaly(lambda a, b: start + positions[a:b] * (end - start), len(edge))
    change = float(at_edge[-1] - at_edge[0])
    pieces = _Pieces(edge[:-1], edge[1:], at_edge[:-1], at_edge[1:], *middles(edge[:-1], edge[1:]))
    steps = _FIRST_PIECES
    while True:
        error = pieces.errors(direction)
        allowed = tolerance * abs(change)
        good = abs(error.sum()) <= allowed and np.abs(error).sum() <= _LUCK * allowed
        count = min(max(8, len(error) // 4), (max_steps - steps) // 2)
        if good or count < 1:
            break
        order = np.argsort(-np.abs(error), kind="stable")
        worst, kept = pieces[order[:count]], pieces[order[count:]]
        middle = (worst.low + worst.high) / 2
        low, high = np.concatenate([worst.low, middle]), np.concatenate([middle, worst.high])
        halves = _Pieces(
            low,
            high,
            np.concatenate([worst.at_low, worst.at_middle]),
            np.concatenate([worst.at_middle, worst.at_high]),
            *middles(low, high),
        )
        pieces = _Pieces(
            *(np.concatenate(both) for both in zip(vars(kept).values(), vars(halves).values(), strict=True))
        )
        steps += len(low)
    values = ((pieces.high - pieces.low) @ pieces.gradient) * direction
    return PathIntegral(values, change, relative_gap(float(values.sum()), change))


def relative_gap(total: float, change: float) -> float:
    """Return ``total / change - 1``; 0 if nothing changed and nothing was attributed."""
    if total == change:
        return 0.0
    return total / change - 1 if change else float("inf")
