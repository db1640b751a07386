"""Frames of pages that are ready before anybody asks: a browser reads its scripts while its session is being made.

Panel can answer a first request with the document of a session that it keeps, and begin the asking browser's own
session at the same time (``reuse_sessions``). What is kept here are sessions with nothing in them but the parts of a
page, one for each page and theme, so that nobody's data is in them and nothing goes on in them.
"""

import logging
from collections.abc import Callable, Mapping
from secrets import token_hex

import panel as pn
from bokeh.models import LayoutDOM
from panel.io.resources import LOCAL_DIST
from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.httputil import HTTPServerRequest

from app.browser.look import look_in
from app.server.frame import FRAME, PARTS, frame_variables

__all__ = ["ReadyFrames", "set_frame"]

log = logging.getLogger(__name__)

_HEADER = "X-Imo-Frame"
_THEMES = ("", "?theme=dark")
_PATIENCE = 300.0  # seconds; the server itself is what is waited for

Page = Callable[[], pn.viewable.Viewable]


class ReadyFrames:
    """Makes them when the server has begun to listen.

    Attributes:
        pages: To be served in place of those given.
    """

    def __init__(self, url: str, pages: Mapping[str, Page]) -> None:
        """Prepare nothing yet.

        Args:
            url: Of the server, as seen from itself.
            pages: What makes each page, by path.
        """
        self._url, self._secret = url, token_hex()
        self.pages: dict[str, Page] = {path: self._or_frame(page, explorer=path == "/") for path, page in pages.items()}

    async def prepare(self, then: Callable[[], object] | None = None) -> None:
        """Make them; without them all pages come too, later. Calls ``then`` at the end."""
        pn.config.reuse_sessions = "warm"
        pn.config.session_key_func = _key
        client = AsyncHTTPClient(force_instance=True)
        try:
            for path in self.pages:
                for theme in _THEMES:
                    await client.fetch(
                        f"{self._url}{path}{theme}",
                        headers={_HEADER: self._secret},
                        connect_timeout=_PATIENCE,
                        request_timeout=_PATIENCE,
                    )
        except (OSError, HTTPError) as error:
            pn.config.reuse_sessions = False
            log.warning("pages open later than they could: %s", error)
        finally:
            client.close()
        if then is not None:
            then()

    def _or_frame(self, page: Page, *, explorer: bool) -> Page:
        def made() -> pn.viewable.Viewable:
            document = pn.state.curdoc
            assert document is not None  # a page is made for one
            # Panel writes where its style sheets are when it answers a request; the session itself was not asked for
            document.template_variables["dist_url"] = LOCAL_DIST
            return _frame(explorer=explorer) if pn.state.headers.get(_HEADER) == self._secret else page()

        return made


def _key(request: HTTPServerRequest) -> tuple[str, bool]:
    cookies = {name: one.value for name, one in request.cookies.items()}
    return request.path.rstrip("/"), look_in(cookies, request.arguments).dark


def set_frame(parts: Mapping[str, pn.viewable.Viewable], *, dark: bool) -> None:
    """Put the parts of a page, by the names of :data:`app.server.frame.PARTS`, into the document of this session."""
    document = pn.state.curdoc
    assert document is not None  # a page is made for one
    document.template = FRAME
    document.template_variables.update(frame_variables(dark=dark, explorer=bool(parts)))
    with document.models.freeze():
        for name, part in parts.items():
            before = set(document.roots)
            part.server_doc(document, location=False)
            for root in set(document.roots) - before:
                if isinstance(root, LayoutDOM):  # others have nothing to draw
                    root.name = name


def _frame(*, explorer: bool) -> pn.viewable.Viewable:
    dark = look_in({}, pn.state.session_args).dark
    set_frame({name: pn.Column() for _, names in PARTS for name in names} if explorer else {}, dark=dark)
    return pn.Column()
