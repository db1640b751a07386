"""What is known of the values of one window size beside the values: how right they are, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["WindowFacts", "shares_in_words"]


@dataclass(frozen=True)
class WindowFacts:
    """What else is known of the values of one window size.

    Attributes:
        measured_error: Largest error that checks in the same run found in what was not computed exactly, relative to
            the window's largest change of log p in the same baseline; 0 if everything is exact.
        exact_share: Share of the chunks that were computed exactly.
        local_share: Share of the signal that comes from the pattern at each place; the rest, which may work against it,
            comes from what windows do to the spectrum's mean and variance in the network's normalisations, see
            :mod:`imo_engine.attribution.evaluators.local_share`. None where it is not known or means nothing.
        local_share_error: Its standard error; 0 if all chunks were compared.
    """

    measured_error: float = 0.0
    exact_share: float = 1.0
    local_share: float | None = None
    local_share_error: float | None = None


def shares_in_words(window_sizes: Sequence[int], facts: Sequence[WindowFacts]) -> str:
    """Say how much of each window size's signal the local pattern makes; empty if that is not known.

    >>> shares_in_words((1, 16), (WindowFacts(local_share=0.06, local_share_error=0.012), WindowFacts()))
    "signal from the local pattern, not the spectrum's statistics: W = 1: 6 ± 1 %"
    """
    known = [
        (size, one.local_share, one.local_share_error or 0.0)
        for size, one in zip(window_sizes, facts, strict=True)
        if one.local_share is not None
    ]
    if not known:
        return ""
    if all(share == 1 and error == 0 for _, share, error in known):
        return "signal from the local pattern: 100 % (the network normalises nothing over the spectrum)"
    parts = (
        f"W = {size}: {100 * share:.0f}{f' ± {100 * error:.0f}' if error >= 0.005 else ''} %"
        for size, share, error in known
    )
    note = " (above 100 %: the statistics work against it)" if any(share > 1 for _, share, _ in known) else ""
    return f"signal from the local pattern, not the spectrum's statistics: {', '.join(parts)}{note}"
