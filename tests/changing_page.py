"""A plain Bokeh server whose page changes at each press of a key; run with the name of how it changes.

A process of its own: Bokeh keeps the last document it served in this thread, which other tests want freed.
"""

import sys

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Div
from bokeh.server.server import Server

from app.messages import send_together


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


WAYS = {way.__name__: way for way in (change_words, add_a_word, break_once)}


def main() -> None:
    """Serve until killed; print where, and for each session the identifier of the source through which keys go."""
    change = WAYS[sys.argv[1]]

    def page(document: Document) -> None:
        keys, words = ColumnDataSource({"name": [], "count": []}), [Div(), Div()]
        for model in (keys, *words):
            document.add_root(model)
        keys.on_change("data", lambda attr, old, new: change(new["count"][0], words, document))
        print(keys.id, flush=True)

    send_together()
    server = Server(Application(FunctionHandler(page)), port=0, address="127.0.0.1")
    server.start()
    print(f"http://127.0.0.1:{server.port}/", flush=True)
    server.io_loop.start()


if __name__ == "__main__":
    main()
