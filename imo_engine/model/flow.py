"""Normalising flow h on the latents: log p of each.

A masked autoregressive flow with affine transforms (Papamakarios et al. 2017, arXiv:1705.07057; MADE:
Germain et al. 2015, arXiv:1502.03509): a fixed affine, then n times (MADE, permutation), then a standard
normal. Its arithmetic is that of the published spender flows, made with nflows 0.14.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["FlowConfig", "MaskedAutoregressiveFlow"]

_SMALLEST_SCALE = 1e-3


@dataclass(frozen=True)
class FlowConfig:
    """Size of the flow; the defaults are the published models'."""

    n_latent: int = 6
    n_transforms: int = 5
    n_hidden: int = 50
    n_blocks: int = 2


class _MaskedLinear(nn.Linear):
    """A linear layer in which output o sees input i only where ``mask[o, i]`` is 1."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight * self.mask, self.bias)


class _Made(nn.Module):
    """Autoregressive network: scale and shift of latent k from the latents before k."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        n = config.n_latent
        inputs = torch.arange(1, n + 1)
        hidden = torch.arange(config.n_hidden) % max(1, n - 1) + min(1, n - 1)
        outputs = inputs.repeat_interleave(2)
        self.initial_layer = _MaskedLinear((hidden[:, None] >= inputs).float())
        self.blocks = nn.ModuleList(_MaskedLinear((hidden[:, None] >= hidden).float()) for _ in range(config.n_blocks))
        self.final_layer = _MaskedLinear((outputs[:, None] > hidden).float())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and shift, each (batch, n_latent)."""
        hidden = torch.tanh(self.initial_layer(x))
        for block in self.blocks:
            hidden = torch.tanh(block(hidden))
        raw_scale, shift = self.final_layer(hidden).unflatten(-1, (-1, 2)).unbind(-1)
        return nn.functional.softplus(raw_scale) + _SMALLEST_SCALE, shift


class MaskedAutoregressiveFlow(nn.Module):
    """Maps latents, (batch, n_latent), to log p, (batch,), in nats."""

    shift: Tensor
    scale: Tensor
    permutations: Tensor

    def __init__(self, config: FlowConfig, *, generator: torch.Generator | None = None) -> None:
        """Make an untrained flow; ``generator`` draws the permutations."""
        super().__init__()
        self.config = config
        n = config.n_latent
        self.register_buffer("shift", torch.zeros(n))
        self.register_buffer("scale", torch.full((n,), 1 / 0.05))
        self.register_buffer(
            "permutations", torch.stack([torch.randperm(n, generator=generator) for _ in range(config.n_transforms)])
        )
        self.transforms = nn.ModuleList(_Made(config) for _ in range(config.n_transforms))

    def forward(self, latents: Tensor) -> Tensor:
        """Return log p of the latents."""
        x, log_det = self._transformed(latents)
        return log_det - 0.5 * (x * x).sum(-1) - 0.5 * self.config.n_latent * math.log(2 * math.pi)

    def normal(self, latents: Tensor) -> Tensor:
        """Return the normal coordinates of latents, (batch, n_latent): standard normal if they are ordinary."""
        return self._transformed(latents)[0]

    def _transformed(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return normal coordinates and the logarithm of the determinant of their derivatives, (batch,)."""
        x = latents * self.scale + self.shift
        log_det = torch.log(torch.abs(self.scale)).sum().expand(len(x))
        for made, permutation in zip(self.transforms, self.permutations, strict=True):
            scale, shift = made(x)
            x = (x * scale + shift)[:, permutation]
            log_det = log_det + torch.log(scale).sum(-1)
        return x, log_det

    @torch.no_grad()
    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draw latents, (count, n_latent), by inverting the transforms one latent at a time."""
        # drawn where the generator lives, so that a seed gives the same latents on every device
        x = torch.randn(count, self.config.n_latent, generator=generator).to(self.shift)
        for made, permutation in zip(reversed(list(self.transforms)), self.permutations.flip(0), strict=True):
            target = x[:, torch.argsort(permutation)]
            x = torch.zeros_like(target)
            for _ in range(self.config.n_latent):
                scale, shift = made(x)
                x = (target - shift) / scale
        return (x - self.shift) / self.scale
