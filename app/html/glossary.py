"""What the words mean that are this method's and not an astronomer's: one sentence each, shown where the word is."""

import re
from html import escape

__all__ = ["GLOSSARY", "TERM_STYLE", "explained", "glossary_html", "meaning"]

GLOSSARY = {
    "log p": "Natural logarithm of the probability density that the model gives the spectrum: the lower, the rarer.",
    "nat": "Unit of log p and of its changes: 1 nat is a factor of e in probability.",
    "combined map": "Mean over the window sizes of what each pixel takes from log p, per pixel.",
    "scale map": "Attribution by wavelength and window size, in units of its scatter.",
    "attribution": "How much of the fall of log p each pixel accounts for.",
    "window size": "How many neighbouring pixels are swapped at once between this spectrum and an ordinary one.",
    "W": "Window size: how many neighbouring pixels are swapped at once between this spectrum and an ordinary one.",
    "baselines": "Ordinary spectra at the same redshift, into which parts of this spectrum are put.",
    "scatter": "Standard deviation of the values over the baselines.",
    "twin": "The ordinary spectrum most like this one, as the model makes it.",
    "share": "Part of all that lowers log p in this spectrum.",
    "p": "How often an ordinary spectrum shows as much somewhere; up to 0.05 is called significant.",
    "source": "What was observed is odd itself, not how it was observed.",
    "instrument": "The spectrograph, the sky or the reduction made it, not the source.",
    "unclear": "Nothing convinces that it is the source, nor that it is the instrument.",
    "latent space": "The few numbers to which the model reduces a spectrum; near in them means alike to the model.",
    "S/N": "Median over the pixels of flux over its noise, per pixel.",
    "label": "What a person says of a target: star, quality, class and more; with a class or a quality it is labelled.",
    "rank": "Place in the survey by log p: rank 1 is the rarest.",
}
"""By word, in the form in which it is explained."""

_FORMS = {
    "log p": r"[−-]?log p\b",
    "nat": r"\bnats?\b",
    "combined map": r"\bcombined map\b|\bCombined\b",
    "scale map": r"\b[Ss]cale map\b",
    "attribution": r"\b[Aa]ttributions?\b",
    "window size": r"\b[Ww]indow sizes?\b",
    "W": r"\bW(?= = )",
    "baselines": r"\b[Bb]aselines?\b",
    "scatter": r"\bscatter\b",
    "twin": r"\btwin\b",
    "p": r"\bp(?= [=&<])",
    "latent space": r"\b[Ll]atent space\b|\blatents\b",
}
_ANY = re.compile("|".join(f"(?P<w{k}>{form})" for k, form in enumerate(_FORMS.values())))


def meaning(word: str) -> str:
    """Return what a word of the glossary means, for a ``title``.

    >>> meaning("nat")
    'Unit of log p and of its changes: 1 nat is a factor of e in probability.'
    """
    return GLOSSARY[word]


def explained(text: str) -> str:
    """Return text as HTML in which each word of the glossary has its meaning as a tooltip where it first stands.

    >>> explained("<5 nats")
    '&lt;5 <abbr title="Unit of log p and of its changes: 1 nat is a factor of e in probability.">nats</abbr>'
    """
    words, seen = tuple(_FORMS), set[str]()

    def mark(match: re.Match[str]) -> str:
        word = words[int(str(match.lastgroup)[1:])]
        if word in seen:
            return match[0]
        seen.add(word)
        return f'<abbr title="{escape(GLOSSARY[word])}">{match[0]}</abbr>'

    return _ANY.sub(mark, escape(text))


def glossary_html() -> str:
    """Return all words with their meanings, for who has no mouse to rest on them."""
    rows = "".join(f"<dt>{escape(word)}</dt><dd>{escape(words)}</dd>" for word, words in GLOSSARY.items())
    return f'<details class="glossary"><summary>What the words mean</summary><dl>{rows}</dl></details>'


TERM_STYLE = "abbr { text-decoration: underline dotted; text-underline-offset: 2px; cursor: help; }\n"
