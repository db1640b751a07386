"""Which chunks are computed both ways, to learn how wrong a cheap way is, and what follows for the others."""

import torch
from torch import Tensor

__all__ = ["allowed_size", "spread_checks"]

_CHECKS = 14
_TOP_CHECKS = 10
"""Chunks of each window size and input that are checked: over all sizes, and more among the largest."""
_SHARE = 0.12
_NEAR = 5
"""Neighbouring checks whose errors may sum to this share of their changes."""


def spread_checks(size: Tensor) -> Tensor:
    """Return which of ascending sizes, (n,), to check: evenly spread in rank, and closer together at the largest."""
    n = len(size)
    most = torch.linspace(0.05, 0.95, _CHECKS, dtype=torch.float64)
    top = 1 - torch.logspace(-1.3, -3, _TOP_CHECKS, dtype=torch.float64)
    chosen: Tensor = (torch.cat([most, top]) * (n - 1)).round().long().unique().to(size.device)
    return chosen


def allowed_size(size: Tensor, error: Tensor, change: Tensor, allowed: float) -> float:
    """Return the size below which checks, (n,) with ascending sizes, say that a way is right.

    No error is above ``allowed``, and errors are small beside the changes themselves: what is weak keeps its rank.
    """
    wrong = error > allowed
    if len(size) >= _NEAR:
        share = error.unfold(0, _NEAR, 1).sum(dim=1) / change.unfold(0, _NEAR, 1).sum(dim=1).clamp_min(1e-300)
        middle = torch.arange(len(size), device=size.device) - _NEAR // 2
        wrong |= (share > _SHARE)[middle.clamp(0, len(share) - 1)]
    if not bool(wrong.any()):
        return torch.inf
    return 0.0 if bool(wrong[0]) else float(size[wrong].min())
