"""Evidence for source or instrument, and the verdict that it amounts to."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["HINT", "STRONG", "Evidence", "verdict"]

HINT, STRONG = 1, 2
"""Weights of evidence: what would not convince on its own, and what would."""


@dataclass(frozen=True)
class Evidence:
    """One observation.

    Attributes:
        speaks_for: "instrument" or "source".
        weight: 1 for a hint, 2 for what would convince on its own.
        about: What it is about, in a word or two, the same wherever the same thing is meant.
        text: The observation in words.
    """

    speaks_for: str
    weight: int
    about: str
    text: str


def verdict(evidence: Sequence[Evidence]) -> str:
    """Weigh evidence: "instrument" or "source" if that side has more, and more than hints; else "unclear"."""
    lead = sum(one.weight if one.speaks_for == "source" else -one.weight for one in evidence)
    side = "source" if lead > 0 else "instrument"
    convincing = lead != 0 and any(one.speaks_for == side and one.weight == STRONG for one in evidence)
    return side if convincing else "unclear"
