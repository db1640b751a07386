"""Encoders with instance normalisation: cheap where that is right, exact where it is not, and which is measured."""

from collections.abc import Callable
from operator import attrgetter
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from imo_engine.attribution.evaluators.base import Chunks, Evaluator, Replacement
from imo_engine.attribution.evaluators.field_passes import FieldPasses
from imo_engine.attribution.evaluators.instance_stages import ChunkSet, InstanceStages
from imo_engine.attribution.evaluators.low_rank import Fields, LowRank, Way
from imo_engine.attribution.evaluators.side_by_side import Prepared, side_by_side
from imo_engine.attribution.evaluators.spot_checks import allowed_size, spread_checks
from imo_engine.attribution.record import WindowFacts
from imo_engine.system.batching import batch_size_for, run_in_batches

__all__ = ["Adaptive"]

_AUDITED = 4
"""Chunks of each window size and input that are computed both ways in the end: random ones, and the largest changes."""
_STRONG = 0.15
"""Share of a window's largest change from which on chunks are computed exactly whatever their size."""
_SAFETY = 2.4
"""By how much chunks that were not checked may be worse than those that were."""
_SAMPLES = ((1, 300), (4, 100), (16, 80), (64, 60))
_KEPT_BYTES = 1 << 30  # of what is prepared for all inputs; if that takes more, nothing is kept
_UNPREPARED = 40  # chunks for which it does not pay to prepare quick passes
_AT_ONCE = 128  # chunks between two questions whether to go on
_PART = 1024  # chunks whose statistics are kept together
_FEW = 200  # chunks below which all are computed exactly: wide chunks change too much for the cheap way


_WAYS: tuple[Way, ...] = ("linear", "far", "dense")
_Pass = Callable[[ChunkSet], Tensor]


class Adaptive(Evaluator):
    """Low-rank updates, and full passes where those would miss the tolerance.

    See :mod:`imo_engine.attribution.evaluators.low_rank`.

    Attributes:
        errors: By window size the largest error that checks found in what was kept, relative to the window's largest
            change of log p.
        exact_share: By window size the share of chunks that were computed exactly.
    """

    def __init__(
        self,
        replacement: Replacement,
        *,
        tolerance: float,
        memory_budget: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        """Send each input through the encoder; ``tolerance`` is relative to a window's largest change of log p."""
        super().__init__(replacement, memory_budget=memory_budget, should_stop=should_stop)
        self.tolerance = tolerance
        self.errors: dict[int, float] = {}
        self.exact_share: dict[int, float] = {}
        encoder = replacement.model.encoder
        with torch.no_grad():
            net, fourier = replacement.model.quick_encoder.net, []
            for stage in (1, 2):
                self.check()
                fourier.append(replacement.model.quick_encoder.fourier(stage, self.check))
            self.stages = []
            for base, changed in zip(replacement.base, replacement.changed, strict=True):
                self.check()
                self.stages.append(InstanceStages(encoder, base, changed, net=net, fourier=fourier))
            latents = self.head(torch.cat([stages.finish(stages.raw3[None]) for stages in self.stages]))
            self.own_log_prob = self.flow_log_prob(latents)
        at_once = torch.get_num_threads() if replacement.base.device.type == "cpu" else 1
        few = {"count": len(self.stages), "most_bytes": _KEPT_BYTES, "at_once": at_once}
        self.passes = Prepared(self._make_passes, attrgetter("bytes"), **few)
        self.fields = Prepared(self._make_fields, attrgetter("bytes"), **few)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Return "exact" or the tolerance, in words."""
        return "exact" if self.tolerance == 0 else f"within {100 * self.tolerance:g} %"

    def facts(self, window_size: int) -> WindowFacts:
        """Return what the checks of a window size found."""
        if self.tolerance == 0:
            return WindowFacts()
        return WindowFacts(self.errors.get(window_size, 0.0), self.exact_share.get(window_size, 1.0))

    def _latents(
        self, chunks: Chunks, should_stop: Callable[[], bool] | None, on_batch: Callable[[int], None] | None
    ) -> Tensor:
        size = int((chunks.stop - chunks.start).max())
        rows = np.unique(chunks.row)
        done, lock = [0] * len(rows), Lock()

        def run(number: int) -> tuple[Tensor, Tensor, _Row]:
            mine = np.flatnonzero(chunks.row == rows[number])

            def report(count: int) -> None:
                with lock:
                    done[number] = count
                    if on_batch is not None:
                        on_batch(sum(done))

            one = _Row(self, int(rows[number]), chunks[mine], should_stop, report)
            found = one.latents()
            return torch.from_numpy(mine).to(found.device), found, one

        finished = side_by_side(run, len(rows), self.replacement.base.device)
        latents = torch.cat([found for _, found, _ in finished])
        latents[torch.cat([mine for mine, _, _ in finished])] = latents.clone()
        if size:
            self.errors[size] = max(self.errors.get(size, 0.0), *(one.error for _, _, one in finished))
            self.exact_share[size] = sum(one.redone for _, _, one in finished) / len(chunks)
        return latents

    def _make_passes(self, row: int) -> FieldPasses:
        return FieldPasses(self.stages[row], self._samples(row), self.check)

    def _make_fields(self, row: int) -> Fields:
        rank = max(8, len(self.stages[row].net.slopes[1]) // 8)
        return Fields(self.passes[row], self._samples(row)[:3], rank=rank, check=self.check)

    def _samples(self, row: int) -> list[ChunkSet]:
        stages = self.stages[row]
        n_pixel, samples = len(stages.base), []
        for size, count in _SAMPLES:
            if size <= n_pixel:
                self.check()
                start = torch.linspace(0, n_pixel - size, count, device=stages.base.device).long()
                samples.append(stages.chunks(start, start + size, size))
        return samples


class _Row:
    """The chunks of one input and window size."""

    def __init__(
        self,
        parent: Adaptive,
        row: int,
        chunks: Chunks,
        should_stop: Callable[[], bool] | None,
        report: Callable[[int], None],
    ) -> None:
        self.parent, self.stages, self.row = parent, parent.stages[row], row
        self.should_stop, self.report = should_stop, report
        _, start, stop = chunks.on(self.stages.base.device)
        self.start, self.stop = start, stop
        self.window_size = int((chunks.stop - chunks.start).max())
        self.error, self.redone = 0.0, 0

    def latents(self) -> Tensor:
        """Return latents, (n, S), float64."""
        count = len(self.start)
        with torch.inference_mode(False), torch.no_grad():
            everything = torch.arange(count, device=self.start.device)
            if count <= _FEW or self.parent.tolerance == 0:
                self.redone = count
                return self._exact(everything, self.report)
            fields = self.parent.fields[self.row]
            cheap = []
            for part in everything.split(_PART):
                self.parent.check()
                cheap.append(LowRank(fields, self._chunks(part)))
            return self._updated(cheap)

    def _chunks(self, rows: Tensor) -> ChunkSet:
        return self.stages.chunks(self.start[rows], self.stop[rows], self.window_size)

    def _updated(self, cheap: list[LowRank]) -> Tensor:
        """Take the cheapest way that checks allow for a chunk's size, and full passes where none is allowed."""
        parent, count, device = self.parent, len(self.start), self.start.device
        sizes = torch.cat([part.size for part in cheap])
        by_size = torch.argsort(sizes)
        checks = by_size[spread_checks(sizes[by_size])]
        exact = self._exact(checks)
        right = parent.flow_log_prob(exact)
        own = parent.own_log_prob[self.row]
        largest = max(float((right - own).abs().max()), 1e-12)
        latents = exact.new_zeros(count, exact.shape[1])
        undecided, decided = torch.arange(count, device=device), 0.0
        checked = sizes[checks]
        for way in _WAYS:
            error = (parent.flow_log_prob(self._cheap(cheap, checks, way)) - right).abs()
            limit = allowed_size(checked, error, (right - own).abs(), parent.tolerance * largest / _SAFETY)
            mine = undecided[sizes[undecided] < limit]
            if len(mine):
                latents[mine] = self._cheap(cheap, mine, way)
                kept = (checked < limit) & (checked >= decided)
                self.error = max(self.error, float(error[kept].max()) / largest if bool(kept.any()) else 0.0)
                decided = limit
            undecided = undecided[sizes[undecided] >= limit]
            self.report(count - len(undecided))
        # what is small in all may still be strong in its place, where no statistics tell how wrong it is
        change = (parent.flow_log_prob(latents) - own).abs()
        strong = change > _STRONG * max(largest, float(change[checks].max()))
        strong[undecided], strong[checks] = True, False
        latents[checks] = exact
        audited = self._audit(latents, sizes, strong, checks, largest)
        strong[audited] = False
        redo = torch.nonzero(strong)[:, 0]
        if len(redo):
            latents[redo] = self._exact(redo)
        self.redone = len(redo) + len(checks) + len(audited)
        if self.redone == count:
            self.error = 0.0
        self.report(count)
        return latents

    def _audit(self, latents: Tensor, sizes: Tensor, strong: Tensor, checks: Tensor, largest: float) -> Tensor:
        """Check some chunks that had no say in what is kept.

        Where one is wrong, all of its size and more become strong; where most are wrong, all.

        Returns:
            Which chunks were checked; their latents are exact now.
        """
        kept = ~strong
        kept[checks] = False
        left = torch.nonzero(kept)[:, 0]
        if not len(left):
            return left
        change = (self.parent.flow_log_prob(latents[left]) - self.parent.own_log_prob[self.row]).abs()
        order = torch.randperm(len(left), generator=torch.Generator().manual_seed(self.row))[:_AUDITED]
        largest_ones = change.topk(min(_AUDITED, len(left))).indices
        some = left[torch.cat([order.to(left.device), largest_ones]).unique()]
        exact = self._exact(some)
        right, found = self.parent.flow_log_prob(exact), self.parent.flow_log_prob(latents[some])
        error = (found - right).abs() / largest
        wrong = error > self.parent.tolerance
        limit = 0.0 if 2 * int(wrong.sum()) > len(wrong) else sizes[some].masked_fill(~wrong, torch.inf).min()
        strong |= kept & (sizes >= limit)
        self.error = max(self.error, float(error.masked_fill(sizes[some] >= limit, 0).max()))
        latents[some] = exact
        return some

    def _cheap(self, cheap: list[LowRank], rows: Tensor, way: Way) -> Tensor:
        latents = torch.empty(0)
        for number, part in enumerate(cheap):
            where = torch.nonzero(rows // _PART == number)[:, 0]
            if not len(where):
                continue
            mine = rows[where] - number * _PART

            def batch(a: int, b: int, part: LowRank = part, mine: Tensor = mine) -> Tensor:
                return part.latents(mine[a:b], self.parent.head, way)

            size = min(_AT_ONCE, batch_size_for(part.bytes_per_chunk, self.parent.memory_budget, rows.device))
            found = run_in_batches(batch, len(mine), size, should_stop=self.should_stop)
            if not len(latents):
                latents = found.new_empty(len(rows), found.shape[1])
            latents[where] = found
        return latents

    def _exact(self, rows: Tensor, on_batch: Callable[[int], None] | None = None) -> Tensor:
        # few chunks use what others had prepared, but not of windows so wide that there are only few
        prepared = len(rows) > _UNPREPARED or (len(self.start) > _UNPREPARED and self.row in self.parent.passes)
        pooled, done = [], 0
        for part in rows.split(_PART):
            self.parent.check()
            chunks = self._chunks(part)
            quick = torch.zeros(len(part), dtype=torch.bool, device=rows.device)
            ways = [(self.stages.exact, self.stages.bytes_per_pass)]
            if prepared:
                passes = self.parent.passes[self.row]
                quick = passes.suits(chunks)
                ways.append((passes.pooled, passes.bytes_per_pass))
            found = chunks.high.new_empty(len(part), len(self.stages.net.slopes[2]) // 2)
            for number, (run, cost) in enumerate(ways):
                mine = torch.nonzero(quick == number)[:, 0]
                if not len(mine):
                    continue

                def batch(a: int, b: int, run: _Pass = run, chunks: ChunkSet = chunks, mine: Tensor = mine) -> Tensor:
                    return run(chunks[mine[a:b]])

                def tell(count: int, before: int = done) -> None:
                    if on_batch is not None:
                        on_batch(before + count)

                size = batch_size_for(cost, self.parent.memory_budget, rows.device)
                found[mine] = run_in_batches(batch, len(mine), size, should_stop=self.should_stop, on_batch=tell)
                done += len(mine)
            pooled.append(found)
        return self.parent.head(torch.cat(pooled).double())
