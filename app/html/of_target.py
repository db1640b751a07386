"""What is said of one target names it, so that the browser never shows it beside the spectrum of another one."""

from html import escape

__all__ = ["OF_TARGET", "of_target"]

OF_TARGET = "imo-of-target"
"""Class of the panes that hold such words; ``app/browser/js/old_words.js`` looks for them."""


def of_target(target_id: str, html: str) -> str:
    """Return words about a target, with its identifier for the browser.

    >>> of_target("7", "<p>odd</p>")
    '<div data-of="7"><p>odd</p></div>'
    """
    return f'<div data-of="{escape(target_id)}">{html}</div>'
