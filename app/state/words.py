"""What a computation is doing, in words."""

from app.computing.events import Progress
from imo_engine.attribution.record import Attribution, local_share_words

__all__ = ["duration_words", "finished_words", "in_detail", "loading_words", "progress_words", "within"]

_CANCELLED = 2.0  # local share from which on its number says less than words


def progress_words(progress: Progress) -> str:
    """Say how far a window size is, for the progress bar."""
    left = progress.seconds_left
    rest = "" if left is None else f" · {duration_words(left)} left"
    return f"W = {progress.window_size} on {progress.device} · {progress.done:,} of {progress.total:,}{rest}"


def loading_words(count: int) -> str:
    """Say why no target is shown yet, in a survey of so many.

    >>> loading_words(3), loading_words(0)
    ('Loading …', 'There are no spectra to show')
    """
    return "Loading …" if count else "There are no spectra to show"


def finished_words(attribution: Attribution) -> str:
    """Say what an attribution took, and how exact it is."""
    note = attribution.provenance
    about = f"{len(attribution.baselines)} baselines · {note['evaluations']:,} evaluations"
    if "rounding" in note:
        return f"Precomputed, ±{note['rounding']} · {about}"
    follow = "" if attribution.exact else " · exact values follow"
    first = f"{within(attribution)}{follow}{_local(attribution)}"
    return f"{first} · {about} in {note['seconds']:.1f} s on {note['device']}"


def _local(attribution: Attribution) -> str:
    """Say in a few words how much of the signal is local, where the network lets it be anything else."""
    shares = [one.local_share for one in attribution.facts if one.local_share is not None]
    if not shares or all(share == 1 for share in shares):
        return ""
    if max(shares) > _CANCELLED:
        return " · pattern and statistics cancel"
    low, high = (f"{100 * one:.0f}" for one in (min(shares), max(shares)))
    return f" · {low} % local" if low == high else f" · {low} to {high} % local"


def duration_words(seconds: float) -> str:
    """Round a time to what people want to know of it.

    >>> duration_words(0.2), duration_words(89), duration_words(400)
    ('1 s', '89 s', '7 min')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def within(attribution: Attribution) -> str:
    """Say how right an attribution is: within which share of each window's largest value, if not exactly."""
    if attribution.provenance.get("evaluator") == "frozen statistics":
        return "Frozen statistics"
    if attribution.exact:
        return "Exact"
    return f"Within {100 * attribution.measured_error:.2g} %"


def in_detail(attribution: Attribution) -> str:
    """Say the same at length, and how much of the signal is local."""
    words = [local_share_words(attribution)]
    if not attribution.exact:
        error = f"{100 * attribution.measured_error:.2g} % of each window's largest value"
        words.insert(0, f"quick values: spot checks in the same run found errors up to {error}")
    return "; ".join(word for word in words if word)
