"""Exact passes of chunks that change an input's statistics little: the second convolution without convolving.

New statistics of the first stage move every pooled cell on its straight line, ``scale * (cell - shift * slope)``, but
for the few cells whose sign they change. The second convolution is linear, so what it makes of the lines is a sum of
fixed fields, one for each channel's scale and shift, of which few combinations occur; what it makes of the cells that
change sign and of those at the chunk is added where it belongs. Nothing is left out but rounding, and what
:data:`PRECISION` allows of the combinations.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from imo_engine.attribution.evaluators.instance_stages import ChunkSet, InstanceStages, Statistics, first_change
from imo_engine.model.convolutions import FAR

__all__ = ["PRECISION", "FieldPasses", "leading_directions"]

PRECISION = 3e-5
"""Share of a chunk's change of the first statistics that the fields may leave out."""

_FEW = 4  # fields whose convolutions take about as long as some forward passes
_MOST_FLIPS = 2500
"""Cells that change sign, above which a full pass is quicker."""


class FieldPasses:
    """Passes of one input's chunks from the first stage's statistics on.

    Attributes:
        basis: (r, 2 C1) combinations of scales and shifts, the leading ones first.
        fields: (r, L1, C2) what the second convolution makes of them.
        gate: (L1, C1) slope of the activation at each pooled cell.
    """

    def __init__(self, stages: InstanceStages, samples: list[ChunkSet], check: Callable[[], None]) -> None:
        """Find the combinations that occur in ``samples``, some chunks of each window size; ``check`` may raise."""
        self.stages, net = stages, stages.net
        self.basis = leading_directions(torch.cat([first_change(stages, sample)[2] for sample in samples]), PRECISION)
        normal = stages.statistics1.normal(stages.high1)
        self.gate = _gate(stages, normal)
        width = normal.shape[1]
        both = self.basis.to(normal)
        fields = []
        for few in both.split(_FEW):
            check()
            inputs = few[:, None, :width] * stages.cells1 + few[:, None, width:] * self.gate
            fields.append(stages.fourier[0](inputs))
        check()
        ordered, self.order = normal.T.contiguous().sort(dim=1)  # (C1, L1)
        self.ordered = ordered
        check()
        self.zero = torch.searchsorted(ordered, torch.zeros(width, 1, device=normal.device, dtype=normal.dtype))[:, 0]
        self.kernel = net.weights[1].flip(2).permute(1, 2, 0).contiguous()  # (C1, size, C2)
        # rows of the second stage with room for the pooling's and the kernel's margins
        pool, reach, length = net.pools[1], net.reach(1), len(stages.raw2)
        self.cells = (length + 2 * (pool // 2)) // pool
        self.front = max(pool // 2, reach)
        self.rows = max(self.front - pool // 2 + self.cells * pool, self.front + length + reach)
        self.mean = stages.statistics2.mean.to(stages.raw2)
        centred = stages.raw2.new_full((self.rows, stages.raw2.shape[1]), -FAR)
        centred[self.front : self.front + length] = stages.raw2 - self.mean
        self.centred = centred.flatten()
        spread = stages.raw2.new_zeros(len(both), self.rows, stages.raw2.shape[1])
        self.fields = spread[:, self.front : self.front + length]
        check()
        self.fields.copy_(torch.cat(fields))
        check()
        self.spread = spread.flatten(1)
        self.bytes_per_pass = 2 * self.rows * len(self.mean) * self.spread.element_size()

    @property
    def bytes(self) -> int:
        """Return what this keeps in memory."""
        return self.spread.nbytes + self.centred.nbytes + self.ordered.nbytes + self.order.nbytes

    def suits(self, chunks: ChunkSet) -> Tensor:
        """Return for which chunks, (n,), this is exact and quick."""
        if not all(self.stages.net.monotone[:2]):
            return torch.zeros(len(chunks.cell), dtype=torch.bool, device=chunks.cell.device)
        _, shift, change = first_change(self.stages, chunks)
        left_out = change - (change @ self.basis.T) @ self.basis
        small = left_out.norm(dim=1) <= 10 * PRECISION * change.norm(dim=1)
        few: Tensor = small & (self._flips(shift)[1].sum(dim=1) <= _MOST_FLIPS)
        return few

    def _flips(self, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Return first of the ordered cells that change sign, and how many do, (n, C1) each."""
        edge = torch.searchsorted(self.ordered, shift.T.to(self.ordered).contiguous()).T
        return torch.minimum(edge, self.zero), (edge - self.zero).abs()

    def pooled(self, chunks: ChunkSet) -> Tensor:
        """Return what the attention leaves of chunks, (m, width)."""
        stages, net = self.stages, self.stages.net
        scale, shift, change = first_change(stages, chunks)
        weight = (change @ self.basis.T).to(stages.raw2)
        raw = torch.addmm(self.centred, weight, self.spread).unflatten(1, (self.rows, -1))
        self._add_flips(raw, scale, shift, chunks)
        self._add_chunk(raw, scale, shift, chunks)
        length, pool = len(stages.raw2), net.pools[1]
        inside = raw[:, self.front : self.front + length]
        mean = inside.mean(dim=1)
        variance = inside.square().mean(dim=1) - mean.square()
        first = self.front - pool // 2
        high = raw[:, first : first + self.cells * pool].unflatten(1, (self.cells, pool)).amax(dim=2)
        own = Statistics(mean, torch.rsqrt(variance.clamp_min(0) + stages.eps[1]))
        x = net.activate(1, own.normal(high))
        return stages.finish(stages.fourier[1](x) + net.biases[2])

    def _add_flips(self, raw: Tensor, scale: Tensor, shift: Tensor, chunks: ChunkSet) -> None:
        """Add what the cells that change sign do, but those at the chunk itself."""
        first, count = self._flips(shift)
        total = int(count.sum())
        if not total:
            return
        flat = count.flatten()
        which = torch.repeat_interleave(torch.arange(len(flat), device=flat.device), flat, output_size=total)
        nth = torch.arange(total, device=flat.device) - (flat.cumsum(0) - flat)[which]
        width = count.shape[1]
        chunk, channel = which // width, which % width
        place = first.flatten()[which] + nth
        cell, normal = self.order[channel, place], self.ordered[channel, place].double()
        slope = self.stages.net.slopes[0].double()[channel]
        step = torch.where(normal > 0, slope - 1, 1 - slope)
        value = scale[chunk, channel] * (normal - shift[chunk, channel]) * step
        at_chunk = cell - chunks.cell[chunk]
        value = value.masked_fill((at_chunk >= 0) & (at_chunk < chunks.high.shape[1]), 0).to(raw)
        # rows of the second convolution, each a sum of a few rows of the kernel
        size = self.kernel.shape[1]
        tap = torch.arange(size, device=cell.device)
        row, order = ((chunk * self.rows + cell + self.front - size // 2)[:, None] + tap).flatten().sort()
        touched, counts = torch.unique_consecutive(row, return_counts=True)
        moved = embedding_bag(
            (channel[:, None] * size + tap).flatten()[order],
            self.kernel.flatten(0, 1),
            counts.cumsum(0) - counts,
            mode="sum",
            per_sample_weights=value.repeat_interleave(size)[order],
        )
        raw.view(-1, raw.shape[2]).index_add_(0, touched, moved)

    def _add_chunk(self, raw: Tensor, scale: Tensor, shift: Tensor, chunks: ChunkSet) -> None:
        """Add what the cells at the chunk do beyond their lines."""
        stages, net = self.stages, self.stages.net
        cells, reach = chunks.high.shape[1], net.reach(1)
        place = chunks.cell[:, None] + torch.arange(cells, device=raw.device)
        inside = (place >= 0) & (place < len(stages.cells1))
        at = place.clamp(0, len(stages.cells1) - 1)
        new = stages.activated(0, chunks.statistics, chunks.high, None)
        line = scale[:, None].to(new) * (stages.cells1[at] - shift[:, None].to(new) * self.gate[at])
        move = (new - line).masked_fill_(~inside[..., None], 0)
        span = cells + 2 * reach
        moved = (move.flatten(1) @ net.toeplitz(1, cells)).unflatten(1, (span, -1))
        row = (chunks.cell - reach + self.front)[:, None] + torch.arange(span, device=raw.device)
        moved = moved * ((row >= 0) & (row < self.rows))[..., None]
        row = row.clamp(0, self.rows - 1) + self.rows * torch.arange(len(raw), device=raw.device)[:, None]
        raw.view(-1, raw.shape[2]).index_add_(0, row.flatten(), moved.flatten(0, 1))


def _gate(stages: InstanceStages, normal: Tensor) -> Tensor:
    """Return the activation's slope at each pooled cell, (L1, C1)."""
    net, own = stages.net, stages.statistics1
    slope = net.slopes[0].expand_as(normal)
    gate = torch.where(normal > 0, torch.ones_like(normal), slope)
    if stages.low1 is None:
        return gate
    low = own.normal(stages.low1)
    better = net.activate(0, low) > net.activate(0, normal)
    return torch.where(better, torch.where(low > 0, torch.ones_like(low), slope), gate)


def leading_directions(change: Tensor, precision: float, rank: int | None = None) -> Tensor:
    """Return the leading directions, (r, q), of rows, (n, q), each row counting alike.

    Args:
        change: Float64.
        precision: Root mean square of what may be left out of a row of length 1.
        rank: The most directions.
    """
    unit = change / change.norm(dim=1, keepdim=True).clamp_min(1e-30)
    values, vectors = torch.linalg.eigh(unit.T @ unit)
    left_out = values.clamp_min(0).cumsum(0) / len(change)
    drop = min(int((left_out < precision**2).sum()), len(values) - 1)
    if rank is not None:
        drop = max(drop, len(values) - rank)
    basis: Tensor = vectors[:, drop:].T.flip(0).contiguous()
    return basis
