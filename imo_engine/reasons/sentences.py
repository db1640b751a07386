"""In words: why a spectrum is odd."""

from collections.abc import Sequence

from imo_engine.reasons.features import Feature, Findings
from imo_engine.reasons.significance import p_in_words
from imo_engine.spectra.ranges import range_words

__all__ = ["in_brief", "is_on_sky", "sentence", "title"]

_MOSTLY = 0.5  # of the whole attribution
_HARDLY = 0.02
_NAMED = 2  # features in a sentence besides the first
_SEEN = 2.0  # ordinary spreads, from which on a sign is said


def sentence(found: Findings, redshift: float) -> str:
    """Say in a sentence or two why a spectrum at ``redshift`` is odd.

    >>> sentence(Findings(()), 0.1)
    'Nothing stands out.'
    """
    words = [] if found.other is None else [f"{found.other.words(redshift)}."]
    if found.features:
        words.append(_about(found.features))
    elif found.least_p is not None:
        what = "is significant" if found.likely else "stands out"
        also = "else " if words else ""
        words.append(
            f"Nothing {also}{what}: ordinary spectra show as much somewhere "
            f"({p_in_words(found.least_p, found.smallest_p)})."
        )
        if found.likely:
            words.append(f"Most likely: {_about(found.likely, begin=False)}")
    elif not words:
        words.append("Nothing stands out.")
    return " ".join(words)


def in_brief(found: Findings) -> str:
    """Say in a few words what stands out most.

    >>> in_brief(Findings(()))
    'nothing stands out'
    """
    if found.other is not None and found.other.instead:
        return f"z = {found.other.redshift:.4f}?"
    if found.features:
        return title(found.features[0])
    return f"({title(found.likely[0])})" if found.likely else "nothing stands out"


def title(one: Feature) -> str:
    """Name a feature in a few words."""
    if one.kind == "global":
        return "the spectrum as a whole"
    if is_on_sky(one):
        return "night-sky lines, instrument"
    if one.line_names and one.verdict != "instrument":
        return one.line_names
    where = one.place or range_words(*one.observed)
    return f"{where}, instrument" if one.verdict == "instrument" else where


def is_on_sky(one: Feature) -> bool:
    """Tell whether a feature is what is left of the night sky."""
    return one.verdict == "instrument" and any(evidence.about == "sky lines" for evidence in one.evidence)


def _about(features: Sequence[Feature], *, begin: bool = True) -> str:
    first, *others = features
    text = _subject(first) + (", which looks instrumental" if _is_to_be_said(first) else "")
    if others and first.kind != "global" and first.share >= _MOSTLY:
        text = f"mostly {text}"
    parts = []
    if min(abs(first.deviation), abs(first.noise_sigma)) >= _SEEN and first.deviation * first.noise_sigma > 0:
        parts.append(f"{'excess' if first.excess else 'missing'} flux")
    if first.share >= _HARDLY:
        parts.append(f"seen best at {first.window_size} pixel{'s' if first.window_size > 1 else ''}")
    else:
        parts.append("odd in itself, but it hardly lowers log p")
    text += f": {', '.join(parts)}"
    if others:
        named = others[:_NAMED]
        text += f"; also {' and '.join(_subject(one) for one in named)}"
        if all(_is_to_be_said(one) for one in named):
            text += f", which {'look' if len(named) > 1 else 'looks'} instrumental"
    return f"{text[0].upper() if begin else text[0]}{text[1:]}."


def _is_to_be_said(one: Feature) -> bool:
    return one.verdict == "instrument" and not is_on_sky(one)


def _subject(one: Feature) -> str:
    across = range_words(*one.observed)
    if one.kind == "global":
        return f"the spectrum as a whole ({across}), no part of which stands out"
    if is_on_sky(one):
        return f"night-sky lines at {across}"
    if one.line_names and one.verdict != "instrument":
        return f"{one.line_names} at {across}"
    if one.place:
        return f"the {one.place} ({across})"
    return f"a feature at {across}" if one.kind == "narrow" else f"a broad range ({across})"
