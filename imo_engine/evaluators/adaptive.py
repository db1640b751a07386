"""Encoders with instance normalisation: cheap where that is right, exact where it is not, and which is measured."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from imo_engine.batching import batch_size_for, run_in_batches
from imo_engine.convolutions import plain_convolutions
from imo_engine.evaluators.instance_stages import ChunkSet, InstanceStages
from imo_engine.evaluators.low_rank import Fields, LowRank
from imo_engine.evaluators.replacement import Chunks, Evaluator, Replacement
from imo_engine.fourier import FourierConvolution

__all__ = ["Adaptive"]

_CHECKS = 24
"""Chunks of each window size and input that are computed both ways, to learn how wrong the cheap way is."""
_STRONG = 0.1
_SAFETY = 3.0
"""By how much chunks that were not checked may be worse than those that were."""
_SAMPLES = ((1, 600), (4, 200), (16, 100))
_PRECISION = 1e-3
_FEW = 600  # chunks below which all are computed exactly: wide chunks change too much for the cheap way


class Adaptive(Evaluator):
    """Low-rank updates (:mod:`imo_engine.evaluators.low_rank`), and full passes where they would miss the tolerance.

    Attributes:
        errors: By window size the largest error that checks found in what was kept, relative to the window's largest
            change of log p.
        exact_share: By window size the share of chunks that were computed exactly.
    """

    def __init__(self, replacement: Replacement, *, tolerance: float, memory_budget: int | None = None) -> None:
        """Send each input through the encoder; ``tolerance`` is relative to a window's largest change of log p."""
        super().__init__(replacement, memory_budget=memory_budget)
        self.tolerance = tolerance
        self.errors: dict[int, float] = {}
        self.exact_share: dict[int, float] = {}
        encoder = replacement.model.encoder
        with torch.no_grad():
            net = plain_convolutions(encoder)
            fourier = [FourierConvolution(net.weights[stage]) for stage in (1, 2)]
            self.stages = [
                InstanceStages(encoder, base, changed, net=net, fourier=fourier)
                for base, changed in zip(replacement.base, replacement.changed, strict=True)
            ]
            latents = self.head(torch.cat([stages.finish(stages.raw3[None]) for stages in self.stages]))
            self.own_log_prob = self.flow_log_prob(latents)
        self._fields: dict[int, Fields] = {}

    @property
    def name(self) -> str:  # type: ignore[override]
        """Return "exact" or the tolerance, in words."""
        return "exact" if self.tolerance == 0 else f"within {100 * self.tolerance:g} %"

    def _latents(
        self, chunks: Chunks, should_stop: Callable[[], bool] | None, on_batch: Callable[[int], None] | None
    ) -> Tensor:
        size = int((chunks.stop - chunks.start).max())
        latents = None
        done = 0
        worst, redone = 0.0, 0
        for row, stages in enumerate(self.stages):
            mine = np.flatnonzero(chunks.row == row)
            if not len(mine):
                continue

            def report(count: int, before: int = done) -> None:
                if on_batch is not None:
                    on_batch(before + count)

            one = _Row(self, stages, row, chunks[mine], should_stop, report)
            found = one.latents()
            if latents is None:
                latents = found.new_empty(len(chunks), found.shape[1])
            latents[torch.from_numpy(mine).to(found.device)] = found
            worst, redone = max(worst, one.error), redone + one.redone
            done += len(mine)
        if latents is None:
            raise ValueError("no chunks")
        if size:
            self.errors[size] = max(worst, self.errors.get(size, 0.0))
            self.exact_share[size] = redone / len(chunks)
        return latents

    def fields(self, row: int) -> Fields:
        """Return what one input's statistics do to it; prepared when first needed."""
        if row not in self._fields:
            stages = self.stages[row]
            n_pixel = len(stages.base)
            samples = []
            for size, count in _SAMPLES:
                start = torch.linspace(0, n_pixel - size, count, device=stages.base.device).long()
                samples.append(stages.chunks(start, start + size))
            rank = max(8, len(stages.net.slopes[1]) // 4)
            with torch.inference_mode(False), torch.no_grad():
                self._fields[row] = Fields(stages, samples, precision=_PRECISION, rank=rank)
        return self._fields[row]


class _Row:
    """The chunks of one input and window size."""

    def __init__(
        self,
        parent: Adaptive,
        stages: InstanceStages,
        row: int,
        chunks: Chunks,
        should_stop: Callable[[], bool] | None,
        report: Callable[[int], None],
    ) -> None:
        self.parent, self.stages, self.row = parent, stages, row
        self.should_stop, self.report = should_stop, report
        _, start, stop = chunks.on(stages.base.device)
        self.start, self.stop = start, stop
        self.error, self.redone = 0.0, 0

    def latents(self) -> Tensor:
        """Return latents, (n, S), float64."""
        count = len(self.start)
        with torch.inference_mode(False), torch.no_grad():
            chunks = self.stages.chunks(self.start, self.stop)
            if count <= _FEW or self.parent.tolerance == 0:
                self.redone = count
                return self._exact(chunks, torch.arange(count, device=self.start.device), self.report)
            cheap = LowRank(self.parent.fields(self.row), chunks)
            everything = torch.arange(count, device=self.start.device)
            size = batch_size_for(cheap.bytes_per_chunk, self.parent.memory_budget, self.start.device)
            latents = run_in_batches(
                lambda a, b: cheap.latents(everything[a:b], self.parent.head),
                count,
                max(size, 1),
                should_stop=self.should_stop,
            )
            return self._improved(chunks, cheap, latents)

    def _improved(self, chunks: ChunkSet, cheap: LowRank, latents: Tensor) -> Tensor:
        """Check some chunks, learn how the error grows with size, and redo those that would miss the tolerance."""
        own = self.parent.own_log_prob[self.row]
        change = (self.parent.flow_log_prob(latents) - own).abs()
        count = len(latents)
        by_size = torch.argsort(cheap.size)
        spread = torch.linspace(count // 2, count - 1, _CHECKS, device=by_size.device).long()
        checks = torch.cat([by_size[spread], torch.argsort(change)[-_CHECKS // 4 :]]).unique()
        exact = self._exact(chunks, checks)
        error = (self.parent.flow_log_prob(exact) - self.parent.flow_log_prob(latents[checks])).abs()
        largest = max(float(change.max()), 1e-12)
        known = torch.zeros(count, dtype=torch.bool, device=checks.device)
        known[checks] = True
        # second order: error = factor * size ** 2, the factor being the worst that was seen of the larger chunks
        factor = _worst_factor(error, cheap.size[checks])
        allowed = 0.5 * self.parent.tolerance * largest / _SAFETY
        # strong chunks may err by what they do near them, whatever they do to the statistics
        doubtful = (factor * cheap.size.square() > allowed) | (change > _STRONG * largest)
        redo = torch.nonzero(doubtful & ~known)[:, 0]
        kept = ~doubtful[checks]
        self.error = float((error[kept] / largest).max()) if bool(kept.any()) else 0.0
        latents[checks] = exact
        if len(redo):
            latents[redo] = self._exact(chunks, redo)
        self.redone = len(redo) + len(checks)
        self.report(count)
        return latents

    def _exact(self, chunks: ChunkSet, rows: Tensor, on_batch: Callable[[int], None] | None = None) -> Tensor:
        cost = self.stages.bytes_per_pass
        size = batch_size_for(cost, self.parent.memory_budget, rows.device)
        pooled = run_in_batches(
            lambda a, b: self.stages.exact(chunks, rows[a:b]),
            len(rows),
            size,
            should_stop=self.should_stop,
            on_batch=on_batch,
        )
        return self.parent.head(pooled.double())


def _worst_factor(error: Tensor, size: Tensor) -> float:
    """Return the largest error over size squared, but not of the smallest chunks, where rounding rules."""
    order = torch.argsort(size)[len(size) // 3 :]
    return float((error[order] / size[order].square().clamp_min(1e-12)).max())
