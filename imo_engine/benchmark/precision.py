"""Whether lower precision would do: attributions with rounded factors beside float64.

TF32 and bfloat16 keep 10 and 7 bits of what they multiply and add up in float32. That is the same on any device, so it
is done here by rounding the factors, and a GPU is not needed to know. Nothing in the engine uses either.
"""

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imo_engine.attribution.evaluators.base import Replacement
from imo_engine.benchmark.ways import Reference, all_chunks

__all__ = ["ALLOWED_ERROR", "PRECISIONS", "precision_errors", "rounded"]

PRECISIONS = {"TF32": 10, "bfloat16": 7}
"""Bits of the mantissa that are kept."""

ALLOWED_ERROR = 1e-4
"""Of each window's largest value; exact values keep it."""


def rounded(values: Tensor, bits: int) -> Tensor:
    """Return float32 ``values`` rounded to the nearest with ``bits`` bits of mantissa.

    >>> rounded(torch.tensor([1.0, 1.0 + 2**-9, 1.0 + 2**-12]), 10).tolist()
    [1.0, 1.001953125, 1.0]
    """
    drop = 23 - bits
    whole = values.float().contiguous().view(torch.int32)
    return ((whole + (1 << (drop - 1))) & ~((1 << drop) - 1)).view(torch.float32)


def precision_errors(
    replacement: Replacement, windows: tuple[int, ...], values: dict[int, NDArray[np.float64]]
) -> dict[str, dict[int, float]]:
    """Return by precision and window size the largest difference to float64, of the largest value, that was found.

    Args:
        replacement: Inputs.
        windows: Pixels.
        values: (input, chunk) log p lost by window size, to look where it is largest.
    """
    reference = Reference(replacement)
    return {
        name: {window: _error(replacement, reference, window, values[window], bits) for window in windows}
        for name, bits in PRECISIONS.items()
    }


def _error(
    replacement: Replacement, reference: Reference, window: int, values: NDArray[np.float64], bits: int
) -> float:
    chunks = all_chunks(replacement, window)
    rows = reference.rows(window, chunks, values.ravel())
    encoder = _rounding(replacement.model.encoder, bits)
    flow = deepcopy(replacement.model.flow).double().cpu()

    def log_prob(flux: Tensor) -> float:
        with torch.no_grad():
            return float(flow(encoder(flux[None]).double().cpu())[0])

    own = {row: log_prob(replacement.base[row]) for row in np.unique(chunks.row[rows]).tolist()}
    found = []
    for row, start, stop in zip(chunks.row[rows].tolist(), chunks.start[rows], chunks.stop[rows], strict=True):
        hybrid = replacement.base[row].clone()
        hybrid[start:stop] = replacement.changed[row, start:stop]
        found.append(own[row] - log_prob(hybrid))
    right = reference.values(chunks[rows])
    return float(np.abs(np.array(found) - right).max() / max(np.abs(right).max(), 1e-300))


def _rounding(encoder: nn.Module, bits: int) -> nn.Module:
    """Return a copy whose convolutions and dense layers round what they multiply."""
    copy = deepcopy(encoder)
    for module in copy.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            module.weight.data = rounded(module.weight.data, bits)
            module.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0], bits),))
    return copy
