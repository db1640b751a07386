"""The page of method scores; like the dashboard's, one call makes it for one browser session."""

import panel as pn
import panel_material_ui as pmui

from app.findings.method_scores import SCORES_FILE, read_scores
from app.html.theme import variables
from app.plots.colours import DARK, LIGHT
from app.views.look import own_theme, page_look
from app.views.scores import ScoresView
from imo_engine.system.embedded import embedded_file

__all__ = ["scores_page"]

_STYLE = """
a { color: #ffffff; font-size: 13px; } a:focus-visible { outline: 2px solid #ffffff; outline-offset: 2px; }
"""


def scores_page() -> pn.viewable.Viewable:
    """Return the page of a new session.

    Raises:
        ImoError: the installation lacks the scores, or they are damaged.
    """
    document = pn.state.curdoc
    assert document is not None  # a page is made for one
    document.theme = own_theme()
    dark = pn.state.session_args.get("theme", [b""])[0] == b"dark"
    view = ScoresView(read_scores(embedded_file(SCORES_FILE)), DARK if dark else LIGHT)
    back = pn.pane.HTML('<a href="./">Back to the spectra</a>', stylesheets=[_STYLE], align="center", margin=(0, 12))
    page = pmui.Page(
        title="IMO Explorer: methods compared",
        main=[view],
        header=[pn.layout.HSpacer(), back],
        stylesheets=[variables()],
        busy_indicator=None,
        dark_theme=dark,
        **page_look(),
    )
    page.param.watch(lambda event: view.paint(DARK if event.new else LIGHT), "dark_theme")
    return page
