"""How a range of wavelengths is written: the same everywhere, so that two places that mean one range show one text."""

__all__ = ["range_words"]

_NARROW = 10.0  # Angstrom, below which decimals matter: a pixel has 0.8


def range_words(low: float, high: float) -> str:
    """Return a range, vacuum Angstrom in either frame, with decimals only where they matter.

    >>> range_words(6555.2, 6570.4), range_words(6562.4, 6564.8), range_words(6562.4, 6562.4)
    ('6555–6570 Å', '6562.4–6564.8 Å', '6562.4 Å')
    """
    digits = 1 if high - low < _NARROW else 0
    first, last = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return f"{first} Å" if first == last else f"{first}–{last} Å"
