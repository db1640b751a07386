"""A one-dimensional convolution by blocks of Fourier transforms (overlap-save), for kernels of 11 and 21.

Transforms this short are quickest as matrix products, which leave every array as the next product wants it.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["FourierConvolution"]

_LONGEST = 160
_PARTS = 4  # that weights are transformed in


class FourierConvolution:
    """Same as ``conv1d`` with odd kernels, padding to the same length and no bias."""

    def __init__(self, weight: Tensor, *, positions: int, check: Callable[[], None] = lambda: None) -> None:
        """Transform ``weight``, (out, in, k); the transforms' length is chosen for inputs of ``positions``.

        ``check`` is called now and then, and may raise.
        """
        n_out, n_in, self.size = weight.shape
        self.block = block = _best_block(n_out, n_in, self.size, positions)
        self.spectrum = weight.new_empty(3 * (block // 2 + 1), n_in, n_out)
        step = max(1, n_in // _PARTS)
        for first in range(0, n_in, step):
            check()
            some = slice(first, first + step)
            # conv1d correlates: the kernel is turned round
            spectrum = torch.fft.rfft(weight[:, some].flip(2), n=block).permute(2, 1, 0)  # (frequency, in, out)
            # a complex product from three real ones, (a + bi)(c + di): ac, bd and (a + b)(c + d)
            self.spectrum[:, some] = torch.cat([spectrum.real, spectrum.imag, spectrum.real + spectrum.imag])
        frequency, position = torch.arange(block // 2 + 1).double(), torch.arange(block).double()
        angle = 2 * math.pi / block * frequency[:, None] * position
        cosine, sine = torch.cos(angle), torch.sin(angle)
        self.forward = torch.cat([cosine, -sine, cosine - sine]).to(weight)  # (3 frequencies, position)
        twice = torch.full((block // 2 + 1, 1), 2.0, dtype=torch.float64)
        twice[0] = 1
        if block % 2 == 0:
            twice[-1] = 1
        cosine, sine = twice * cosine / block, twice * sine / block
        back = torch.cat([cosine + sine, sine - cosine, -sine]).T
        self.back = back[self.size - 1 :].to(weight).contiguous()  # (hop, 3 frequencies)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (n, position, in) to (n, position, out)."""
        n, length, n_in = x.shape
        hop = self.block - self.size + 1
        blocks = -(-length // hop)
        reach = self.size // 2
        padded = pad(x, (0, 0, reach, blocks * hop + self.size - 1 - reach - length))
        pieces = padded.unfold(1, self.block, hop).permute(3, 0, 1, 2).reshape(self.block, -1)
        transformed = (self.forward @ pieces).view(len(self.forward), n * blocks, n_in)
        product = torch.bmm(transformed, self.spectrum)
        result = (self.back @ product.flatten(1)).view(hop, n, blocks, -1)
        return result.permute(1, 2, 0, 3).flatten(1, 2)[:, :length]


def _best_block(n_out: int, n_in: int, size: int, positions: int) -> int:
    """Return the length of transforms that costs fewest operations."""

    def cost(block: int) -> float:
        hop, rows = block - size + 1, 3 * (block // 2 + 1)
        return -(-positions // hop) * rows * (n_in * n_out + block * n_in + hop * n_out)

    return min(range(2 * size, max(_LONGEST, 3 * size), 2), key=cost)
