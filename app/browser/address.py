"""The page's address follows target and view, in the browser."""

from bokeh.document import Document
from bokeh.models import CustomJS

from app.browser.modules import start
from app.plots.stack import PlotStack
from app.state.links import Place

__all__ = ["follow_address"]


def follow_address(document: Document, stack: PlotStack, place: Place) -> None:
    """Keep the address in step, without asking the server.

    Args:
        document: Of the page.
        stack: Whose target and view are followed.
        place: What the address asked for at first; its view is taken when its target is drawn.
    """
    wanted = {"view": place.view, "range": list(place.observed or ())} if place.target_id else {}
    target, wavelength = stack.sources.target, stack.axes.wavelength
    listed = stack.methods.listed
    models = {"target": target, "wavelength": wavelength, "methods": listed, "wanted": wanted}
    document.js_on_event("document_ready", start("address", models))
    later = CustomJS(code="window.imo?.address?.later()")
    for edge in ("start", "end"):
        wavelength.js_on_change(edge, later)
    target.js_on_change("data", CustomJS(code="window.imo?.address?.target()"))
    listed.js_on_change("data", later)
