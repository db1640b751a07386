"""A one-dimensional convolution by blocks of Fourier transforms (overlap-save), for kernels of 11 and 21."""

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["FourierConvolution"]


_BLOCKS = (64, 96, 128)  # longer ones leave the cache


class FourierConvolution:
    """Same as ``conv1d`` with odd kernels, padding to the same length and no bias."""

    def __init__(self, weight: Tensor, *, positions: int | None = None) -> None:
        """Transform ``weight``, (out, in, k); the transforms' length is chosen for ``positions``, if they are known."""
        self.size = int(weight.shape[2])
        self.block = block = _best_block(self.size, positions)
        # conv1d correlates: the kernel is turned round
        spectrum = torch.fft.rfft(weight.flip(2), n=block).permute(2, 1, 0)  # (frequency, in, out)
        self.spectrum = _three(spectrum)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (n, position, in) to (n, position, out)."""
        n, length, _ = x.shape
        hop = self.block - self.size + 1
        blocks = -(-length // hop)
        reach = self.size // 2
        padded = pad(x, (0, 0, reach, blocks * hop + self.size - 1 - reach - length))
        pieces = padded.unfold(1, self.block, hop)  # (n, blocks, in, block)
        transformed = torch.fft.rfft(pieces).permute(3, 0, 1, 2).flatten(1, 2)  # (frequency, n * blocks, in)
        # a complex product from three real ones, (a + bi)(c + di): ac, bd and (a + b)(c + d)
        real, imaginary, both = torch.bmm(_three(transformed), self.spectrum).chunk(3)
        product = torch.complex(real - imaginary, both.sub_(real).sub_(imaginary))
        back = torch.fft.irfft(product, n=self.block, dim=0)[self.size - 1 :]  # (hop, n * blocks, out)
        return back.unflatten(1, (n, blocks)).permute(1, 2, 0, 3).flatten(1, 2)[:, :length]


def _best_block(size: int, positions: int | None) -> int:
    """Return the length of transforms that costs fewest products; 64 where nothing is known of the positions."""
    lengths = [length for length in _BLOCKS if length >= 2 * size] or [_BLOCKS[-1]]
    if positions is None:
        return lengths[0]
    return min(lengths, key=lambda length: -(-positions // (length - size + 1)) * (length // 2 + 1))


def _three(values: Tensor) -> Tensor:
    """Return real parts, imaginary parts and their sums, one after the other along the first axis."""
    return torch.cat([values.real, values.imag, values.real + values.imag])
