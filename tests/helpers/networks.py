"""Tiny random models and spectra, the same for the same seed, and the layouts of the published files."""

import numpy as np
import torch

from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.outlier_model import OutlierModel

WAVELENGTH = np.linspace(3600.0, 4796.0, 300)
WAVE_REST = np.linspace(3000.0, 4600.0, 500)
COVERED_REDSHIFT = 0.1
"""At this redshift the rest-frame grid reaches every pixel."""
UNCOVERED_REDSHIFT = 0.3
"""At this redshift the rest-frame grid begins at 3900 Angstrom observed frame: 75 pixels are out of its reach."""


def tiny_parts(seed=0, *, n_latent=3, activation="speculator", lsf_size=0):
    """Encoder, decoder and flow with random weights whose latents spread like those of a trained model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoencoderConfig(
            n_latent=n_latent,
            conv_widths=(4, 6, 8),
            encoder_hidden=(8, 8),
            decoder_hidden=(8, 16),
            n_rest=len(WAVE_REST),
            decoder_activation=activation,
            lsf_size=lsf_size,
        )
        encoder = SpectrumEncoder(config)
        decoder = SpectrumDecoder(config, torch.tensor(WAVE_REST))
        flow = MaskedAutoregressiveFlow(
            FlowConfig(n_latent=n_latent, n_transforms=2, n_hidden=7), generator=torch.Generator().manual_seed(seed)
        )
        with torch.no_grad():
            decoder.mlp[0].weight.mul_(20)  # so that baselines differ
        if lsf_size:
            torch.nn.init.uniform_(decoder.lsf, 0.1, 1.0)
    return encoder, decoder, flow


def tiny_model(seed=0, *, dtype=torch.float64, masked_pixels="keep", **parts):
    """A complete model; float64 by default, so that tests compare algorithms and not rounding."""
    provenance = {"name": "tiny", "trained_on": "nothing"}
    return OutlierModel(
        *tiny_parts(seed, **parts),
        WAVELENGTH,
        masked_pixels=masked_pixels,
        provenance=provenance,
        device="cpu",
        dtype=dtype,
    )


def random_flux(count, seed=0):
    """Noisy continua with a line each, (count, 300), about 1."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, len(WAVELENGTH))
    slope, curve, centre = rng.normal(0, 0.3, (3, count, 1))
    line = rng.uniform(0.5, 3, (count, 1)) * np.exp(-0.5 * ((x - centre) / 0.02) ** 2)
    return 1 + slope * x + curve * x**2 + line + rng.normal(0, 0.1, (count, len(x)))


def spender_state(model):
    """The state dict that spender 0.3 would save for the encoder and decoder of ``model``."""
    state = {"encoder.instrument.wave_obs": torch.tensor(model.wavelength)}
    state |= {f"encoder.{name}": value.clone() for name, value in model.encoder.state_dict().items()}
    state |= {f"decoder.{name}": value.clone() for name, value in model.decoder.state_dict().items()}
    lsf = state.pop("decoder.lsf", None)
    if lsf is not None:
        state["encoder.instrument.lsf.weight"] = lsf
    return state


def nflows_state(flow):
    """The state dict that nflows 0.14 would save for ``flow``."""
    start = "_transform._transforms"
    state = {f"{start}.0._shift": flow.shift.clone(), f"{start}.0._scale": flow.scale.clone()}
    for number, (made, permutation) in enumerate(zip(flow.transforms, flow.permutations, strict=True)):
        for name, value in made.state_dict().items():
            layer, _, parameter = name.rpartition(".")
            if layer.startswith("blocks"):
                layer += ".linear"
            key = f"{start}.1._transforms.{number}._transforms.0.autoregressive_net.{layer}"
            state[f"{key}.{parameter}"] = value.clone()
            if parameter == "mask":
                state[f"{key}.degrees"] = torch.arange(len(value))
        state[f"{start}.1._transforms.{number}._transforms.1._permutation"] = permutation.clone()
    return state
