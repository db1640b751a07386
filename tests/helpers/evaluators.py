"""Models whose encoders vary, and chunks to put into their spectra."""

import numpy as np
import torch

from helpers.networks import WAVELENGTH, random_flux, tiny_parts
from imo_engine.attribution.evaluators.base import Chunks, Replacement
from imo_engine.attribution.tiling import tile
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder, pooled_length
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.outlier_model import OutlierModel

N = len(WAVELENGTH)


def varied_model(normalisation, *, negative=False, seed=0, dtype=torch.float64, positions=False):
    """A tiny model with the given normalisation, some negative slopes and biases of positions if asked for."""
    encoder, decoder, flow = tiny_parts(seed)
    config = AutoencoderConfig(
        **{
            **{name: getattr(encoder.config, name) for name in encoder.config.__dataclass_fields__},
            "normalisation": normalisation,
            "n_position": pooled_length(N) if positions else 0,
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        encoder = SpectrumEncoder(config)
        with torch.no_grad():
            if positions:
                encoder.position.normal_(0, 0.3)
            if negative:
                for stage in range(3):
                    encoder.parts(stage)[2].weight[::2] = -0.3
    return OutlierModel(encoder, decoder, flow, WAVELENGTH, device="cpu", dtype=dtype)


def replacement_of(model, *, inputs=2, valid=None):
    flux = random_flux(inputs + 1, seed=4)
    return Replacement.of(model, flux[:-1], flux[-1], np.ones(N, bool) if valid is None else valid)


def chunks_of(window, inputs, *, offset=0, stride=None):
    tiling = tile(N, window, offset=offset, stride=stride)
    return Chunks(
        np.repeat(np.arange(inputs), len(tiling)), np.tile(tiling.starts, inputs), np.tile(tiling.stops, inputs)
    )


def narrow_model(dtype=torch.float32, seed=2):
    """Long spectra through narrow random convolutions with instance normalisation."""
    config = AutoencoderConfig(n_latent=4, conv_widths=(8, 12, 16), n_rest=50)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SpectrumEncoder(config)
        decoder = SpectrumDecoder(config, torch.linspace(2000.0, 9000.0, 50).double())
        flow = MaskedAutoregressiveFlow(FlowConfig(n_latent=4), generator=torch.Generator().manual_seed(1))
    wave = 3600 + 0.8 * np.arange(2200)
    return OutlierModel(encoder, decoder, flow, wave, device="cpu", dtype=dtype)
