"""Local updates with fixed statistics: exact for encoders without normalisation, "frozen" for the others."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imo_engine.attribution.evaluators.base import Chunks, Evaluator, Replacement
from imo_engine.attribution.evaluators.local_encoder import LocalUpdate, WindowUpdate
from imo_engine.model.convolutions import fixed_convolutions, plain_convolutions
from imo_engine.system.batching import batch_size_for, run_in_batches

__all__ = ["FrozenStatistics", "LocalExact"]


class LocalExact(Evaluator):
    """Exact: the encoder has no normalisation, so what a chunk changes stays near it.

    Inputs are taken some at a time, which bounds what is prepared for a window size.
    """

    name = "exact, local updates"
    inputs_at_once = 8

    def __init__(
        self,
        replacement: Replacement,
        *,
        memory_budget: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        """Send the inputs themselves through the encoder once."""
        super().__init__(replacement, memory_budget=memory_budget, should_stop=should_stop)
        self.updates = []
        with torch.inference_mode():
            net = plain_convolutions(replacement.model.encoder)
            for base, changed in zip(
                replacement.base.split(self.inputs_at_once), replacement.changed.split(self.inputs_at_once), strict=True
            ):
                self.check()
                held = fixed_convolutions(net, replacement.model.encoder, base[0])
                self.updates.append(LocalUpdate(held, base, changed))

    def _latents(
        self, chunks: Chunks, should_stop: Callable[[], bool] | None, on_batch: Callable[[int], None] | None
    ) -> Tensor:
        latents, places = [], []
        size = int((chunks.stop - chunks.start).max())
        done = 0
        for update, mine, rows in self._shares(chunks):
            self.check()
            window = update.window(size)
            pooled = update.base.new_empty(len(mine), update.weight.shape[2])
            phase = window.phases(torch.from_numpy(mine.start)).numpy()
            order: NDArray[np.int64] = np.lexsort((mine.start, mine.row, phase))
            edges = np.searchsorted(phase[order], np.arange(phase.max() + 2))
            for value, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
                if first == last:
                    continue
                part = order[first:last]

                def report(count: int, before: int = done) -> None:
                    if on_batch is not None:
                        on_batch(before + count)

                found = self._one_phase(window, mine[part], value, should_stop, report)
                pooled[torch.from_numpy(part).to(pooled.device)] = found.to(pooled)
                done += len(part)
            lost = torch.nonzero(pooled.isnan().any(dim=1))[:, 0]
            if len(lost):
                pooled[lost] = self._whole(update, mine[lost.cpu().numpy()]).to(pooled)
            # at once: what the attention leaves of all chunks of all inputs would be much more than their latents
            latents.append(self.head(pooled))
            places.append(rows)
        back = torch.from_numpy(np.argsort(np.concatenate(places)))
        return torch.cat(latents)[back.to(latents[0].device)]

    def _shares(self, chunks: Chunks) -> Iterator[tuple[LocalUpdate, Chunks, NDArray[np.int64]]]:
        """Yield each group of inputs that has chunks, its chunks by row of the group, and their places, (n,)."""
        for number, update in enumerate(self.updates):
            rows = np.flatnonzero(chunks.row // self.inputs_at_once == number)
            if len(rows):
                mine = chunks[rows]
                yield update, Chunks(mine.row - number * self.inputs_at_once, mine.start, mine.stop), rows

    def _whole(self, update: LocalUpdate, chunks: Chunks) -> Tensor:
        """Return what the attention leaves, (n, width), by convolving whole spectra."""
        row, start, stop = chunks.on(update.base.device)
        pixel = torch.arange(update.n_pixel, device=update.base.device)

        def batch(a: int, b: int) -> Tensor:
            inside = (pixel >= start[a:b, None]) & (pixel < stop[a:b, None])
            spectra = torch.where(inside, update.changed[row[a:b]], update.base[row[a:b]])
            return LocalUpdate(update.net, spectra, spectra).pooled

        return run_in_batches(batch, len(chunks), self.replacement.model.batch_size(self.memory_budget))

    def _one_phase(
        self,
        window: WindowUpdate,
        chunks: Chunks,
        phase: int,
        should_stop: Callable[[], bool] | None,
        on_batch: Callable[[int], None],
    ) -> Tensor:
        row, start, stop = chunks.on(self.replacement.base.device)
        size = batch_size_for(window.bytes_per_chunk, self.memory_budget, self.replacement.base.device)
        return run_in_batches(
            lambda a, b: window.pooled(row[a:b], start[a:b], stop[a:b], phase),
            len(chunks),
            size,
            should_stop=should_stop,
            on_batch=on_batch,
        )


class FrozenStatistics(LocalExact):
    """Mean and variance of every normalisation held at each input's own values: what the local pattern says."""

    name = "frozen statistics"
    inputs_at_once = 1
