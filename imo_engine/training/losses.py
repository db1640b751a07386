"""The three losses of spender: fidelity (Melchior et al. 2023), similarity and consistency (Liang et al. 2023).

Liang et al. 2023, AJ 166, 75 (arXiv:2302.02496): similarity makes distances of latents follow distances of
rest-frame spectra, consistency makes a spectrum and its copy at another redshift share their latents.
"""

import torch
from torch import Tensor

__all__ = ["consistency_loss", "fidelity_loss", "rest_frame_sample", "similarity_loss"]


def fidelity_loss(model: Tensor, flux: Tensor, ivar: Tensor, *, floor: float = 0.02) -> Tensor:
    """Return half the chi2 per measured pixel, averaged over the batch.

    Args:
        model: (n, N) reconstruction.
        flux: (n, N).
        ivar: (n, N); pixels with 0 do not count.
        floor: Error added as a share of the flux, the calibration's, so that bright spectra do not rule.
    """
    weight = ivar / (1 + ivar * (floor * flux) ** 2)
    used = (weight > 0).sum(dim=1).clamp(min=1)
    return 0.5 * ((model - flux) ** 2 * weight).sum(dim=1).div(used).mean()


def consistency_loss(latents: Tensor, augmented: Tensor, *, scale: float = 0.3) -> Tensor:
    """Return the mean of sigmoid(d2) - 1/2; d2: squared distance per latent, over (``scale`` times scatter)**2."""
    spread = latents.detach().std(dim=0).clamp(min=1e-3) * scale
    distance = (((latents - augmented) / spread) ** 2).mean(dim=1)
    return (torch.sigmoid(distance) - 0.5).mean()


def similarity_loss(latents: Tensor, rest: Tensor, weight: Tensor, *, slope: float = 1.0, width: float = 5.0) -> Tensor:
    """Return the mean over pairs of two sigmoids of (spectral distance - latent distance).

    Args:
        latents: (n, S).
        rest: (n, M) spectra in the rest frame.
        weight: (n, M) inverse variance there, 0 where unknown.
        slope: Steepness of the second sigmoid, annealed in training.
        width: Offset of the sigmoids.
    """
    # pixels near 5000 Angstrom are seen at every redshift: the caller has them weighted so
    variance = torch.where(weight > 0, 1 / weight.clamp(min=1e-6), torch.inf)
    pair_weight = 1 / (variance[:, None] + variance[None])
    used = (pair_weight > 0).sum(dim=2).clamp(min=1)
    spectral = ((rest[:, None] - rest[None]) ** 2 * pair_weight).sum(dim=2) / used
    latent = ((latents[:, None] - latents[None]) ** 2).mean(dim=2) / latents.detach().var(dim=0).mean().clamp(min=1e-6)
    x = spectral - latent
    loss = torch.sigmoid(slope * x - width / 2) + torch.sigmoid(-slope * x - width / 2)
    off_diagonal = ~torch.eye(len(latents), dtype=torch.bool, device=latents.device)
    return loss[off_diagonal].mean()


def rest_frame_sample(flux: Tensor, ivar: Tensor, redshift: Tensor) -> tuple[Tensor, Tensor]:
    """Return spectra on 400 rest-frame bins around 5000 Angstrom, (n, 400), and their weights."""
    wave = torch.linspace(3000.0, 8000.0, 400, device=flux.device)
    pixel = ((wave * (1 + redshift[:, None]) - 3600.0) / 0.8).round().long()
    inside = (pixel >= 4) & (pixel < flux.shape[1] - 4)
    pixel = pixel.clamp(4, flux.shape[1] - 5)
    sums = torch.zeros_like(pixel, dtype=flux.dtype)
    weights = torch.zeros_like(sums)
    for shift in range(-4, 5):
        weight = torch.gather(ivar, 1, pixel + shift)
        sums, weights = sums + weight * torch.gather(flux, 1, pixel + shift), weights + weight
    focus = torch.exp(-0.5 * ((wave - 5000.0) / 2000.0) ** 2)
    return sums / weights.clamp(min=1e-12), weights * inside * focus
