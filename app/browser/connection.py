"""A page notices that its server cannot be reached, says so, and finds its way back. In the browser."""

import json

from bokeh.document import Document
from bokeh.models import CustomJS

from app.browser.scripts import script
from app.plots.stack import PlotStack

__all__ = ["ALIVE", "follow_connection"]

ALIVE = "alive"
"""Where the server says whether it still knows a page."""


def follow_connection(document: Document, stack: PlotStack, page: str, height: int) -> None:
    """Watch the connection.

    Args:
        document: Of the page.
        stack: Whose target is in sight.
        page: Key of this page, known to the server until the session ends.
        height: Of the page's header, in pixels.
    """
    code = script("connection")
    args = {"target": stack.sources.target, "page": page, "height": height}
    document.js_on_event("document_ready", CustomJS(args=args, code=code.replace("ALIVE", json.dumps(ALIVE))))
