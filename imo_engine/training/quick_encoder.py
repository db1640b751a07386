"""The encoder's forward pass for training, equal to the encoder's own and several times faster.

Nearly all the time of a step goes into the first stage, whose arrays have as many pixels as the spectrum. With
slopes of PReLU that are not negative, normalisation and activation keep the order of values, so the maximum
over a pool is that of the raw convolution: both are applied after pooling. Mean and variance of the raw
convolution follow from the mean and covariance of the pixels under the kernel, and the gradient of the kernel
from the pixels under each maximum alone.
"""

from typing import Any

import torch
from torch import Tensor, nn

from imo_engine.autoencoder import SpectrumEncoder

__all__ = ["encode_quickly", "keep_slopes_positive"]


class _PooledConvolution(torch.autograd.Function):
    """max_pool1d(conv1d(flux)) whose backward pass touches only the pixels under the maxima; none for ``flux``."""

    @staticmethod
    def forward(ctx: Any, flux: Tensor, weight: Tensor, bias: Tensor, pool: int) -> Tensor:  # noqa: ANN401 - torch's
        size = weight.shape[-1]
        raw = nn.functional.conv1d(flux.unsqueeze(1), weight, bias, padding=size // 2)
        pooled, index = nn.functional.max_pool1d(raw, pool, padding=pool // 2, return_indices=True)
        ctx.save_for_backward(nn.functional.pad(flux, (size // 2, size // 2)), index)
        ctx.size = size
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, None]:  # noqa: ANN401
        padded, index = ctx.saved_tensors
        flat = index.flatten(1)
        columns = []
        for k in range(ctx.size):
            under = torch.gather(padded, 1, flat + k).view_as(gradient)
            columns.append((under * gradient).sum(dim=(0, 2)))
        return None, torch.stack(columns, dim=1).unsqueeze(1), gradient.sum(dim=(0, 2)), None


def encode_quickly(encoder: SpectrumEncoder, flux: Tensor, *, low_precision: bool = False) -> Tensor:
    """Map normalised flux, (batch, n_pixel), to latents; gradients flow to the weights, not to ``flux``.

    With ``low_precision`` the second and third convolution multiply in bfloat16 and add in float32.
    """
    convolution, norm, activation = _parts(encoder.conv1)
    size = int(convolution.weight.shape[-1])
    x = _PooledConvolution.apply(flux, convolution.weight, convolution.bias, encoder.config.conv_sizes[0])
    windows = nn.functional.pad(flux, (size // 2, size // 2)).unfold(1, size, 1)  # (batch, n_pixel, size)
    centre = windows.mean(dim=1)
    away = windows - centre.unsqueeze(1)
    covariance = away.transpose(1, 2) @ away / flux.shape[1]
    kernel = convolution.weight[:, 0]
    mean = centre @ kernel.T + (0 if convolution.bias is None else convolution.bias)
    variance = torch.einsum("ck,bkl,cl->bc", kernel, covariance, kernel)
    x = activation((x - mean.unsqueeze(2)) * torch.rsqrt(variance + norm.eps).unsqueeze(2))

    mixed = torch.autocast(flux.device.type, torch.bfloat16, enabled=low_precision)
    convolution, norm, activation = _parts(encoder.conv2)
    with mixed:
        x = convolution(x)
    x = x.float()
    variance, mean = torch.var_mean(x, dim=2, keepdim=True, correction=0)
    x = activation((encoder.pool2(x) - mean) * torch.rsqrt(variance + norm.eps))
    convolution, norm, activation = _parts(encoder.conv3)
    with mixed:
        x = convolution(x)
    x = activation(norm(x.float()))
    value, attention = x.chunk(2, dim=1)
    return encoder.mlp(torch.sum(value * torch.softmax(attention, dim=-1), dim=-1))


def _parts(block: nn.Module) -> tuple[nn.Conv1d, nn.InstanceNorm1d, nn.PReLU]:
    """Return convolution, normalisation and activation of one stage."""
    convolution, norm, activation = block.children()
    if not (
        isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.InstanceNorm1d) and isinstance(activation, nn.PReLU)
    ):
        raise TypeError(f"a stage of {convolution}, {norm} and {activation} is not the encoder's")
    return convolution, norm, activation


@torch.no_grad()
def keep_slopes_positive(encoder: SpectrumEncoder, least: float = 0.01) -> None:
    """Hold the slopes of the first two activations at ``least`` or more, as :func:`encode_quickly` requires."""
    for block in (encoder.conv1, encoder.conv2):
        _parts(block)[2].weight.clamp_(min=least)
