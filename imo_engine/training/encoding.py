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

from imo_engine.model.autoencoder import SpectrumEncoder
from imo_engine.model.convolutions import bias_of
from imo_engine.model.quick_encoder import convolved_moments

__all__ = ["encode_quickly", "keep_slopes_positive", "standardise"]


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
    convolution, norm, activation = encoder.parts(0)
    weight, bias, pool = convolution.weight, convolution.bias, encoder.config.conv_sizes[0]
    x = _PooledConvolution.apply(flux, weight, bias, pool)  # type: ignore[no-untyped-call]  # torch's apply has no types
    if isinstance(norm, nn.InstanceNorm1d):
        mean, variance = convolved_moments(flux, convolution.weight, bias_of(convolution))
        x = (x - mean.unsqueeze(2)) * torch.rsqrt(variance + norm.eps).unsqueeze(2)
    x = activation(x)

    mixed = torch.autocast(flux.device.type, torch.bfloat16, enabled=low_precision)
    convolution, norm, activation = encoder.parts(1)
    with mixed:
        x = convolution(x)
    x = x.float()
    pooled = encoder.pool2(x)
    if isinstance(norm, nn.InstanceNorm1d):
        variance, mean = torch.var_mean(x, dim=2, keepdim=True, correction=0)
        pooled = (pooled - mean) * torch.rsqrt(variance + norm.eps)
    x = activation(pooled)
    convolution, norm, activation = encoder.parts(2)
    with mixed:
        x = convolution(x)
    return encoder.latents(encoder.attend(activation(encoder.placed(norm(x.float())))))


@torch.no_grad()
def standardise(encoder: SpectrumEncoder, flux: Tensor) -> None:
    """Scale untrained convolutions without normalisation so that each channel has mean 0 and variance 1."""
    x = flux.unsqueeze(1)
    pools: tuple[nn.Module, ...] = (encoder.pool1, encoder.pool2, nn.Identity())
    for stage, pool in enumerate(pools):
        convolution, _, activation = encoder.parts(stage)
        raw = convolution(x)
        scale, mean = raw.std(dim=(0, 2)).clamp(min=1e-6), raw.mean(dim=(0, 2))
        convolution.weight /= scale[:, None, None]
        if convolution.bias is not None:
            convolution.bias.sub_(mean).div_(scale)
        x = pool(activation(convolution(x)))


@torch.no_grad()
def keep_slopes_positive(encoder: SpectrumEncoder, least: float = 0.01) -> None:
    """Hold the slopes of the first two activations at ``least`` or more, as :func:`encode_quickly` requires."""
    for stage in (0, 1):
        encoder.parts(stage)[2].weight.clamp_(min=least)
