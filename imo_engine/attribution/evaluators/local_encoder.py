"""What the encoder's attention leaves after one chunk of its input changed, computed only where something changes.

Without normalisation, or with the statistics of every normalisation held fixed, each convolution is local: a chunk
changes the first within two pixels of it, the second within five pooled cells, the third within ten. The weighted
means over positions follow from the sums over the positions that do not change. What comes out is exact.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from imo_engine.model.convolutions import FAR, Convolutions, in_cells, rows_of

__all__ = ["LocalUpdate", "WindowUpdate"]


_LEAST, _MOST = 1e-30, 1e30
"""Sums of attention, in units of the input's largest, between which weights in single precision represent them."""


class LocalUpdate:
    """Inputs of an encoder, ready to have chunks changed."""

    def __init__(self, convolutions: Convolutions, base: Tensor, changed: Tensor) -> None:
        """Prepare inputs ``base``, (M, N), whose chunks will be replaced by those of ``changed``, (M, N)."""
        self.net, self.base, self.changed = convolutions, base, changed
        self.n_pixel = base.shape[1]
        p1, p2 = convolutions.pools
        raw1 = convolutions.convolve(0, base[..., None]) + convolutions.biases[0]
        self.cells1 = convolutions.pooled(0, in_cells(raw1, p1))
        raw2 = convolutions.convolve(1, self.cells1) + convolutions.biases[1]
        self.raw2 = in_cells(raw2, p2)
        self.cells2 = convolutions.pooled(1, self.raw2)
        self.raw3 = convolutions.convolve(2, self.cells2) + convolutions.biases[2]
        value, attention = convolutions.activate(2, self.raw3).chunk(2, dim=-1)
        self.peak = attention.amax(dim=1)
        weight = torch.exp(attention - self.peak[:, None])
        self.weighted, self.weight = value * weight, weight

    @property
    def pooled(self) -> Tensor:
        """What the attention leaves of the inputs as they are, (M, width)."""
        return self.weighted.sum(dim=1) / self.weight.sum(dim=1)

    def window(self, size: int) -> "WindowUpdate":
        """Return what replaces chunks of at most ``size`` pixels."""
        return WindowUpdate(self, size)


class WindowUpdate:
    """Chunks of one window size; all arrays are extended so that no neighbourhood leaves them."""

    def __init__(self, update: LocalUpdate, size: int) -> None:
        self.update, self.net = update, update.net
        p1, p2 = self.net.pools
        reach1, reach2, reach3 = (self.net.reach(stage) for stage in range(3))
        # cells that a chunk can touch in the worst alignment
        self.n1 = (size + 2 * reach1 - 2) // p1 + 2
        n2 = (self.n1 + 2 * reach2 - 2) // p2 + 2
        self.edge0 = p1 * (self.n1 + 1) + 2 * reach1
        self.base = pad(update.base, (self.edge0, self.edge0))
        self.changed = pad(update.changed, (self.edge0, self.edge0))
        self.edge1 = self.n1 + 1
        self.cells1 = pad(update.cells1, (0, 0, self.edge1, self.edge1))
        self.edge2 = n2 + 1
        self.raw2 = pad(update.raw2, (0, 0, 0, 0, self.edge2, self.edge2), value=-FAR)
        self.cells2 = pad(update.cells2, (0, 0, self.edge2, self.edge2))
        self.edge3 = n2 + 2 * reach3 + 1
        self.raw3 = pad(update.raw3, (0, 0, self.edge3, self.edge3))
        widths = [int(weight.shape[0]) for weight in self.net.weights]
        numbers = 2 * p1 * self.n1 * widths[0] + 2 * p2 * n2 * widths[1] + 4 * (n2 + 2 * reach3) * widths[2]
        self.bytes_per_chunk = numbers * update.base.element_size()
        raw3 = update.raw3 if update.raw3.device.type == "mps" else update.raw3.double()  # MPS has no float64
        value, attention = self.net.activate(2, update.raw3).to(raw3).chunk(2, dim=-1)
        weight = torch.exp(attention - update.peak[:, None].to(raw3))
        both = torch.cat([value * weight, weight], dim=2)
        both = pad(both, (0, 0, self.edge3, self.edge3))
        self.before = pad(both.cumsum(dim=1), (0, 0, 1, 0))
        self.behind = pad(both.flip(1).cumsum(dim=1), (0, 0, 1, 0)).flip(1)

    def phases(self, start: Tensor) -> Tensor:
        """Return how far the changes of chunks beginning at ``start``, (n,), lie into a pooling cell of stage 2."""
        return self._cells(start)[2]

    def _cells(self, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p1, p2 = self.net.pools
        cell1 = (start - self.net.reach(0) + p1 // 2).div(p1, rounding_mode="floor")
        shifted = cell1 - self.net.reach(1) + p2 // 2
        cell2 = shifted.div(p2, rounding_mode="floor")
        return cell1, cell2, shifted - cell2 * p2

    def pooled(self, baseline: Tensor, start: Tensor, stop: Tensor, phase: int) -> Tensor:
        """Return what the attention leaves, (n, width), of inputs ``baseline``, (n,), pixels [start, stop) replaced.

        All chunks have the same ``phase``. NaN where a chunk draws nearly all attention, or did so and is replaced:
        left to whole spectra.
        """
        net, update = self.net, self.update
        p1, p2 = net.pools
        reach1, reach2, reach3 = (net.reach(stage) for stage in range(3))
        cell1, cell2, _ = self._cells(start)

        # stage 1: the cells around the chunk, from the pixels around them
        span = p1 * self.n1 + 2 * reach1
        first = cell1 * p1 - p1 // 2 - reach1
        pixel = first[:, None] + torch.arange(span, device=start.device)
        base, changed = (rows_of(flux, span, baseline, first + self.edge0) for flux in (self.base, self.changed))
        raw1 = net.first(torch.where((pixel >= start[:, None]) & (pixel < stop[:, None]), changed, base))
        centre = pixel[:, reach1 : span - reach1]
        outside = (centre < 0) | (centre >= update.n_pixel)
        new1 = net.pooled(0, raw1.masked_fill_(outside[..., None], -FAR).unflatten(1, (self.n1, p1)))
        move1 = self._move(new1, self.cells1, self.edge1, baseline, cell1, update.cells1.shape[1])

        # stage 2, aligned with its pooling cells
        span2 = self.n1 + 2 * reach2
        n2 = (phase + span2 - 1) // p2 + 1
        raw2 = rows_of(self.raw2, n2, baseline, cell2 + self.edge2).flatten(1, 2)
        net.spread(1, move1, raw2[:, phase : phase + span2])
        new2 = net.pooled(1, raw2.unflatten(1, (n2, p2)))
        move2 = self._move(new2, self.cells2, self.edge2, baseline, cell2, update.cells2.shape[1])

        # stage 3 and the weighted means
        span3 = n2 + 2 * reach3
        first3 = cell2 - reach3
        at = first3 + self.edge3
        raw3 = rows_of(self.raw3, span3, baseline, at)
        net.spread(2, move2, raw3)
        value, attention = net.activate(2, raw3).chunk(2, dim=2)
        place = first3[:, None] + torch.arange(span3, device=start.device)
        inside = (place >= 0) & (place < update.cells2.shape[1])
        weight = attention.sub_(update.peak[baseline][:, None]).exp_().mul_(inside[..., None])
        # sums from both ends: a difference of sums would lose a small rest beside a chunk that draws all
        rest = self.before[baseline, at] + self.behind[baseline, at + span3]
        half = weight.shape[2]
        denominator = rest[:, half:] + weight.sum(dim=1)
        pooled = (rest[:, :half] + value.mul_(weight).sum(dim=1)) / denominator
        # more attention than single precision holds, or less than is left beside a chunk that drew all and is gone
        right = (denominator > _LEAST) & (denominator < _MOST) & pooled.isfinite()
        return torch.where(right, pooled, torch.nan)

    def _move(self, new: Tensor, old: Tensor, edge: int, baseline: Tensor, cell: Tensor, length: int) -> Tensor:
        """Return by how much pooled cells changed, (n, cell, channel); 0 outside."""
        count = new.shape[1]
        place = cell[:, None] + torch.arange(count, device=cell.device)
        outside = (place < 0) | (place >= length)
        return (new - rows_of(old, count, baseline, cell + edge)).masked_fill_(outside[..., None], 0)
