"""A page notices that its server cannot be reached, says so, and finds its way back. In the browser."""

from bokeh.document import Document

from app.browser.constants import ALIVE
from app.browser.modules import start
from app.plots.stack import PlotStack

__all__ = ["follow_connection"]


def follow_connection(document: Document, stack: PlotStack, page: str, height: int) -> None:
    """Watch the connection.

    Args:
        document: Of the page.
        stack: Whose target is in sight.
        page: Key of this page, known to the server until the session ends.
        height: Of the page's header, in pixels.
    """
    models = {"target": stack.sources.target, "page": page, "height": height, "alive": ALIVE}
    document.js_on_event("document_ready", start("connection", models))
