"""The page: one call makes it for one browser session."""

from functools import partial
from uuid import uuid4

import panel as pn
from bokeh.document import Document

from app.browser.address import follow_address
from app.browser.client import BrowserCode
from app.browser.connection import follow_connection
from app.browser.look import look_in, owner_in
from app.browser.page_turns import PageTurns, in_turn
from app.plots.canvas import PlotCanvas
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.server.ready_frames import set_frame
from app.state.links import place_in
from app.state.session import Session
from app.state.workspace import Workspace
from app.views.look import HEADER, own_theme
from app.views.page import ExplorerView
from app.views.remembered import remember_look

__all__ = ["explorer_page"]


def explorer_page(workspace: Workspace) -> pn.viewable.Viewable:
    """Put the page of a new session into its document, and return what lies over it, which Panel adds.

    Raises:
        ImoError: the user's labels cannot be read.
    """
    document, arguments, cookies = pn.state.curdoc, pn.state.session_args, pn.state.cookies
    assert document is not None  # a page is made for one
    document.theme = own_theme()
    survey, settings = workspace.survey, workspace.settings
    sources = PlotSources(survey.spectra.wavelength, settings.window_sizes, settings.n_baselines)
    stack = PlotStack(sources)
    browser = BrowserCode(stack)
    browser.attach(document)
    turns, place = PageTurns.of(document), place_in(arguments)
    look, owner, user = look_in(cookies, arguments), owner_in(cookies), _login()
    session = Session(
        workspace,
        PlotCanvas(sources, stack.methods),
        turns,
        user=user,
        owner=f"user {user}" if user else f"browser {owner}",
        alive=partial(_has_browser, document),
        send=turns.send,
    )
    remember_look(session.choices, browser.channel, document, look, owner)
    view = ExplorerView(
        session,
        stack,
        browser.channel,
        lambda milliseconds, callback: document.add_timeout_callback(callback, milliseconds),
    )
    browser.channel.on_word("forget-candidate", session.candidates.forget)

    def act(action: str) -> None:
        with in_turn(document):
            session.act(action)

    view.label.attach(document, stack.axes.wavelength, turns, browser.channel)
    browser.on_key(act)
    browser.on_brush(session.ask, session.asking.clear)
    view.comparisons.attach(document, browser.channel)
    view.header.attach(document, stack.axes.wavelength, browser.channel)
    key = uuid4().hex
    workspace.pages.add(key)
    follow_address(document, stack, place)
    follow_connection(document, stack, key, HEADER)

    def close(context: object) -> None:
        workspace.pages.discard(key)
        view.close()
        session.close()

    pn.state.on_session_destroyed(close)
    pn.state.onload(partial(session.begin, place))
    set_frame(view.parts, dark=look.dark)
    return view.over


def _login() -> str:
    # without a secret nobody can have logged in, whatever cookies another program on this host has left
    return (pn.state.user or "") if pn.config.cookie_secret else ""


def _has_browser(document: Document) -> bool:
    session = getattr(document.session_context, "session", None)  # there is none before and after
    return session is not None and session.connection_count > 0
