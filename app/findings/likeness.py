"""Which targets are odd for the same reason."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.findings.findings import Findings
from imo_engine.reasons.profiles import profile_distances

__all__ = ["Neighbour", "same_cause"]


_UNLIKE = 0.95  # Hellinger distance from which profiles have next to nothing in common


@dataclass(frozen=True)
class Neighbour:
    """Another target, and how far from the shown one."""

    target_id: str
    distance: float


def same_cause(findings: Findings, target_id: str, visible: Callable[[str], bool], count: int) -> list[Neighbour]:
    """Return the targets whose attribution is most like that of one, in the frame of its cause; the nearest first.

    Args:
        findings: Of all targets that are explained.
        target_id: Of whom.
        visible: Whether the session may see a target.
        count: How many at most.
    """
    everything = findings.all()
    own = everything.pop(target_id, None)
    others = [(name, one) for name, one in everything.items() if visible(name)]
    if own is None or not own.marks or not others:
        return []
    table = np.array([one.profiles[own.frame] for _, one in others])
    distance = profile_distances(own.profiles[own.frame][None], table)[0]
    order = np.argsort(distance, kind="stable")[:count]
    return [Neighbour(others[k][0], float(distance[k])) for k in order if distance[k] < _UNLIKE]
