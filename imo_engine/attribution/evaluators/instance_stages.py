"""One input's way through an encoder with instance normalisation, kept stage by stage, and exact passes from there.

The first stage is by far the largest array; of it only each pooling cell's extreme values are kept. That is exact:
normalisation and activation keep the order of values, or, where a slope is negative, turn it round on one side.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from imo_engine.attribution.evaluators.moments import PixelMoments, changed_moments
from imo_engine.model.autoencoder import SpectrumEncoder
from imo_engine.model.convolutions import FAR, Convolutions, in_cells
from imo_engine.model.fourier import FourierConvolution

__all__ = ["ChunkSet", "InstanceStages", "Statistics", "first_change"]


_ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and inverse standard deviation of channels, (..., C), float64."""

    mean: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, raw: Tensor, eps: float) -> "Statistics":
        """Return those of (..., position, C) over positions."""
        mean = raw.mean(dim=-2)
        away = raw - mean.unsqueeze(-2)
        variance = away.square_().mean(dim=-2)  # many times faster than var_mean along this axis
        return cls(mean, torch.rsqrt(variance + eps))

    def normal(self, raw: Tensor) -> Tensor:
        """Normalise (..., position, C)."""
        inverse = self.inverse.unsqueeze(-2)
        offset = -self.mean.unsqueeze(-2) * inverse
        return torch.addcmul(offset.to(raw), raw, inverse.to(raw))


@dataclass(frozen=True, eq=False)
class ChunkSet:
    """Chunks [start, stop) of one window size, (n,), the cells of stage 1 that each can touch, and what they become.

    Attributes:
        start: First pixels.
        stop: One past the last.
        cell: First cell of stage 1 around each chunk.
        high: (n, cells, C1) largest value of the first convolution in these cells; far below all where there is none.
        low: The smallest, where an activation has a negative slope; else None.
        statistics: (n, C1) of the first normalisation.
    """

    start: Tensor
    stop: Tensor
    cell: Tensor
    high: Tensor
    low: Tensor | None
    statistics: Statistics

    def __getitem__(self, rows: Tensor) -> "ChunkSet":
        low = None if self.low is None else self.low[rows]
        statistics = Statistics(self.statistics.mean[rows], self.statistics.inverse[rows])
        return ChunkSet(self.start[rows], self.stop[rows], self.cell[rows], self.high[rows], low, statistics)


class InstanceStages:
    """Stages of one input, (N,), whose chunks are replaced by those of ``changed``, (N,); arrays are (position, C)."""

    def __init__(
        self,
        encoder: SpectrumEncoder,
        base: Tensor,
        changed: Tensor,
        *,
        net: Convolutions,
        fourier: list[FourierConvolution],
    ) -> None:
        """Send ``base`` through the encoder; ``net`` and ``fourier`` are its convolutions, shared by all inputs."""
        self.encoder, self.base, self.changed = encoder, base, changed
        self.net, self.fourier = net, fourier
        self.eps = [float(getattr(encoder.parts(stage)[1], "eps", 0.0)) for stage in range(3)]
        raw1 = net.convolve(0, base[None, :, None])[0] + net.biases[0]
        self.statistics1 = Statistics.of(raw1.double(), self.eps[0])
        self.high1, self.low1 = self._extremes(0, raw1)
        self.cells1 = self.activated(0, self.statistics1, self.high1, self.low1)
        self.raw2 = net.convolve(1, self.cells1[None])[0] + net.biases[1]
        self.statistics2 = Statistics.of(self.raw2.double(), self.eps[1])
        high2, low2 = self._extremes(1, self.raw2)
        self.cells2 = self.activated(1, self.statistics2, high2, low2)
        self.raw3 = net.convolve(2, self.cells2[None])[0] + net.biases[2]
        widths = [len(slope) for slope in net.slopes]
        numbers = len(self.cells1) * (2 * widths[0] + 2 * widths[1]) + len(self.cells2) * 2 * widths[2]
        self.bytes_per_pass = numbers * base.element_size()

    def activated(self, stage: int, statistics: Statistics, high: Tensor, low: Tensor | None) -> Tensor:
        """Return pooled cells, (..., cell, C), after normalisation and activation, from their extreme values."""
        result = self.net.activate(stage, statistics.normal(high))
        if low is None:
            return result
        return torch.maximum(result, self.net.activate(stage, statistics.normal(low)))

    def chunks(self, start: Tensor, stop: Tensor, size: int) -> ChunkSet:
        """Return what chunks, (n,), of at most ``size`` pixels do to stage 1, without what they do not touch."""
        net = self.net
        pool, reach = net.pools[0], net.reach(0)
        moments: PixelMoments = changed_moments(self.base, self.changed, start, stop, 2 * reach + 1)
        mean, variance = moments.channels(net.weights[0], net.biases[0])
        statistics = Statistics(mean, torch.rsqrt(variance + self.eps[0]))
        count = (size + 2 * reach - 2) // pool + 2
        cell = (start - reach + pool // 2).div(pool, rounding_mode="floor")
        span = pool * count + 2 * reach
        pixel = (cell * pool - pool // 2 - reach)[:, None] + torch.arange(span, device=start.device)
        margin = span + pool
        base, changed = pad(self.base, (margin, margin)), pad(self.changed, (margin, margin))
        inside = (pixel >= start[:, None]) & (pixel < stop[:, None])
        flux = torch.where(inside, changed[pixel + margin], base[pixel + margin])
        raw = net.first(flux)
        centre = pixel[:, reach : span - reach, None]
        outside = (centre < 0) | (centre >= len(self.base))
        high = raw.masked_fill(outside, -FAR).unflatten(1, (count, pool)).amax(2)
        low = None
        if self.low1 is not None:
            low = raw.masked_fill(outside, FAR).unflatten(1, (count, pool)).amin(2)
        return ChunkSet(start, stop, cell, high, low, statistics)

    def exact(self, chunks: ChunkSet) -> Tensor:
        """Return what the attention leaves of chunks, (m, width), by full passes from stage 1 on."""
        high = self._with_cells(self.high1, chunks.high, chunks.cell)
        low = None
        if self.low1 is not None and chunks.low is not None:
            low = self._with_cells(self.low1, chunks.low, chunks.cell)
        x = self.activated(0, chunks.statistics, high, low)
        raw2 = self.fourier[0](x) + self.net.biases[1]
        highs, lows = self._extremes(1, raw2)
        x = self.activated(1, Statistics.of(raw2, self.eps[1]), highs, lows)
        return self.finish(self.fourier[1](x) + self.net.biases[2])

    def finish(self, raw3: Tensor) -> Tensor:
        """Normalise, activate and average the third convolution's output, (m, position, C3), over positions."""
        normal = self.placed(Statistics.of(raw3, self.eps[2]).normal(raw3))
        value, attention = self.net.activate(2, normal).chunk(2, dim=2)
        return (value * torch.softmax(attention, dim=1)).sum(dim=1)

    def placed(self, normal: Tensor, rows: slice = _ALL) -> Tensor:
        """Add the biases by position, if the encoder has them, to (..., position, C3) of the positions ``rows``."""
        return normal + self.encoder.position.T[rows] if self.encoder.config.n_position else normal

    def _with_cells(self, whole: Tensor, cells: Tensor, first: Tensor) -> Tensor:
        """Return ``whole``, (L, C), for each of m chunks with ``cells``, (m, k, C), from ``first`` on put in."""
        count, k, length = len(cells), cells.shape[1], len(whole)
        edge = k + 1
        result = pad(whole, (0, 0, edge, edge)).repeat(count, 1)
        wide = length + 2 * edge
        at = (torch.arange(count, device=first.device) * wide + first + edge)[:, None] + torch.arange(
            k, device=first.device
        )
        result.index_copy_(0, at.flatten(), cells.flatten(0, 1))
        put: Tensor = result.unflatten(0, (count, wide))[:, edge : edge + length]
        return put

    def _extremes(self, stage: int, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the largest and, where it is needed, the smallest value of each pooling cell, (..., cell, C)."""
        flat = raw if raw.dim() == 3 else raw[None]
        pool = self.net.pools[stage]
        high = in_cells(flat, pool).amax(2)
        low = None if self.net.monotone[stage] else -in_cells(-flat, pool).amax(2)
        if raw.dim() == 2:
            return high[0], None if low is None else low[0]
        return high, low


def first_change(stages: InstanceStages, chunks: ChunkSet) -> tuple[Tensor, Tensor, Tensor]:
    """Return scale and shift, (n, C1), of pooled cells - scale * (cell - shift * slope) - and both as (n, 2 C1)."""
    own = stages.statistics1
    scale = chunks.statistics.inverse / own.inverse
    shift = (chunks.statistics.mean - own.mean) * own.inverse
    return scale, shift, torch.cat([scale - 1, -scale * shift], dim=1)
