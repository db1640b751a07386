"""What buttons in plain HTML tell Python: an action and a word."""

import logging
from collections.abc import Callable
from typing import Any

from bokeh.models import ColumnDataSource, CustomJS, Model

from app.browser.modules import start

__all__ = ["Bridge", "tells"]

log = logging.getLogger(__name__)


class Bridge:
    """One for each page; who listens is called with the word."""

    def __init__(self) -> None:
        """Listen to nothing yet."""
        self.said = ColumnDataSource({"action": [], "word": [], "count": []})
        self._listeners: dict[str, Callable[[str], object]] = {}

        def heard(attr: str, old: Any, new: dict[str, list[Any]]) -> None:  # noqa: ANN401
            action, word = str(new["action"][0]), str(new["word"][0])
            listener = self._listeners.get(action)
            if listener is None:
                log.info("no button does %r here", action[:40])
            else:
                listener(word)

        self.said.on_change("data", heard)

    def on(self, action: str, listener: Callable[[str], object]) -> None:
        """Call ``listener`` when a button that :func:`tells` the action is pressed."""
        self._listeners[action] = listener

    def attach(self, document: Any, anchor: Model) -> None:  # noqa: ANN401 - bokeh.document.Document, a proxy
        """Start it when the document is ready; ``anchor`` is any model of the page."""
        args = {"said": self.said}
        anchor.js_on_change("name", CustomJS(args=args, code=""))  # named by a model, it belongs to the document
        document.js_on_event("document_ready", start("channel", args))


def tells(action: str) -> str:
    """Return the ``onclick`` of a button whose word is in its ``data-word``; words from files are never code."""
    return f"window.imo.tell('{action}', this.dataset.word)"
