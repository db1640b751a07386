"""A server whose page changes at each press of a key; run with the name of how it changes.

A process of its own: Bokeh keeps the last document it served in this thread, which other tests want freed.
"""

import asyncio
import sys

import panel as pn
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Div
from bokeh.server.server import Server

from app.browser.page_turns import PageTurns
from app.server.bokeh_patches import send_together


def change_words(turn: int, words: list[Div], document: Document) -> None:
    """Change both words, twice."""
    for word in words:
        word.text = f"turn {turn}"
        word.visible = not word.visible


def add_a_word(turn: int, words: list[Div], document: Document) -> None:
    """Add a word and change it in the same turn; change it again in the next."""
    if turn == 1:
        words.append(Div(text="new"))
        document.add_root(words[-1])
        words[-1].text = "newer"
    else:
        words[-1].text = "newest"


def break_once(turn: int, words: list[Div], document: Document) -> None:
    """Change a word and fail in the first turn."""
    words[0].text = f"turn {turn}"
    if turn == 1:
        raise ValueError("broken")


def use_the_socket_meanwhile(turn: int, pane: pn.pane.HTML, document: Document) -> None:
    """Change a pane of Panel while something else is being written to the socket, and again in a turn soon after."""
    schedule, loop = PageTurns.of(document), asyncio.get_running_loop()
    (connection,) = document.session_context.session._subscribed_connections
    in_use = connection._socket.write_lock
    assert in_use.acquire().done()
    pane.object = f"first of turn {turn}"
    loop.call_later(0.03, schedule, lambda: pane.param.update(object=f"last of turn {turn}"))
    loop.call_later(0.06, in_use.release)


WAYS = {way.__name__: way for way in (change_words, add_a_word, break_once, use_the_socket_meanwhile)}


def main() -> None:
    """Serve until killed; print where, and for each session the identifier of the source through which keys go."""
    change = WAYS[sys.argv[1]]

    send_together()

    def listen(document: Document, shown: list[Div] | pn.pane.HTML) -> None:
        keys = ColumnDataSource({"action": [], "payload": [], "count": []})
        document.add_root(keys)
        keys.on_change("data", lambda attr, old, new: change(new["count"][0], shown, document))
        print(keys.id, flush=True)

    def page(document: Document) -> None:
        words = [Div(), Div()]
        listen(document, words)
        for word in words:
            document.add_root(word)

    def panel_page() -> pn.pane.HTML:
        pane = pn.pane.HTML("")
        listen(pn.state.curdoc, pane)
        return pane

    if change is use_the_socket_meanwhile:
        server = pn.serve(panel_page, port=0, address="127.0.0.1", show=False, start=False, verbose=False)
    else:
        server = Server(Application(FunctionHandler(page)), port=0, address="127.0.0.1")
    server.start()
    print(f"http://127.0.0.1:{server.port}/", flush=True)
    server.io_loop.start()


if __name__ == "__main__":
    main()
