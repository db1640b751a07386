"""How a chunk changes the mean and the covariance of the pixels under a short kernel, exactly.

All that the first normalisation sees of a chunk: for kernels of five pixels the mean of the five shifted spectra and
the 5 x 5 sums of their products. Inside the chunk running sums answer; its edges are summed pixel by pixel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["PixelMoments", "changed_moments"]


@dataclass(frozen=True, eq=False)
class PixelMoments:
    """Means, (n, k), and means of products, (n, k, k), of the pixels under a kernel of k, float64."""

    mean: Tensor
    product: Tensor

    def channels(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance, (n, C), of a convolution with ``weight``, (C, 1, k), and ``bias``, (C,)."""
        kernel = weight[:, 0].to(self.mean.dtype)
        covariance = self.product - self.mean[:, :, None] * self.mean[:, None, :]
        variance = torch.einsum("ck,nkl,cl->nc", kernel, covariance, kernel)
        return self.mean @ kernel.T + bias.to(self.mean.dtype), variance.clamp_min(0)


def changed_moments(base: Tensor, changed: Tensor, start: Tensor, stop: Tensor, size: int) -> PixelMoments:
    """Return the moments of ``base``, (N,), with pixels [start, stop) replaced by ``changed``, (N,).

    Args:
        base: Flux.
        changed: Flux.
        start: (n,) first pixels.
        stop: (n,) one past the last.
        size: Pixels under the kernel, k, odd; the flux is zero outside.
    """
    n_pixel, reach = len(base), size // 2
    base, changed = base.double(), changed.double()
    old, new = (pad(flux, (reach, reach)).unfold(0, size, 1) for flux in (base, changed))
    mean = old.sum(0).expand(len(start), -1).clone()
    product = (old.T @ old).expand(len(start), -1, -1).clone()
    # windows that lie in the chunk as a whole
    first = (start + reach).clamp(max=n_pixel)
    last = torch.maximum(stop - reach, start + reach).clamp(max=n_pixel)
    running = pad((new - old).cumsum(0), (0, 0, 1, 0))
    mean += running[last] - running[first]
    running2 = pad((new[:, :, None] * new[:, None] - old[:, :, None] * old[:, None]).cumsum(0), (0, 0, 0, 0, 1, 0))
    product += running2[last] - running2[first]
    # windows across its edges
    margin = 2 * size
    wide_base, wide_changed = pad(base, (margin, margin)), pad(changed, (margin, margin))
    inner, outer = start + reach, stop + reach
    left = start - reach, torch.minimum(inner, outer)
    right = torch.maximum(stop - reach, inner), outer
    offsets = torch.arange(-reach, reach + 1, device=base.device)
    for begin, end in (left, right):
        for step in range(2 * reach):
            centre = begin + step
            counts = (centre < end) & (centre >= 0) & (centre < n_pixel)
            place = centre[:, None] + offsets
            inside = (place >= start[:, None]) & (place < stop[:, None])
            at = (place + margin).clamp(0, len(wide_base) - 1)
            before = wide_base[at] * counts[:, None]
            after = torch.where(inside, wide_changed[at], wide_base[at]) * counts[:, None]
            mean += after - before
            product += after[:, :, None] * after[:, None] - before[:, :, None] * before[:, None]
    return PixelMoments(mean / n_pixel, product / n_pixel)
