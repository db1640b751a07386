"""How much of an attribution comes from the pattern at each place, and how much through statistics of the spectrum.

With every normalisation's statistics held fixed a chunk acts through the pattern alone; what else it does goes through
the mean and the variance over the whole spectrum. Let e be what chunks do to log p and f what they do with frozen
statistics, both means over baselines. The local share is sum(e f) / sum(e e) over the chunks of a window size, and that
of the statistics is one minus it. Where the two work against each other one is above 1 and the other below 0: so it is
where a network's attention is even, since normalisation takes the mean over the spectrum away again.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.evaluators.base import Chunks, Replacement
from imo_engine.attribution.evaluators.local import FrozenStatistics

__all__ = ["LocalShares"]

_MOST = 96
"""Chunks of a window size that are compared; of more these are drawn, the more likely the stronger they are."""


class LocalShares:
    """Finds the share by window size; prepared when first needed, and known beforehand without normalisation."""

    def __init__(self, replacement: Replacement, *, memory_budget: int | None = None) -> None:
        """Compare with frozen statistics of the same inputs."""
        self._replacement, self._memory_budget = replacement, memory_budget
        self._known = replacement.model.encoder.config.normalisation == "none"
        self._frozen: FrozenStatistics | None = None
        self._own: NDArray[np.float64] = np.zeros(0)

    def of(
        self,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        change: NDArray[np.float64],
        should_stop: Callable[[], bool] | None = None,
    ) -> tuple[float | None, float | None]:
        """Return the local share of one window size and its standard error; None without a signal.

        Args:
            starts: (n,) first pixels of chunks.
            stops: (n,) one past the last.
            change: (M, n) log p lost, nats.
            should_stop: Asked now and then.

        Raises:
            Cancelled: ``should_stop`` returned True.
        """
        if self._known:
            return 1.0, 0.0
        signal = change.mean(axis=0)
        power = signal**2
        if not power.sum() > 0:
            return None, None
        count = len(starts)
        if count <= _MOST:
            return float(signal @ self._local(starts, stops, should_stop) / power.sum()), 0.0
        probability = 0.5 * power / power.sum() + 0.5 * np.abs(signal) / np.abs(signal).sum()
        steps = (np.arange(_MOST) + np.random.default_rng(0).random()) / _MOST
        drawn = np.minimum(np.searchsorted(np.cumsum(probability), steps), count - 1)
        chosen, back = np.unique(drawn, return_inverse=True)
        local = self._local(starts[chosen], stops[chosen], should_stop)
        shares = (signal[chosen] * local / probability[chosen] / power.sum())[back]
        return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(_MOST))

    def _local(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64], should_stop: Callable[[], bool] | None
    ) -> NDArray[np.float64]:
        """Return what chunks do with frozen statistics, (n,), mean over inputs."""
        if self._frozen is None:
            self._frozen = FrozenStatistics(
                self._replacement, memory_budget=self._memory_budget, should_stop=should_stop
            )
            self._own = self._frozen.base_log_prob(should_stop)
        inputs, count = len(self._own), len(starts)
        chunks = Chunks(np.repeat(np.arange(inputs), count), np.tile(starts, inputs), np.tile(stops, inputs))
        log_prob = self._frozen.log_prob(chunks, should_stop=should_stop)
        change: NDArray[np.float64] = (self._own[:, None] - log_prob.reshape(inputs, count)).mean(axis=0)
        return change
