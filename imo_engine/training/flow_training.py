"""The flow, trained on latents of spectra that the autoencoder has not seen, with early stopping."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imo_engine.errors import InputError
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow

__all__ = ["TrainedFlow", "train_flow"]


@dataclass(frozen=True, eq=False)
class TrainedFlow:
    """A flow and the mean negative log p, nats, after each epoch."""

    flow: MaskedAutoregressiveFlow
    training: list[float]
    validation: list[float]
    best_epoch: int


def train_flow(
    latents: NDArray[np.float32],
    validation: NDArray[np.float32],
    *,
    seed: int,
    epochs: int = 60,
    patience: int = 10,
    batch: int = 512,
    rate: float = 1.5e-3,
    progress: Callable[[int, float], None] | None = None,
) -> TrainedFlow:
    """Train a masked autoregressive flow.

    Args:
        latents: (n, S) to train on.
        validation: (m, S) of other objects, to stop by.
        seed: Of weights and batches.
        epochs: At most.
        patience: Epochs without improvement before stopping.
        batch: Latents a step.
        rate: Largest learning rate; cosine decay.
        progress: Called with epoch and validation loss.

    Raises:
        InputError: fewer than 8 latents, or none to validate with.
    """
    if len(latents) < 8 or len(validation) < 2:
        raise InputError(f"{len(latents)} and {len(validation)} latents are too few to train a flow")
    generator = torch.Generator().manual_seed(seed)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    flow = MaskedAutoregressiveFlow(FlowConfig(n_latent=latents.shape[1]), generator=generator)
    torch.random.set_rng_state(state)
    data, held_out = torch.from_numpy(latents), torch.from_numpy(validation)
    flow.scale.copy_(1 / data.std(dim=0).clamp(min=1e-6))
    flow.shift.copy_(-data.mean(dim=0) * flow.scale)
    batch = min(batch, len(data))
    steps = len(data) // batch
    optimiser = torch.optim.Adam(flow.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    best, best_epoch, best_state = np.inf, 0, deepcopy(flow.state_dict())
    training, scores = [], []
    for epoch in range(epochs):
        flow.train()
        total = 0.0
        for rows in torch.randperm(len(data), generator=generator)[: steps * batch].view(steps, batch):
            loss = -flow(data[rows]).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) / steps
        flow.eval()
        with torch.no_grad():
            score = -float(flow(held_out).mean())
        training.append(total)
        scores.append(score)
        if progress:
            progress(epoch, score)
        if score < best - 1e-4:
            best, best_epoch, best_state = score, epoch, deepcopy(flow.state_dict())
        elif epoch - best_epoch >= patience:
            break
    flow.load_state_dict(best_state)
    return TrainedFlow(flow, training, scores, best_epoch)
