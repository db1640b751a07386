"""Chunks in an encoder with instance normalisation, nearly exact and far cheaper than full passes.

What a chunk changes directly stays near it (:mod:`imo_engine.attribution.evaluators.local_encoder`). What reaches
further is the change of means and variances. Of the first stage these are known exactly; to first order in them each
pooled cell is a sum of fixed fields, one for each channel's mean and variance, and over many chunks few combinations of
fields matter: their convolutions are computed once. The second stage's means and variances follow as quadratic forms,
and the same is done again; the third stage is computed as it is. What is left out is of second order: activations and
maxima that change sides. :attr:`LowRank.size` tells how large a chunk's change is, its square how wrong the result.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from imo_engine.attribution.evaluators.far_field import FarField
from imo_engine.attribution.evaluators.field_passes import FieldPasses, leading_directions
from imo_engine.attribution.evaluators.instance_stages import ChunkSet, Statistics, first_change
from imo_engine.model.convolutions import FAR, in_cells

__all__ = ["Fields", "LowRank", "Way"]


_PRECISION = 1e-2  # of the first stage's fields
_PRECISION3 = 3e-2  # of what all fields do together
_PRODUCTS = 2  # leading directions whose products count
_FEW = 16  # chunks whose third stage stays in the cache


class Fields:
    """Combinations of channels' statistics that matter for one input, and what each does to the later stages."""

    def __init__(self, passes: FieldPasses, samples: list[ChunkSet], *, rank: int, check: Callable[[], None]) -> None:
        """Find them from the chunks of ``samples``.

        Args:
            passes: Of the input.
            samples: Some chunks of each window size.
            rank: Fields of the second stage's statistics; what they leave out goes through gradients.
            check: Called now and then; may raise.
        """
        self.check = check
        self.stages = stages = passes.stages
        net = stages.net
        self.gate1 = passes.gate
        change = torch.cat([first_change(stages, sample)[2] for sample in samples])
        first_rank = len(leading_directions(change, _PRECISION))
        self.basis1 = passes.basis[:first_rank]
        self._pool_fields(passes.fields[:first_rank])
        cheap = []
        for sample in samples:
            check()
            cheap.append(LowRank(self, sample))
        check()
        changes = torch.cat([one.change2 for one in cheap])
        width = len(net.slopes[1])
        self.basis2 = leading_directions(changes[:, : 2 * width], 0.0, rank)
        both = self.basis2.to(stages.raw2)
        fields = both[:, None, :width] * stages.cells2 + both[:, None, width:] * self.gate2
        carried = self.pooled_fields * self.gate2
        # the second stage's scales also act on what the first stage's fields do to it
        first, second = carried[:_PRODUCTS, None], both[None, :_PRODUCTS, None, :width]
        fields = torch.cat([fields, carried, (first * second).flatten(0, 1)])
        self._differentiate(fields)
        convolved = []
        for part in fields.split(_FEW):
            check()
            convolved.append(stages.fourier[1](part))
        fields = torch.cat(convolved).flatten(1)
        check()
        self._combine(fields, torch.cat([one.weights3(slice(None))[1] for one in cheap]))

    @property
    def bytes(self) -> int:
        """Return what this keeps in memory."""
        size: int = self.fields3.nbytes + self.pooled_fields.nbytes + self.field_products.nbytes + self.far.bytes
        return size

    def _combine(self, fields: Tensor, weights: Tensor) -> None:
        """Keep the combinations of ``fields``, (q, L2 * C3), that the ``weights``, (n, q), of chunks make of them."""
        values, vectors = torch.linalg.eigh((fields @ fields.T).double())
        root = values.clamp_min(1e-12 * values[-1]).sqrt()
        # rows of root^-1 vectors^T fields are orthonormal: lengths of combinations are those of their coefficients
        basis = leading_directions(weights @ (vectors * root), _PRECISION3)
        self.combine3 = (vectors * root) @ basis.T  # (q, r)
        self.fields3 = ((basis / root) @ vectors.T).to(fields) @ fields
        self.check()
        self.far = FarField(self.stages, self.fields3)

    def _differentiate(self, fields: Tensor) -> None:
        """Find how the latents change with the second stage's cells, with its statistics and with ``fields``."""
        stages = self.stages
        with torch.enable_grad():
            cells = stages.cells2.clone().requires_grad_()
            raw3 = stages.net.convolve(2, cells[None]) + stages.net.biases[2]
            latents = stages.encoder.latents(stages.finish(raw3))[0]
            rows = []
            for value in latents:
                self.check()
                rows.append(torch.autograd.grad(value, cells, retain_graph=True)[0])
        self.gradient = torch.stack(rows, dim=2)  # (L2, C2, S)
        by_scale = torch.einsum("lcs,lc->cs", self.gradient, stages.cells2)
        by_shift = torch.einsum("lcs,lc->cs", self.gradient, self.gate2)
        self.gradient2 = torch.cat([by_scale, by_shift]).double()  # (2 C2, S)
        self.gradient3 = torch.einsum("rlc,lcs->rs", fields, self.gradient).double()

    def _pool_fields(self, fields2: Tensor) -> None:
        """Take the fields, (r, L1, C2), where the own maxima are; mean and products over positions."""
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
        in_pools = torch.stack([in_cells(field[None], pool)[0] for field in fields2])
        at = where[None, :, None].expand(len(fields2), -1, -1, -1)
        self.pooled_fields = torch.gather(in_pools, 2, at)[:, :, 0] * own.inverse.to(raw)
        fields = fields2.double()
        centred = raw.double() - own.mean
        count = len(raw)
        self.field_mean = fields.mean(dim=1)
        self.field_raw = (fields * centred).sum(dim=1) / count
        r = len(fields)
        by_channel = fields.permute(2, 0, 1).contiguous()
        self.field_products = (by_channel @ by_channel.transpose(1, 2) / count).permute(1, 2, 0).reshape(r * r, -1)


Way = Literal["linear", "far", "dense"]
"""From the third convolution on: to first order everywhere, to first order where the chunk does not reach (see
:mod:`imo_engine.attribution.evaluators.far_field`), or as it is."""


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
        self.n2 = (pool - 1 + span - 1) // pool + 1  # for chunks anywhere in a cell; asking which waits for a GPU
        count = len(chunks.cell)
        self.near2 = stages.raw2.new_empty(count, self.n2, width)
        near, around = (self.n2 + 2 * net.reach(2)) * len(net.slopes[2]), self.n2 * width
        self.bytes_per_chunk = (3 * near + 8 * around + len(fields.basis1) * around) * stages.base.element_size()
        sums = torch.empty(2, count, width, dtype=torch.float64, device=stages.base.device)
        for phase in range(pool):
            mine = torch.nonzero(self.phase == phase)[:, 0]
            for part in mine.split(256) if len(mine) else ():
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

    def weights3(self, part: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return the second stage's statistics in its fields, (m, r2), all fields' weights, and what is left out."""
        change, weight1 = self.change2[part], self.weight1[part]
        within = change @ self.fields.basis2.T
        products = (weight1[:, :_PRODUCTS, None] * within[:, None, :_PRODUCTS]).flatten(1)
        return within, torch.cat([within, weight1, products], dim=1), change - within @ self.fields.basis2

    def latents(self, part: Tensor, head: Callable[[Tensor], Tensor], way: Way) -> Tensor:
        """Return latents, (m, S), of the chunks numbered ``part``, (m,); ``head`` is the dense network in float64."""
        stages, fields = self.stages, self.fields
        weight, left_out, move, at = self._second(part)
        further = left_out @ fields.gradient2
        if way == "linear":
            own = head(stages.finish(stages.raw3[None]).double())
            near = torch.einsum("mjc,mjcs->ms", move, fields.gradient[at]).double()
            return own + further + weight @ fields.gradient3 + near
        moved = move.flatten(1) @ stages.net.toeplitz(2, self.n2)  # the matrix is large: for many chunks at a time
        moved = moved.unflatten(1, (self.n2 + 2 * stages.net.reach(2), -1))
        weight = (weight @ fields.combine3).to(moved)
        pooled = self._far(part, weight, moved) if way == "far" else self._dense(part, weight, moved)
        return head(pooled.double()) + further

    def _second(self, part: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weights of the third stage's fields, statistics left out, and what cells move beyond, and which."""
        stages, net, fields = self.stages, self.stages.net, self.fields
        within, weight3, left_out = self.weights3(part)
        place = self.cell2[part][:, None] + torch.arange(self.n2, device=part.device)
        inside = (place >= 0) & (place < len(stages.cells2))
        at = place.clamp(0, len(stages.cells2) - 1)
        near = stages.statistics2.normal(self.near2[part])
        weight = self.weight1[part].to(near)
        # the fields at these cells, for each chunk its own few
        field = torch.einsum("mr,rmjc->mjc", weight, fields.pooled_fields[:, at])
        scale, shift = (value[part][:, None].to(near) for value in (self.scale2, self.shift2))
        gate = fields.gate2[at]
        new = scale * net.activate(1, near + field - shift)
        leading = torch.einsum("mr,rmjc->mjc", weight[:, :_PRODUCTS], fields.pooled_fields[:_PRODUCTS, at])
        scaled = (within[:, :_PRODUCTS] @ fields.basis2[:_PRODUCTS, : gate.shape[2]]).to(near)
        spread = scale * (stages.cells2[at] - shift * gate) + (field + leading * scaled[:, None]) * gate
        move = (new - spread).masked_fill_(~inside[..., None], 0)
        return weight3, left_out, move, at

    def _far(self, part: Tensor, weight: Tensor, moved: Tensor) -> Tensor:
        cells, group = torch.unique(self.cell2[part], return_inverse=True)
        order = torch.argsort(group, stable=True)
        counts = torch.bincount(group).tolist()
        reach, pooled = self.stages.net.reach(2), moved.new_empty(len(part), moved.shape[2] // 2)
        for cell, mine in zip(cells.tolist(), order.split(counts), strict=True):
            pooled[mine] = self.fields.far.pooled(weight[mine], moved[mine], cell - reach)
        return pooled

    def _dense(self, part: Tensor, weight: Tensor, moved: Tensor) -> Tensor:
        stages = self.stages
        length, width = stages.raw3.shape
        place = (self.cell2[part] - stages.net.reach(2))[:, None] + torch.arange(moved.shape[1], device=part.device)
        moved = moved * ((place >= 0) & (place < length))[..., None]
        pooled = []
        for few in torch.arange(len(part), device=part.device).split(_FEW):
            self.fields.check()
            raw3 = torch.addmm(stages.raw3.flatten(), weight[few], self.fields.fields3)
            row = place[few].clamp(0, length - 1) + length * torch.arange(len(few), device=part.device)[:, None]
            raw3.view(-1, width).index_add_(0, row.flatten(), moved[few].flatten(0, 1))
            pooled.append(stages.finish(raw3.unflatten(1, (length, width))))
        return torch.cat(pooled)
