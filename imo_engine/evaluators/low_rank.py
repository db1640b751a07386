"""Chunks in an encoder with instance normalisation, nearly exact and far cheaper than full passes.

What a chunk changes directly stays near it (:mod:`imo_engine.evaluators.local_encoder`). What reaches further is the
change of means and variances. Of the first stage these are known exactly; to first order in them each pooled cell is
a sum of fixed fields, one for each channel's mean and variance, and over many chunks few combinations of fields
matter: their convolutions are computed once. The second stage's means and variances follow as quadratic forms, and
the same is done again; the third stage is computed as it is. What is left out is of second order: activations and
maxima that change sides. :attr:`LowRank.size` tells how large a chunk's change is, its square how wrong the result.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from imo_engine.convolutions import FAR, in_cells
from imo_engine.evaluators.instance_stages import ChunkSet, InstanceStages, Statistics

__all__ = ["Fields", "LowRank", "first_change"]


_PRODUCTS = 4  # leading directions whose products count
_FEW = 16  # chunks whose third stage stays in the cache


class Fields:
    """Combinations of channels' statistics that matter for one input, and what each does to the later stages."""

    def __init__(self, stages: InstanceStages, samples: list[ChunkSet], *, precision: float, rank: int) -> None:
        """Find them from the chunks of ``samples``.

        Args:
            stages: Of the input.
            samples: Some chunks of each window size.
            precision: Share of a change that the first stage's fields may leave out.
            rank: Fields of the second stage's statistics; what they leave out goes through gradients.
        """
        self.stages = stages
        net, own = stages.net, stages.statistics1
        self.gate1 = _gate(stages, 0, own, stages.high1, stages.low1)
        self.basis1 = _leading(torch.cat([first_change(stages, sample)[2] for sample in samples]), precision, None)
        width = len(net.slopes[0])
        both = self.basis1.to(stages.base)
        self.fields2 = net.convolve(1, both[:, None, :width] * stages.cells1 + both[:, None, width:] * self.gate1)
        self._pool_fields()
        changes = torch.cat([LowRank(self, sample).change2 for sample in samples])
        width = len(net.slopes[1])
        self.basis2 = _leading(changes[:, : 2 * width], 0.0, rank)
        both = self.basis2.to(stages.raw2)
        fields = both[:, None, :width] * stages.cells2 + both[:, None, width:] * self.gate2
        carried = self.pooled_fields * self.gate2
        # the second stage's scales also act on what the first stage's fields do to it
        first, second = carried[:_PRODUCTS, None], both[None, :_PRODUCTS, None, :width]
        fields = torch.cat([fields, carried, (first * second).flatten(0, 1)])
        self.fields3 = net.convolve(2, fields).flatten(1)  # (r, L2 * C3)
        self.gradient2 = self._gradient()

    def _gradient(self) -> Tensor:
        """Return how the latents change with the second stage's statistics, (2 C2, S), float64."""
        stages = self.stages
        width = len(stages.net.slopes[1])
        with torch.enable_grad():
            change = torch.zeros(2 * width, device=stages.base.device, dtype=stages.base.dtype, requires_grad=True)
            cells = stages.cells2 * (1 + change[:width]) + self.gate2 * change[width:]
            raw3 = stages.net.convolve(2, cells[None]) + stages.net.biases[2]
            latents = stages.encoder.mlp(stages.finish(raw3))[0]
            rows = [torch.autograd.grad(value, change, retain_graph=True)[0] for value in latents]
        return torch.stack(rows, dim=1).double()

    def _pool_fields(self) -> None:
        """Take the fields where the own maxima are; mean and products over positions."""
        stages, pool = self.stages, self.stages.net.pools[1]
        raw, own = stages.raw2, stages.statistics2
        cells = in_cells(raw[None], pool)[0]
        where = cells.argmax(dim=1)
        self.winner = torch.gather(cells, 1, where[:, None])[:, 0]
        if not stages.net.monotone[1]:
            lowest = -in_cells(-raw[None], pool)[0]
            at_low = lowest.argmin(dim=1)
            low = torch.gather(lowest, 1, at_low[:, None])[:, 0]
            better = stages.net.activate(1, own.normal(low)) > stages.net.activate(1, own.normal(self.winner))
            where, self.winner = torch.where(better, at_low, where), torch.where(better, low, self.winner)
        normal = own.normal(self.winner)
        slope = stages.net.slopes[1]
        self.gate2 = torch.where(normal > 0, torch.ones_like(normal), slope.expand_as(normal))
        in_pools = torch.stack([in_cells(field[None], pool)[0] for field in self.fields2])
        at = where[None, :, None].expand(len(self.fields2), -1, -1, -1)
        self.pooled_fields = torch.gather(in_pools, 2, at)[:, :, 0] * own.inverse.to(raw)
        fields = self.fields2.double()
        centred = raw.double() - own.mean
        count = len(raw)
        self.field_mean = fields.mean(dim=1)
        self.field_raw = (fields * centred).sum(dim=1) / count
        r = len(fields)
        by_channel = fields.permute(2, 0, 1)
        self.field_products = (by_channel @ by_channel.transpose(1, 2) / count).permute(1, 2, 0).reshape(r * r, -1)


class LowRank:
    """Chunks of one window size in one input; what is left out grows with the square of :attr:`size`.

    Attributes:
        size: (n,) how much each chunk changes the first stage's statistics, dimensionless.
    """

    def __init__(self, fields: Fields, chunks: ChunkSet) -> None:
        """Prepare chunks: the first stage, the second near them, and its statistics."""
        self.fields, self.stages, self.chunks = fields, fields.stages, chunks
        self.scale1, self.shift1, change = first_change(self.stages, chunks)
        self.size = change.norm(dim=1)
        self.weight1 = change @ fields.basis1.T
        stages, net = self.stages, self.stages.net
        pool, width = net.pools[1], len(net.slopes[1])
        own = stages.statistics2
        shifted = chunks.cell - net.reach(1) + pool // 2
        self.cell2 = shifted.div(pool, rounding_mode="floor")
        self.phase = shifted - self.cell2 * pool
        span = chunks.high.shape[1] + 2 * net.reach(1)
        self.n2 = (int(self.phase.max()) + span - 1) // pool + 1
        count = len(chunks.cell)
        self.near2 = stages.raw2.new_empty(count, self.n2, width)
        near, around = (self.n2 + 2 * net.reach(2)) * len(net.slopes[2]), self.n2 * width
        self.bytes_per_chunk = (3 * near + 8 * around + len(fields.basis1) * around) * stages.base.element_size()
        sums = torch.empty(2, count, width, dtype=torch.float64, device=stages.base.device)
        for phase in range(pool):
            mine = torch.nonzero(self.phase == phase)[:, 0]
            for part in mine.split(256):
                self.near2[part], sums[:, part] = self._near_second(part, phase)
        mean = self.weight1 @ fields.field_mean + sums[0]
        pairs = (self.weight1[:, :, None] * self.weight1[:, None]).flatten(1)
        square = 2 * self.weight1 @ fields.field_raw + pairs @ fields.field_products + sums[1]
        variance = own.inverse**-2 - stages.eps[1] + square - mean * mean
        inverse = torch.rsqrt(variance.clamp_min(0) + stages.eps[1])
        self.scale2, self.shift2 = inverse / own.inverse, mean * own.inverse
        self.change2 = torch.cat([self.scale2 - 1, -self.scale2 * self.shift2], dim=1)

    def _near_second(self, part: Tensor, phase: int) -> tuple[Tensor, Tensor]:
        """Return winners of the pooling cells around chunks, (m, n2, C2), and what they add to mean and square."""
        stages, net = self.stages, self.stages.net
        rows, cells = part, self.chunks.high.shape[1]
        cell1, pool, reach = self.chunks.cell[rows], net.pools[1], net.reach(1)
        place = cell1[:, None] + torch.arange(cells, device=rows.device)
        inside = (place >= 0) & (place < len(stages.cells1))
        at = place.clamp(0, len(stages.cells1) - 1)
        changed = Statistics(self.chunks.statistics.mean[rows], self.chunks.statistics.inverse[rows])
        low = None if self.chunks.low is None else self.chunks.low[rows]
        new = stages.activated(0, changed, self.chunks.high[rows], low)
        scale, shift = (value[part][:, None].to(new) for value in (self.scale1, self.shift1))
        spread = scale * (stages.cells1[at] - shift * self.fields.gate1[at])  # what the fields hold there
        move = (new - spread).masked_fill_(~inside[..., None], 0)
        moved = (move.flatten(1) @ net.toeplitz(1, cells)).unflatten(1, (cells + 2 * reach, -1))
        span = moved.shape[1]
        length = len(stages.raw2)
        first = self.cell2[part] * pool - pool // 2
        place = first[:, None] + torch.arange(pool * self.n2, device=rows.device)
        inside = (place >= 0) & (place < length)
        raw = stages.raw2.index_select(0, place.clamp(0, length - 1).flatten()).unflatten(0, place.shape)
        moved = moved * inside[:, phase : phase + span, None]
        near = raw[:, phase : phase + span]
        centred = near - stages.statistics2.mean.to(near)
        sums = torch.stack([moved.sum(dim=1), (moved * (2 * centred + moved)).sum(dim=1)]).double() / length
        near += moved
        raw = raw.masked_fill_(~inside[..., None], -FAR).unflatten(1, (self.n2, pool))
        if net.monotone[1]:
            return raw.amax(dim=2), sums
        own = stages.statistics2
        high, low = raw.amax(dim=2), -(raw * -1).masked_fill(raw <= -FAR / 2, -FAR).amax(dim=2)
        better = net.activate(1, own.normal(low)) > net.activate(1, own.normal(high))
        return torch.where(better & (high > -FAR / 2), low, high), sums

    def latents(self, part: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        """Return latents, (m, S), of the chunks numbered ``part``, (m,); ``head`` is the float64 dense network."""
        stages, net, fields = self.stages, self.stages.net, self.fields
        within = self.change2[part] @ fields.basis2.T
        left_out = self.change2[part] - within @ fields.basis2
        length, width3 = stages.raw3.shape
        place = self.cell2[part][:, None] + torch.arange(self.n2, device=part.device)
        inside = (place >= 0) & (place < length)
        at = place.clamp(0, length - 1)
        near = stages.statistics2.normal(self.near2[part])
        weight = self.weight1[part].to(near)
        # the fields at these cells, for each chunk its own few
        field = torch.einsum("mr,rmjc->mjc", weight, self.fields.pooled_fields[:, at])
        scale, shift = (value[part][:, None].to(near) for value in (self.scale2, self.shift2))
        gate = self.fields.gate2[at]
        new = scale * net.activate(1, near + field - shift)
        leading = torch.einsum("mr,rmjc->mjc", weight[:, :_PRODUCTS], fields.pooled_fields[:_PRODUCTS, at])
        scaled = (within[:, :_PRODUCTS] @ fields.basis2[:_PRODUCTS, : gate.shape[2]]).to(near)
        spread = scale * (stages.cells2[at] - shift * gate) + (field + leading * scaled[:, None]) * gate
        move = (new - spread).masked_fill_(~inside[..., None], 0)
        reach = net.reach(2)
        moved = move.flatten(1) @ net.toeplitz(2, self.n2)  # the matrix is large: for many chunks at a time
        weight1 = self.weight1[part]
        products = (weight1[:, :_PRODUCTS, None] * within[:, None, :_PRODUCTS]).flatten(1)
        weight3 = torch.cat([within, weight1, products], dim=1).to(near)
        edge = self.n2 + 2 * reach
        place = (self.cell2[part] - reach)[:, None] + torch.arange(edge, device=part.device)
        moved = moved.unflatten(1, (edge, -1)) * ((place >= 0) & (place < length))[..., None]
        pooled = []
        for few in torch.arange(len(part), device=part.device).split(_FEW):
            raw3 = torch.addmm(stages.raw3.flatten(), weight3[few], fields.fields3)
            row = place[few].clamp(0, length - 1) + length * torch.arange(len(few), device=part.device)[:, None]
            raw3.view(-1, width3).index_add_(0, row.flatten(), moved[few].flatten(0, 1))
            pooled.append(stages.finish(raw3.unflatten(1, (length, width3))))
        return head(torch.cat(pooled).double()) + left_out @ fields.gradient2


def _gate(stages: InstanceStages, stage: int, own: Statistics, high: Tensor, low: Tensor | None) -> Tensor:
    """Return the activation's slope at each pooled cell, (L, C)."""
    slope = stages.net.slopes[stage]
    gate = torch.where(own.normal(high) > 0, torch.ones_like(high), slope.expand_as(high))
    if low is None:
        return gate
    better = stages.net.activate(stage, own.normal(low)) > stages.net.activate(stage, own.normal(high))
    return torch.where(better, torch.where(own.normal(low) > 0, torch.ones_like(low), slope.expand_as(low)), gate)


def first_change(stages: InstanceStages, chunks: ChunkSet) -> tuple[Tensor, Tensor, Tensor]:
    """Return scale and shift, (n, C1), of pooled cells - scale * (cell - shift * slope) - and both as (n, 2 C1)."""
    own = stages.statistics1
    scale = chunks.statistics.inverse / own.inverse
    shift = (chunks.statistics.mean - own.mean) * own.inverse
    return scale, shift, torch.cat([scale - 1, -scale * shift], dim=1)


def _leading(change: Tensor, precision: float, rank: int | None) -> Tensor:
    """Return the leading directions, (r, q), of rows, (n, q), each row counting alike."""
    unit = change / change.norm(dim=1, keepdim=True).clamp_min(1e-30)
    values, vectors = torch.linalg.eigh(unit.T @ unit)
    left_out = values.clamp_min(0).cumsum(0) / len(change)
    drop = min(int((left_out < precision**2).sum()), len(values) - 1)
    if rank is not None:
        drop = max(drop, len(values) - rank)
    return vectors[:, drop:].T.flip(0).contiguous()
