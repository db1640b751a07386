"""Numbers as they are printed: a minus is a minus and no hyphen."""

__all__ = ["printed"]


def printed(value: float, form: str) -> str:
    """Return a number in a format of Python's, with U+2212 for its minus.

    >>> printed(-3.25, "+.1f"), printed(2.0, "+.1f")
    ('−3.2', '+2.0')
    """
    return f"{value:{form}}".replace("-", "−")
