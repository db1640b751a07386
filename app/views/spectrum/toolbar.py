"""Line buttons, switches and read-out: plain HTML that talks to the plots in the browser only."""

from collections.abc import Iterable

import panel as pn

from app.html.toolbar import TOOLBAR_STYLE, toolbar_html

__all__ = ["toolbar"]


def toolbar(window_sizes: Iterable[int], weighting: str) -> pn.viewable.Viewable:
    """Return the bar; ``window_sizes`` in pixels, one panel each, and how they are combined."""
    html = toolbar_html(window_sizes, weighting)
    return pn.pane.HTML(html, sizing_mode="stretch_width", stylesheets=[TOOLBAR_STYLE], margin=0)
