"""Spectrum autoencoder: encoder f (spectrum to latents) and decoder g (latents, redshift to spectrum).

The architecture is the one of Melchior et al. (2023, AJ 166, 74): three convolutions with instance
normalisation and attention over positions, then a small dense network; the decoder is a dense network
with the activation of Alsing et al. (2020, ApJS 249, 5) on a rest-frame grid, moved to the redshift and
resampled to the instrument. Module and parameter names are those of spender, so its state dicts load;
all widths are free.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from imo_engine.errors import InputError

__all__ = ["AutoencoderConfig", "Speculator", "SpectrumDecoder", "SpectrumEncoder", "pooled_length"]


@dataclass(frozen=True)
class AutoencoderConfig:
    """Widths of the network; the defaults are the published DESI and SDSS models'."""

    n_latent: int = 6
    conv_widths: tuple[int, int, int] = (128, 256, 512)
    conv_sizes: tuple[int, int, int] = (5, 11, 21)
    encoder_hidden: tuple[int, ...] = (128, 64, 32)
    decoder_hidden: tuple[int, ...] = (64, 256, 1024)
    n_rest: int = 9780
    decoder_activation: str = "speculator"
    lsf_size: int = 0
    normalisation: str = "instance"
    """Of the encoder's convolutions: "instance" as published, or "none", which keeps each of them local."""
    n_position: int = 0
    """Positions of the third convolution that have biases of their own; 0 as published."""


def pooled_length(n_pixel: int, conv_sizes: tuple[int, int, int] = AutoencoderConfig.conv_sizes) -> int:
    """Return how many positions the third convolution has for spectra of ``n_pixel`` pixels.

    >>> pooled_length(7781)
    142
    """
    for size in conv_sizes[:2]:
        n_pixel = (n_pixel + 2 * (size // 2)) // size
    return n_pixel


class Speculator(nn.Module):
    """Activation ``(gamma + (1 - gamma) * sigmoid(beta * x)) * x`` (Alsing et al. 2020, eq. 8), plus an offset."""

    def __init__(self, width: int, *, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset
        self.beta = nn.Parameter(torch.randn(width))
        self.gamma = nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        return (self.gamma + (1 - self.gamma) * torch.sigmoid(self.beta * x)) * x + self.offset


def _dense(widths: tuple[int, ...], activations: list[nn.Module]) -> nn.Sequential:
    """Chain linear layers and activations; the identity after each keeps the published layer numbers."""
    layers: list[nn.Module] = []
    for (n_in, n_out), activation in zip(pairwise(widths), activations, strict=True):
        layers += [nn.Linear(n_in, n_out), activation, nn.Identity()]
    return nn.Sequential(*layers)


class SpectrumEncoder(nn.Module):
    """Maps normalised flux, (batch, n_pixel), to latents, (batch, n_latent)."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        if config.conv_widths[2] % 2:
            raise InputError(f"'conv_widths' ends in {config.conv_widths[2]}; half are values, half attention")
        if config.normalisation not in ("instance", "none"):
            raise InputError(f"'normalisation' is {config.normalisation!r}; expected instance or none")
        self.config = config
        inputs = (1, *config.conv_widths[:2])
        blocks = [
            nn.Sequential(
                nn.Conv1d(n_in, n_out, size, padding=size // 2),
                nn.InstanceNorm1d(n_out) if config.normalisation == "instance" else nn.Identity(),
                nn.PReLU(n_out),
            )
            for n_in, n_out, size in zip(inputs, config.conv_widths, config.conv_sizes, strict=True)
        ]
        self.conv1, self.conv2, self.conv3 = blocks
        self.pool1, self.pool2 = (nn.MaxPool1d(size, padding=size // 2) for size in config.conv_sizes[:2])
        hidden = config.encoder_hidden
        if config.n_position:
            self.position = nn.Parameter(torch.zeros(config.conv_widths[2], config.n_position))
        self.mlp = _dense(
            (config.conv_widths[2] // 2, *hidden, config.n_latent), [*(nn.PReLU(n) for n in hidden), nn.Identity()]
        )

    def forward(self, flux: Tensor) -> Tensor:
        """Encode spectra at their own redshifts."""
        return self.latents(self.pooled(flux))

    def latents(self, pooled: Tensor) -> Tensor:
        """Return the latents of what :meth:`pooled` gives."""
        latents: Tensor = self.mlp(pooled)
        return latents

    def pooled(self, flux: Tensor) -> Tensor:
        """Return what the convolutions and the attention leave of spectra, (batch, width / 2)."""
        x = self.pool1(self.conv1(flux.unsqueeze(1)))
        convolution, norm, activation = self.conv3
        return self.attend(activation(self.placed(norm(convolution(self.pool2(self.conv2(x)))))))

    def parts(self, stage: int) -> tuple[nn.Conv1d, nn.Module, nn.PReLU]:
        """Return convolution, normalisation (or the identity) and activation of stage 0, 1 or 2."""
        convolution, norm, activation = (self.conv1, self.conv2, self.conv3)[stage].children()
        if not (isinstance(convolution, nn.Conv1d) and isinstance(activation, nn.PReLU)):
            raise TypeError(f"a stage of {convolution}, {norm} and {activation} is not the encoder's")
        return convolution, norm, activation

    def placed(self, x: Tensor) -> Tensor:
        """Add the third convolution's biases of each position, if it has them, to (batch, width, position)."""
        return x + self.position if self.config.n_position else x

    def attend(self, x: Tensor) -> Tensor:
        """Average the third stage's output, (batch, width, position), over positions with its own weights."""
        value, attention = x.chunk(2, dim=1)
        return torch.sum(value * torch.softmax(attention, dim=-1), dim=-1)

    def bytes_per_spectrum(self, n_pixel: int, item_size: int = 4) -> int:
        """Estimate the peak memory of one spectrum's forward pass without gradients.

        The first stage holds three arrays of (conv_widths[0], n_pixel): before and after the
        normalisation, and the activation. :mod:`imo_engine.model.quick_encoder` needs about as much for the second.
        """
        return 3 * self.config.conv_widths[0] * n_pixel * item_size

    def multiplications(self, n_pixel: int) -> int:
        """Return how many multiplications the convolutions of one spectrum's forward pass take."""
        config, total, width = self.config, 0, 1
        for out, size in zip(config.conv_widths, config.conv_sizes, strict=True):
            total += n_pixel * width * out * size
            n_pixel, width = (n_pixel + 2 * (size // 2)) // size, out
        return total


class SpectrumDecoder(nn.Module):
    """Maps latents, (batch, n_latent), to spectra in the rest frame, (batch, n_rest), or on an instrument's grid."""

    wave_rest: Tensor

    def __init__(self, config: AutoencoderConfig, wave_rest: Tensor) -> None:
        super().__init__()
        self.config = config
        activations: list[nn.Module]
        if config.decoder_activation == "speculator":
            activations = [Speculator(n) for n in config.decoder_hidden]
            activations.append(Speculator(config.n_rest, offset=1.0))
        elif config.decoder_activation == "leaky_relu":
            activations = [nn.LeakyReLU() for _ in range(len(config.decoder_hidden) + 1)]
        else:
            raise InputError(
                f"'decoder_activation' is {config.decoder_activation!r}; expected speculator or leaky_relu"
            )
        self.mlp = _dense((config.n_latent, *config.decoder_hidden, config.n_rest), activations)
        self.register_buffer("wave_rest", wave_rest)
        if config.lsf_size:
            self.lsf = nn.Parameter(torch.ones(1, 1, config.lsf_size))

    def forward(self, latents: Tensor) -> Tensor:
        """Decode to the rest-frame grid ``wave_rest`` (vacuum Angstrom)."""
        rest: Tensor = self.mlp(latents)
        return rest

    def observe(self, rest: Tensor, redshift: Tensor, wavelength: Tensor) -> Tensor:
        """Move rest-frame spectra, (batch, n_rest), to ``redshift``, (batch,), on ``wavelength``, (n_pixel,).

        Linear interpolation; 0 where the rest-frame grid does not reach. Gradients flow to ``rest``.
        """
        index, weight, covered = self._resampling(redshift, wavelength)
        index, weight = index.to(rest.device), weight.to(rest)
        left = torch.gather(rest, 1, index)
        right = torch.gather(rest, 1, index + 1)
        flux = torch.where(covered.to(rest.device), left + weight * (right - left), rest.new_zeros(()))
        if self.config.lsf_size:
            flux = nn.functional.conv1d(flux.unsqueeze(1), self.lsf, padding="same").squeeze(1) / self.lsf.sum()
        return flux

    def covered(self, redshift: Tensor, wavelength: Tensor) -> Tensor:
        """Tell where the rest-frame grid reaches the observed pixels, (batch, n_pixel), on the CPU."""
        return self._resampling(redshift, wavelength)[2]

    def _resampling(self, redshift: Tensor, wavelength: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # On the CPU, because MPS has no float64. The redshifted grid is rounded to the grid's own precision, as
        # published (float32: 5e-4 Angstrom), the positions between its points are not.
        rest = self.wave_rest.detach().cpu()
        grid = (rest[None, :] * (1 + redshift.to("cpu", rest.dtype)[:, None])).to(torch.float64)
        target = wavelength.to("cpu", torch.float64).expand(len(grid), -1).contiguous()
        index = (torch.searchsorted(grid, target) - 1).clamp(0, grid.shape[1] - 2)
        left, right = torch.gather(grid, 1, index), torch.gather(grid, 1, index + 1)
        return index, (target - left) / (right - left), (target > grid[:, :1]) & (target < grid[:, -1:])
