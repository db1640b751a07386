"""Latents from noiseless galaxies: what the truth of a simulation allows before any convolution is trained.

A linear projection of the compressed rest-frame spectrum (arcsinh, so that strong lines do not rule) gives the
latents, and the decoder learns to invert it. The projection being linear, spectra unlike any galaxy get latents
outside the galaxies' range instead of being folded back into it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder

__all__ = ["LatentTeacher", "pixel_loss", "train_teacher", "widened"]

_SVD_SEED = 67280421310721  # torch's own default


@dataclass(frozen=True, eq=False)
class LatentTeacher:
    """Linear map from rest-frame spectra, (n, R), to latents of mean 0 and variance 1, (n, S)."""

    weight: Tensor
    """(S, R)."""
    bias: Tensor
    """(S,)."""

    def __call__(self, rest: Tensor) -> Tensor:
        """Return the latents of noiseless rest-frame spectra, (n, R)."""
        return torch.asinh(rest) @ self.weight.T + self.bias


def pixel_loss(model: Tensor, target: Tensor, *, noise: float = 0.25, relative: float = 0.03) -> Tensor:
    """Return a robust chi2 per pixel, (n,): the noise of a typical survey spectrum, linear far out."""
    variance = noise**2 + (relative * target) ** 2 + 0.02 * noise * target.clamp(min=0)
    return 2 * (torch.sqrt(1 + (model - target) ** 2 / variance) - 1).mean(dim=1)


def train_teacher(
    rest: NDArray[np.float32],
    wave_rest: NDArray[np.float64],
    config: AutoencoderConfig,
    *,
    seed: int,
    steps: int = 3000,
    batch: int = 192,
    latent_noise: float = 0.05,
) -> tuple[LatentTeacher, SpectrumDecoder, list[tuple[int, float]]]:
    """Learn a projection and a decoder together.

    Args:
        rest: (n, R) noiseless rest-frame spectra.
        wave_rest: (R,) vacuum Angstrom.
        config: Widths; the decoder's are used.
        seed: Of weights, batches and noise.
        steps: Optimiser steps.
        batch: Spectra a step.
        latent_noise: Standard deviation of noise on the standardised latents, which makes the decoder smooth.

    Returns:
        The projection, the decoder, and (step, loss) pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    decoder = SpectrumDecoder(config, torch.tensor(wave_rest))
    data = torch.from_numpy(rest)
    mean = torch.asinh(data[:4000]).mean(dim=0)
    # principal components as the start; their algorithm draws from the global generator
    torch.manual_seed(_SVD_SEED)
    _, _, vectors = torch.svd_lowrank(torch.asinh(data[:4000]) - mean, q=config.n_latent + 4, niter=3)
    torch.random.set_rng_state(state)
    weight = nn.Parameter(vectors[:, : config.n_latent].T.contiguous())
    normed = nn.BatchNorm1d(config.n_latent, affine=False, momentum=0.05)
    optimiser = torch.optim.Adam(
        [{"params": [weight], "lr": 3e-4}, {"params": decoder.parameters(), "lr": 3e-3}], betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [3e-4, 3e-3], total_steps=steps, pct_start=0.15)
    history = []
    for step in range(steps):
        rows = torch.randint(len(data), (batch,), generator=generator)
        target = data[rows]
        latents = normed((torch.asinh(target) - mean) @ weight.T)
        latents = latents + latent_noise * torch.randn(latents.shape, generator=generator)
        loss = pixel_loss(decoder(latents), target).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([weight, *decoder.parameters()], 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            history.append((step, float(loss.detach())))
    with torch.no_grad():
        latents = torch.cat([(torch.asinh(part) - mean) @ weight.T for part in data.split(2000)])
        centre, scale = latents.mean(dim=0), latents.std(dim=0)
        # the decoder was trained behind the running statistics of the batch norm: absorb the difference
        first, moments = decoder.mlp[0], normed.state_dict()
        running = torch.sqrt(moments["running_var"] + normed.eps)
        if isinstance(first, nn.Linear):
            first.bias.add_(first.weight @ ((centre - moments["running_mean"]) / running))
            first.weight.mul_(scale / running)
        teacher = LatentTeacher(weight.detach() / scale[:, None], -(mean @ weight.T + centre) / scale)
    return teacher, decoder, history


def widened(state: dict[str, Tensor], extra: int) -> dict[str, Tensor]:
    """Return a decoder's state with ``extra`` more latents, which it ignores at first."""
    first = state["mlp.0.weight"]
    return state | {"mlp.0.weight": torch.cat([first, first.new_zeros(len(first), extra)], dim=1)}
