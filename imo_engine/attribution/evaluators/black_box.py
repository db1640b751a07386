"""Any encoder as a black box: the whole spectrum goes through it for every chunk."""

from collections.abc import Callable

import torch
from torch import Tensor

from imo_engine.attribution.evaluators.base import Chunks, Evaluator
from imo_engine.system.batching import run_in_batches

__all__ = ["BlackBox"]


class BlackBox(Evaluator):
    """Full forward passes, as many at a time as fit into memory."""

    name = "full passes"

    def _latents(
        self, chunks: Chunks, should_stop: Callable[[], bool] | None, on_batch: Callable[[int], None] | None
    ) -> Tensor:
        base, changed = self.replacement.base, self.replacement.changed
        row, start, stop = chunks.on(base.device)
        pixel = torch.arange(base.shape[1], device=base.device)

        def batch(first: int, last: int) -> Tensor:
            replaced = (pixel >= start[first:last, None]) & (pixel < stop[first:last, None])
            rows = row[first:last]
            return self.replacement.model.quick_encoder(torch.where(replaced, changed[rows], base[rows]))

        size = self.replacement.model.batch_size(self.memory_budget)
        return self.head(run_in_batches(batch, len(chunks), size, should_stop=should_stop, on_batch=on_batch))
