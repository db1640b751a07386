"""From a trained autoencoder to what is shipped: the flow on latents it has not seen, the model, its baselines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.system.files import write_atomically
from imo_engine.training.flow_training import TrainedFlow, train_flow
from imo_engine.training.sampling import MASKED_PIXELS, Batch, LibrarySampler, SpectraSampler
from imo_engine.training.sources import TrainingSource

__all__ = ["Assembled", "assemble", "encoded", "write_reference"]


@dataclass(frozen=True, eq=False)
class Assembled:
    """A model with its baselines and the log p of validation spectra."""

    model: OutlierModel
    pool: BaselinePool
    reference: NDArray[np.float32]
    """(m,) log p of validation spectra, ascending, nats."""
    flow: TrainedFlow


@dataclass(frozen=True, eq=False)
class Encoded:
    """Latents, (n, S), and redshifts, (n,), of drawn spectra."""

    latents: NDArray[np.float32]
    redshift: NDArray[np.float64]


def encoded(
    model: OutlierModel,
    sampler: LibrarySampler | SpectraSampler,
    *,
    draws: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Encode every object of a sampler ``draws`` times (once if real), with new noise and redshift each time."""
    count = len(sampler.library) if isinstance(sampler, LibrarySampler) else len(sampler.spectra)
    rows = np.tile(np.arange(count), draws if isinstance(sampler, LibrarySampler) else 1)
    pieces = np.array_split(rows, max(1, len(rows) // 128))
    latents, redshift = [], []
    for number, piece in enumerate(pieces):
        batch: Batch = sampler.draw(len(piece), rng=np.random.default_rng([seed, number]), rows=piece)
        latents.append(model.encode(batch.flux))
        redshift.append(batch.redshift)
        if progress:
            progress(number + 1, len(pieces))
    return Encoded(np.concatenate(latents), np.concatenate(redshift))


def untrained_flow(n_latent: int) -> MaskedAutoregressiveFlow:
    """Return a flow to stand in until the real one is trained."""
    return MaskedAutoregressiveFlow(FlowConfig(n_latent=n_latent), generator=torch.Generator().manual_seed(0))


def assemble(
    encoder: SpectrumEncoder,
    decoder: SpectrumDecoder,
    source: TrainingSource,
    *,
    seed: int,
    flow_seed: int | None = None,
    draws: int = 6,
    epochs: int = 60,
    pool_size: int = 2500,
    provenance: dict[str, Any] | None = None,
    device: str = "auto",
    progress: Callable[[str, int, int], None] | None = None,
) -> Assembled:
    """Train the flow on the held-out part and put model, pool and reference together."""

    def report(what: str) -> Callable[[int, int], None]:
        return lambda step, steps: progress(what, step, steps) if progress else None

    def sampler(rows: NDArray[np.int64]) -> LibrarySampler | SpectraSampler:
        if source.library is not None:
            return LibrarySampler(source.library[rows], survey_like=True)
        if source.spectra is None:
            raise ValueError("'source' has neither galaxies nor spectra")
        return SpectraSampler(source.spectra[rows])

    config: AutoencoderConfig = encoder.config
    model = OutlierModel(
        encoder,
        decoder,
        untrained_flow(config.n_latent),
        desi_wavelength(),
        masked_pixels=MASKED_PIXELS,
        provenance=provenance,
        device=device,
    )
    known = encoded(model, sampler(source.split.flow), draws=draws, seed=seed + 100, progress=report("flow latents"))
    unseen = encoded(
        model,
        sampler(source.split.validation),
        draws=max(1, draws // 2),
        seed=seed + 200,
        progress=report("validation"),
    )
    trained = train_flow(known.latents, unseen.latents, seed=seed if flow_seed is None else flow_seed, epochs=epochs)
    model = OutlierModel(
        encoder,
        decoder,
        trained.flow,
        desi_wavelength(),
        masked_pixels=MASKED_PIXELS,
        provenance=provenance,
        device=device,
    )
    reference = np.sort(model.latent_log_prob(unseen.latents))
    chosen = np.random.default_rng([seed, 20]).permutation(len(known.latents))[:pool_size]
    latents = known.latents[chosen]
    pool = BaselinePool(latents, known.redshift[chosen], model.latent_log_prob(latents), model.fingerprint)
    return Assembled(model, pool, reference, trained)


def write_reference(path: Path, reference: NDArray[np.float32], model: OutlierModel) -> None:
    """Write the log p of validation spectra, ascending, so that any object's rank among them can be told."""
    import safetensors.numpy

    tensors = {"log_prob": np.ascontiguousarray(reference, np.float32)}
    metadata = {"model": model.fingerprint}
    write_atomically(path, lambda name: safetensors.numpy.save_file(tensors, name, metadata))
