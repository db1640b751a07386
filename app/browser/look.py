"""The browser remembers how the page looked, and which spectra are its own: in two cookies, of this page alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bokeh.models import ColumnDataSource, CustomJS, Model

from app.browser.modules import start

__all__ = ["Look", "look_in", "owner_in", "remember"]

LOOK, OWNER = "imo-look", "imo-browser"


@dataclass(frozen=True)
class Look:
    """How the page looks.

    Attributes:
        dark: Whether in dark colours.
        large: Whether in large type.
        details: Whether with the column of reasons.
        chosen: Whether somebody chose the colours; else they are as the system wishes.
    """

    dark: bool = False
    large: bool = False
    details: bool = True
    chosen: bool = False

    def word(self) -> str:
        """Return it for a cookie.

        >>> Look(dark=True, details=False).word(), look_in({LOOK: "dark.plain"}, {})
        ('dark.plain', Look(dark=True, large=False, details=False, chosen=False))
        """
        words = {"dark": self.dark, "large": self.large, "plain": not self.details, "chosen": self.chosen}
        return ".".join(name for name, on in words.items() if on) or "light"


def look_in(cookies: Mapping[str, str], arguments: Mapping[str, Sequence[bytes]]) -> Look:
    """Return the look that the browser remembers, in the colours that the address asks for if it does.

    >>> look_in({LOOK: "large"}, {"theme": [b"dark"]})
    Look(dark=True, large=True, details=True, chosen=True)
    """
    words = cookies.get(LOOK, "").split(".")
    asked = [value for value in arguments.get("theme", ())[:1] if value in (b"dark", b"light")]
    dark = asked == [b"dark"] if asked else "dark" in words
    return Look(dark, "large" in words, "plain" not in words, bool(asked) or "chosen" in words)


def owner_in(cookies: Mapping[str, str]) -> str:
    """Return the name that this browser was given, which nobody can guess, or a new one."""
    known = cookies.get(OWNER, "")
    return known if re.fullmatch("[0-9a-f]{32}", known) else uuid4().hex


def remember(
    document: Any,  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
    anchor: Model,
    look: Look,
    owner: str,
) -> ColumnDataSource:
    """Let the browser remember; return what is to hold the ``word`` of each later look.

    Args:
        document: The page's.
        anchor: Any model of the page.
        look: As it begins.
        owner: Name that the browser is to keep.
    """
    source = ColumnDataSource({"word": [look.word()]})
    models = {"look": source, "owner": owner, "names": {"look": LOOK, "owner": OWNER}}
    anchor.js_on_change("name", CustomJS(args=models, code=""))  # named by a model, it belongs to the document
    source.js_on_change("data", CustomJS(code="window.imo?.look?.changed()"))
    document.js_on_event("document_ready", start("look", models))
    return source
