"""The one way from the browser's code to Python: an action, what goes with it, and a number."""

import json
import logging
from collections.abc import Callable
from typing import Any

from bokeh.models import ColumnDataSource, CustomJS, Model

from app.browser.modules import start

__all__ = ["Channel", "tells"]

log = logging.getLogger(__name__)


class Channel:
    """One for each page. Messages are heard in the order in which they were told, whatever they are about.

    Drawn sources that both sides write, such as the range that is asked about, are Bokeh's own to keep in step.

    Attributes:
        source: Changes with every message; its ``payload`` is JSON.
        heard: Number of the last message that came.
    """

    def __init__(self) -> None:
        """Listen to nothing yet."""
        self.source = ColumnDataSource({"action": [], "payload": [], "count": []})
        self.heard = 0
        self._listeners: dict[str, list[Callable[[Any], object]]] = {}
        self.source.on_change("data", self._on_message)

    def on(self, action: str, listener: Callable[[Any], object]) -> None:
        """Call ``listener`` with what is told with an action; several are called in the order in which they came."""
        self._listeners.setdefault(action, []).append(listener)

    def on_word(self, action: str, listener: Callable[[str], object]) -> None:
        """The same for a button that :func:`tells` the action: ``listener`` gets its word."""
        self.on(action, lambda word: listener(str(word)))

    def attach(self, document: Any, anchor: Model) -> None:  # noqa: ANN401 - bokeh.document.Document, a proxy
        """Start it when the document is ready; ``anchor`` is any model of the page."""
        models = {"told": self.source}
        anchor.js_on_change("name", CustomJS(args=models, code=""))  # named by a model, it belongs to the document
        document.js_on_event("document_ready", start("channel", models))

    def _on_message(self, attr: str, old: Any, new: dict[str, list[Any]]) -> None:  # noqa: ANN401
        action, self.heard = str(new["action"][0]), int(new["count"][0])
        try:
            payload = json.loads(new["payload"][0])
        except (TypeError, ValueError):
            log.warning("what was told with %r cannot be read", action[:40])
            return
        listeners = self._listeners.get(action)
        if listeners is None:
            log.info("nobody listens to %r here", action[:40])
        for listener in listeners or ():
            listener(payload)


def tells(action: str) -> str:
    """Return the ``onclick`` of a button whose word is in its ``data-word``; words from files are never code."""
    return f"window.imo.tell('{action}', this.dataset.word)"
