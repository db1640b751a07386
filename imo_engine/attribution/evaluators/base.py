"""What an evaluator is asked: log p of spectra into which one chunk of another was put."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imo_engine.attribution.record import WindowFacts
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.system.batching import check_stop, default_memory_budget, hold_freed_memory, run_in_batches
from imo_engine.system.devices import full_precision, moved

__all__ = ["Chunks", "Evaluator", "Replacement"]


@dataclass(frozen=True, eq=False)
class Chunks:
    """Pixels [start, stop) of input ``row``; all (n,)."""

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, chosen: NDArray[Any] | slice) -> "Chunks":
        return Chunks(self.row[chosen], self.start[chosen], self.stop[chosen])

    def on(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return row, start and stop as tensors on a device, moved once."""
        stacked = torch.from_numpy(np.stack([self.row, self.start, self.stop]))
        row, start, stop = moved(stacked, device)
        return row, start, stop


@dataclass(frozen=True, eq=False)
class Replacement:
    """Inputs of the encoder, and what their chunks are replaced with.

    Attributes:
        model: Encoder and flow.
        base: (M, N) normalised flux on the model's device.
        changed: (M, N) the same with every pixel replaced that may be.
    """

    model: OutlierModel
    base: Tensor
    changed: Tensor

    @classmethod
    def of(
        cls, model: OutlierModel, base: NDArray[Any], changed: NDArray[Any], valid: NDArray[np.bool_]
    ) -> "Replacement":
        """Put arrays on the model's device; ``base`` and ``changed`` are (M, N) or (N,), ``valid`` is (N,)."""
        both = np.where(valid, changed, base)
        shape = np.broadcast_shapes(np.atleast_2d(base).shape, both.shape)
        tensors = (torch.from_numpy(np.broadcast_to(array, shape).copy()) for array in (base, both))
        first, second = (moved(tensor.to(model.dtype), model.device) for tensor in tensors)
        return cls(model, first, second)


class Evaluator(ABC):
    """One way to compute log p of :class:`Replacement` for any chunks."""

    name: str
    """What the page and the files call it."""

    def __init__(
        self,
        replacement: Replacement,
        *,
        memory_budget: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        """Prepare.

        Args:
            replacement: Inputs.
            memory_budget: Bytes of activations a batch; None for what is free now.
            should_stop: Asked while preparing.

        Raises:
            Cancelled: ``should_stop`` returned True.
        """
        device = replacement.model.device
        hold_freed_memory()
        self.replacement, self.should_stop = replacement, should_stop
        # found out once: asking a GPU waits for it
        self.memory_budget = default_memory_budget(device) if memory_budget is None else memory_budget
        # log p is a difference of large numbers: the dense layers and the flow cost little in float64
        model = replacement.model
        self._head, self._flow = (
            deepcopy(part).to(_double_device(model.device), torch.float64) for part in (model.encoder.mlp, model.flow)
        )

    def facts(self, window_size: int) -> WindowFacts:
        """Return how right what was computed of a window size is; exact unless a way says otherwise."""
        return WindowFacts()

    def check(self) -> None:
        """Ask whether to go on; whatever takes longer than a few forward passes does so in between.

        Raises:
            Cancelled: the answer was no.
        """
        check_stop(self.should_stop)

    def base_log_prob(self, should_stop: Callable[[], bool] | None = None) -> NDArray[np.float64]:
        """Return log p of the inputs as they are, (M,), nats, computed as for the chunks.

        Differences to it are then free of the rounding in which two ways to compute the same differ.
        """
        count = len(self.replacement.base)
        nothing = np.zeros(count, np.int64)
        return self.log_prob(Chunks(np.arange(count), nothing, nothing), should_stop=should_stop)

    def log_prob(
        self,
        chunks: Chunks,
        *,
        should_stop: Callable[[], bool] | None = None,
        on_batch: Callable[[int], None] | None = None,
    ) -> NDArray[np.float64]:
        """Return log p, (n,), nats, with each chunk replaced.

        Args:
            chunks: Of one window size.
            should_stop: Asked before each batch, and during what is prepared for the chunks.
            on_batch: Told after each batch how many are done.

        Raises:
            Cancelled: ``should_stop`` returned True.
            OutOfMemory: not even one chunk fits into memory.
        """
        if not len(chunks):
            return np.zeros(0)
        self.should_stop = should_stop
        with torch.inference_mode(), full_precision(self.replacement.model.device):
            return self.flow_log_prob(self._latents(chunks, should_stop, on_batch)).cpu().numpy()

    def flow_log_prob(self, latents: Tensor) -> Tensor:
        """Return log p, (n,), of latents, (n, S), in float64."""
        stop = self.should_stop
        return run_in_batches(lambda a, b: self._flow(latents[a:b]), len(latents), _DENSE_BATCH, should_stop=stop)

    def head(self, pooled: Tensor) -> Tensor:
        """Return latents, (n, S), in float64, of what the encoder's attention leaves, (n, width)."""
        pooled = pooled.to(_double_device(pooled.device), torch.float64)
        stop = self.should_stop
        return run_in_batches(lambda a, b: self._head(pooled[a:b]), len(pooled), _DENSE_BATCH, should_stop=stop)

    @abstractmethod
    def _latents(
        self, chunks: Chunks, should_stop: Callable[[], bool] | None, on_batch: Callable[[int], None] | None
    ) -> Tensor:
        """Return latents, (n, S), float64, in the order of ``chunks``."""


_DENSE_BATCH = 2048


def _double_device(device: torch.device) -> torch.device:
    return torch.device("cpu") if device.type == "mps" else device  # MPS has no float64
