"""The third stage and the attention's average after it, exact near a chunk and to first order everywhere else.

Far from a chunk its third convolution moves by a sum of few fixed fields. How that changes the average that the
attention takes follows from sums over all positions, made once for an input; only the rows that the chunk itself
touches are computed as they are. The statistics of the third normalisation are exact in the fields.
"""

import torch
from torch import Tensor

from imo_engine.attribution.evaluators.instance_stages import InstanceStages, Statistics

__all__ = ["FarField"]


class FarField:
    """Sums over one input's positions, and what chunks leave of the attention."""

    def __init__(self, stages: InstanceStages, fields: Tensor) -> None:
        """Prepare for ``fields``, (q, L2 * C3), of the third convolution."""
        self.stages, self.fields = stages, fields
        raw = stages.raw3
        self.length, width = raw.shape
        own = Statistics.of(raw.double(), stages.eps[2])
        self.inverse = own.inverse.to(raw)
        self.centred = (raw - own.mean).to(raw)
        normal = own.normal(raw)
        placed = stages.placed(normal)
        active = stages.net.activate(2, placed)
        gate = torch.where(placed > 0, torch.ones_like(placed), stages.net.slopes[2].expand_as(placed))
        value, attention = active.chunk(2, dim=1)
        self.log_total = torch.logsumexp(attention, dim=0)
        share = torch.softmax(attention, dim=0)
        by_value, by_attention = gate.chunk(2, dim=1)
        whole = torch.cat([share * by_value, share * value * by_attention], dim=1)  # d sum(share value) / d normal
        each = fields.unflatten(1, (self.length, width)) * self.inverse
        shifts = torch.stack([whole, whole * normal])
        numerator = (each * whole).unflatten(2, (2, -1)).sum(dim=2)
        total = share * by_attention
        attended = normal.chunk(2, dim=1)[1]
        denominator = each.chunk(2, dim=2)[1] * total
        # sums before each position: of those near a chunk by subtraction
        self.by_field = _before(torch.cat([numerator, denominator], dim=2).transpose(0, 1))  # (L2 + 1, q, C3)
        self.by_statistics = _before(shifts.transpose(0, 1))  # (L2 + 1, 2, C3)
        self.of_total = _before(torch.stack([total, total * attended], dim=1))
        self.own = _before(torch.cat([share * value, share], dim=1))
        flat = fields.double().unflatten(1, (self.length, width))
        self.field_mean = flat.mean(dim=1).to(raw)
        self.field_raw = 2 * (flat * self.centred).mean(dim=1).to(raw)
        by_channel = flat.permute(2, 0, 1).contiguous()
        products = by_channel @ by_channel.transpose(1, 2) / self.length
        self.first, self.second = torch.triu_indices(len(fields), len(fields), device=raw.device)
        once = torch.where(self.first == self.second, 1.0, 2.0).to(products)
        self.field_products = (products[:, self.first, self.second] * once).T.to(raw).contiguous()

    @property
    def bytes(self) -> int:
        """Return what this keeps in memory beside the fields."""
        size: int = self.by_field.nbytes + self.field_products.nbytes + self.centred.nbytes
        return size

    def pooled(self, weight: Tensor, moved: Tensor, first: int) -> Tensor:
        """Return what the attention leaves, (m, C3 / 2), of chunks that touch the same rows.

        Args:
            weight: (m, q) of the fields.
            moved: (m, rows, C3) what the chunks add to the third convolution beyond the fields.
            first: First of these rows; those outside the input do not count.
        """
        low, high = max(first, 0), min(first + moved.shape[1], self.length)
        moved = moved[:, low - first : high - first]
        width = moved.shape[2]
        whole = torch.addmm(self.centred[low:high].flatten(), weight, self.fields[:, low * width : high * width])
        whole = whole.unflatten(1, (-1, width))
        now = whole + moved
        mean = weight @ self.field_mean + moved.sum(dim=1) / self.length
        pairs = weight[:, self.first] * weight[:, self.second]
        square = weight @ self.field_raw + pairs @ self.field_products
        square = square + whole.add_(now).mul_(moved).sum(dim=1) / self.length
        variance = self.inverse**-2 + square - mean * mean
        inverse = torch.rsqrt(variance.clamp_min(self.stages.eps[2]))
        normal = torch.addcmul((-mean * inverse)[:, None], now, inverse[:, None], out=now)
        value, attention = self.stages.net.activate(2, self.stages.placed(normal, slice(low, high))).chunk(2, dim=2)
        share = attention.sub_(self.log_total).exp_()
        scale, shift = inverse / self.inverse - 1, -mean * self.inverse

        def far(before: Tensor) -> Tensor:
            return before[-1] - (before[high] - before[low])

        half = width // 2
        by_field = weight @ far(self.by_field)
        level, slope = far(self.by_statistics)
        moves = level * shift + slope * scale
        own_value, own_total = far(self.own).chunk(2)
        numerator = own_value + by_field[:, :half] + moves[:, :half] + moves[:, half:] + value.mul_(share).sum(dim=1)
        level, slope = far(self.of_total)
        attended = level * shift[:, half:] + slope * scale[:, half:]
        changed: Tensor = numerator / (own_total + by_field[:, half:] + attended + share.sum(dim=1))
        return changed


def _before(values: Tensor) -> Tensor:
    """Return sums over the positions before each, (L + 1, ...), of (L, ...)."""
    sums = values.double().cumsum(0).to(values)
    return torch.cat([torch.zeros_like(sums[:1]), sums])
