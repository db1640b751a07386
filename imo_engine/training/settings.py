"""The settings of a training run."""

from dataclasses import dataclass

from imo_engine.model.autoencoder import AutoencoderConfig, pooled_length
from imo_engine.simulation.library import rest_wavelength
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.training.oddness import N_ODDITIES

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome, apart from the spectra."""

    seed: int = 1
    n_latent: int = 10
    """With a simulation two of them say how unlike a galaxy the spectrum is."""
    conv_widths: tuple[int, int, int] = (32, 64, 128)
    normalisation: str = "none"
    """Of the convolutions: "none" keeps them local, "instance" is spender's."""
    position_biases: bool = True
    """Whether the third convolution has biases of its own at each position."""
    encoder_hidden: tuple[int, ...] = (64, 48, 32)
    decoder_hidden: tuple[int, ...] = (64, 128, 256)
    batch: int = 64
    teacher_steps: int = 1600
    teacher_galaxies: int = 16_000
    encoder_steps: int = 1500
    joint_steps: int = 400
    refine_steps: int = 0
    """Of the encoder alone, once more, with more weight on oddness; with a simulation only."""
    refine_cycles: int = 1
    """How often the refinement runs, each time from its full rate."""
    rate: float = 2e-3
    joint_rate: float = 3e-4
    refine_rate: float = 1.2e-3
    oddness: float = 0.4
    """Share of changed spectra in the stages that know the truth."""
    anchor: float = 3.0
    """Weight of the teacher's latents in the joint stage."""
    similarity: float = 1.0
    consistency: float = 1.0
    low_precision: bool = True
    """Multiply in bfloat16 inside the encoder while training."""

    def autoencoder(self, *, teacher: bool = False) -> AutoencoderConfig:
        """Return the widths of the network, or those of the teacher's decoder, which lacks the latents of oddness."""
        return AutoencoderConfig(
            n_latent=self.n_latent - (N_ODDITIES if teacher else 0),
            conv_widths=self.conv_widths,
            encoder_hidden=self.encoder_hidden,
            decoder_hidden=self.decoder_hidden,
            n_rest=len(rest_wavelength()),
            normalisation=self.normalisation,
            n_position=pooled_length(len(desi_wavelength())) if self.position_biases else 0,
        )
