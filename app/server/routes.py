"""Which addresses the server answers: those that the page asks for, out of all that Panel and Bokeh would answer.

Panel's /components/MODULE/... imports whatever module an address names, and any page in the same browser can ask for it
with an image; Bokeh's /autoload.js makes a session for whoever includes it as a script.
"""

from bokeh.server.server import Server
from tornado.routing import PathMatches

from app.browser.constants import ALIVE
from imo_engine.errors import ImoError

__all__ = ["answer_only_routes"]

_ROUTES = (
    "/?",
    "/ws",
    "/evaluation/?",
    "/evaluation/ws",
    f"/{ALIVE}",
    "/static/(?!extensions/)(.*)",  # Bokeh's scripts
    "/static/extensions/(.*)",  # scripts, styles and fonts of Panel and its widgets
    "/favicon.ico",
)
"""As Panel (1.9) and Bokeh (3.9) write them."""


def answer_only_routes(server: Server) -> None:
    """Let ``server`` answer everything else with 404; before it starts.

    Raises:
        ImoError: it has no such route, in a version of Panel or Bokeh that the page does not know.
    """
    rules = server._tornado.wildcard_router.rules
    offered = {  # the first counts
        rule.matcher.regex.pattern.removesuffix("$"): rule
        for rule in reversed(rules)
        if isinstance(rule.matcher, PathMatches)
    }
    for route in _ROUTES:
        if route not in offered:
            raise ImoError(f"the page cannot be served with these versions of Panel and Bokeh: they have no {route}")
    rules[:] = [offered[route] for route in _ROUTES]
