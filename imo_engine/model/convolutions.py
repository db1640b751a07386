"""The three convolutions of an encoder, free of batches and modules, and how pooling cells are laid out."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad, prelu

from imo_engine.model.autoencoder import SpectrumEncoder

__all__ = [
    "FAR",
    "Convolutions",
    "bias_of",
    "fixed_convolutions",
    "in_cells",
    "plain_convolutions",
    "pooled_cells",
    "rows_of",
]

FAR = 1e30
"""What no maximum picks; not infinite, because 0 times infinity is not a number."""
_SMALL = 6  # cells, up to which one matrix product is faster than a convolution of the cells around


class Convolutions:
    """Weights, biases and activations of three convolutions.

    Attributes:
        weights: (out, in, size) of each.
        biases: (out,) of the first two, (L2 or 1, out) of the third.
        slopes: (out,) of the activations.
        pools: Sizes of the two poolings.
        scales: (out,) what the second and third convolutions' results are multiplied with, or None.
    """

    def __init__(
        self, weights: list[Tensor], biases: list[Tensor], slopes: list[Tensor], pools: tuple[int, int]
    ) -> None:
        self.weights, self.biases, self.slopes, self.pools = weights, biases, slopes, pools
        self.scales: list[Tensor | None] = [None, None, None]
        # where a slope is negative, the activation does not keep the order of values
        self.monotone = torch.stack([(slope >= 0).all() for slope in slopes]).tolist()
        self.toeplitz = cache(self._toeplitz)

    def reach(self, stage: int) -> int:
        """Return how many positions to either side a convolution looks."""
        return int(self.weights[stage].shape[2]) // 2

    def convolve(self, stage: int, x: Tensor) -> Tensor:
        """Apply a convolution without its bias, (batch, position, in) to (batch, position, out)."""
        return self._scaled(
            stage, conv1d(x.transpose(1, 2), self.weights[stage], padding=self.reach(stage)).transpose(1, 2)
        )

    def first(self, flux: Tensor) -> Tensor:
        """Return the first convolution's output, (n, L - size + 1, out), of pixels, (n, L), that are all inside."""
        n_out, _, size = self.weights[0].shape
        # one matrix product: with the unfolded pixels as they are, torch makes one for each row
        around = flux.unfold(1, size, 1).reshape(-1, size)
        return torch.addmm(self.biases[0], around, self.weights[0][:, 0].T).view(len(flux), -1, n_out)

    def spread(self, stage: int, move: Tensor, onto: Tensor) -> None:
        """Add to a convolution's output, (n, cell + size - 1, out), what changed cells, (n, cell, in), change in it."""
        cells = move.shape[1]
        if cells > _SMALL:
            moved = conv1d(move.transpose(1, 2), self.weights[stage], padding=2 * self.reach(stage)).transpose(1, 2)
            onto += self._scaled(stage, moved)
        elif self.scales[stage] is None:
            whole = onto.view(len(onto), -1)  # a matrix whose rows need not follow each other
            torch.addmm(whole, move.flatten(1), self.toeplitz(stage, cells), out=whole)
        else:
            onto += self._scaled(stage, (move.flatten(1) @ self.toeplitz(stage, cells)).view(onto.shape))

    def _scaled(self, stage: int, raw: Tensor) -> Tensor:
        scale = self.scales[stage]
        return raw if scale is None else raw * scale

    def activate(self, stage: int, raw: Tensor) -> Tensor:
        """Apply the activation, (..., out)."""
        slope = self.slopes[stage]
        return prelu(raw.reshape(-1, len(slope)), slope).view(raw.shape)

    def pooled(self, stage: int, raw: Tensor) -> Tensor:
        """Activate and pool, (..., cell, position in it, out) to (..., cell, out)."""
        if self.monotone[stage]:
            return self.activate(stage, raw.amax(-2))
        return torch.where(raw > -FAR / 2, self.activate(stage, raw), raw).amax(-2)  # what is outside stays there

    def _toeplitz(self, stage: int, cells: int) -> Tensor:
        """Return the matrix, (cells * in, (cells + size - 1) * out), from changed cells to a convolution's changes."""
        n_out, n_in, size = self.weights[stage].shape
        matrix = self.weights[stage].new_zeros(cells + size - 1, n_out, cells, n_in)
        for cell in range(cells):
            matrix[cell : cell + size, :, cell] = self.weights[stage].flip(2).permute(2, 0, 1)
        return matrix.flatten(2).flatten(0, 1).T  # column by column: products with it are up to 1.4 times as fast


def fixed_convolutions(plain: Convolutions, encoder: SpectrumEncoder, flux: Tensor) -> Convolutions:
    """Return convolutions with every normalisation's statistics held at their values for ``flux``, (N,).

    ``plain`` are the encoder's own, whose matrices are shared.
    """
    biases, scales = list(plain.biases), list(plain.scales)
    x = flux[None, None]
    pools: list[nn.Module] = [encoder.pool1, encoder.pool2, nn.Identity()]
    for stage, pool in enumerate(pools):
        convolution, norm, activation = encoder.parts(stage)
        if not isinstance(norm, nn.InstanceNorm1d):
            continue
        raw = convolution(x)
        variance, mean = torch.var_mean(raw, dim=2, correction=0)
        inverse = torch.rsqrt(variance[0] + norm.eps)
        scales[stage] = inverse
        biases[stage] = (biases[stage] - mean[0]) * inverse
        x = pool(activation(norm(raw)))
    biases[2] = encoder.placed(biases[2][:, None]).T
    weights = list(plain.weights)
    if (first := scales[0]) is not None:  # small, and used as it is
        weights[0], scales[0] = weights[0] * first[:, None, None], None
    held = Convolutions(weights, biases, plain.slopes, plain.pools)
    held.scales, held.toeplitz = scales, plain.toeplitz
    return held


def plain_convolutions(encoder: SpectrumEncoder) -> Convolutions:
    """Return an encoder's convolutions as they are, without what normalises between them."""
    convolutions: list[nn.Conv1d] = []
    slopes: list[Tensor] = []
    for stage in range(3):
        convolution, _, activation = encoder.parts(stage)
        convolutions.append(convolution)
        slopes.append(activation.weight)
    return Convolutions([c.weight for c in convolutions], [bias_of(c) for c in convolutions], slopes, _pools(encoder))


def bias_of(convolution: nn.Conv1d) -> Tensor:
    """Return the bias, (out,), zeros if there is none."""
    return convolution.weight.new_zeros(convolution.out_channels) if convolution.bias is None else convolution.bias


def _pools(encoder: SpectrumEncoder) -> tuple[int, int]:
    first, second = encoder.config.conv_sizes[:2]
    return first, second


def rows_of(table: Tensor, count: int, baseline: Tensor, first: Tensor) -> Tensor:
    """Return ``count`` successive entries, (n, count, ...), of a table, (M, L, ...), from ``first``, (n,), on."""
    entries = table.flatten(0, 1)
    size = entries[0].numel()
    # what follows each entry, as one row: copied at once
    runs = entries.flatten().as_strided((len(entries) - count + 1, count * size), (size, 1))
    return runs.index_select(0, baseline * table.shape[1] + first).view(-1, count, *table.shape[2:])


def pooled_cells(length: int, pool: int) -> int:
    """Return how many cells max-pooling with padding pool // 2 makes."""
    return (length + 2 * (pool // 2)) // pool


def in_cells(raw: Tensor, pool: int) -> Tensor:
    """Arrange (M, L, C) in pooling cells, (M, cell, pool, C), as max-pooling with padding pool // 2 does."""
    length = raw.shape[1]
    cells = pooled_cells(length, pool)
    behind = cells * pool - length - pool // 2
    if behind < 0:
        raw, behind = raw[:, :behind], 0
    cut: Tensor = pad(raw, (0, 0, pool // 2, behind), value=-FAR).unflatten(1, (cells, pool))
    return cut
