"""The page of method scores; like the dashboard's, one call makes it for one browser session."""

import panel as pn

from app.browser.look import look_in
from app.findings.method_scores import SCORES_FILE, read_scores
from app.plots.colours import DARK, LIGHT
from app.server.ready_frames import set_frame
from app.views.look import HEADER_ROW, own_theme, set_theme
from app.views.scores import ScoresView
from imo_engine.system.embedded import embedded_file

__all__ = ["scores_page"]

_STYLE = """
h1 { font-size: 16px; margin: 0; font-weight: 600; }
a { color: #ffffff; font-size: 13px; margin-left: 16px; }
a:focus-visible { outline: 2px solid #ffffff; outline-offset: 2px; }
"""


def scores_page() -> pn.viewable.Viewable:
    """Return the page of a new session.

    Raises:
        ImoError: the installation lacks the scores, or they are damaged.
    """
    document = pn.state.curdoc
    assert document is not None  # a page is made for one
    document.theme = own_theme()
    dark = look_in(pn.state.cookies, pn.state.session_args).dark
    set_frame({}, dark=dark)
    set_theme(dark=dark)
    view = ScoresView(read_scores(embedded_file(SCORES_FILE)), DARK if dark else LIGHT)
    other = '<a href="?theme=light">Light</a>' if dark else '<a href="?theme=dark">Dark</a>'
    links = pn.pane.HTML(f'{other}<a href="./">Back to the spectra</a>', stylesheets=[_STYLE], margin=0)
    title = pn.pane.HTML("<h1>IMO Explorer: methods compared</h1>", stylesheets=[_STYLE], margin=0)
    head = pn.Row(title, pn.layout.HSpacer(), links, **HEADER_ROW)
    return pn.Column(head, view, sizing_mode="stretch_width", margin=0)
