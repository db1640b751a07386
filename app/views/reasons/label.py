"""What to say of the selected target; saved at every change."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, Model

from app.browser.channel import Channel
from app.browser.modules import start
from app.browser.page_turns import in_turn
from app.html.label_form import FORM_STYLE, form_html
from app.labels.said import SaveState, said_in
from app.state.labels import UserLabels
from imo_engine.errors import InputError

__all__ = ["LabelPanel"]

log = logging.getLogger(__name__)


class LabelPanel(pn.viewable.Viewer):
    """Class, quality, issues, star and comment of the open label.

    One form that stays; what is known comes down to it as text and never as markup. Everything that is said comes
    up with its target, so that a comment cannot end up at the target that was selected meanwhile. The browser keeps it
    until it hears that it is saved (``outbox.js``), and asks after a gap in the connection what it has missed.
    """

    def __init__(self, desk: UserLabels, edit: Callable[[], None], shown: Callable[[str], object]) -> None:
        """Follow ``desk`` and tell it what is said.

        Args:
            desk: The labels.
            edit: Opens the list of classes.
            shown: Told which target the browser still shows after a gap in the connection.
        """
        super().__init__()
        self._desk, self._edit, self._shown = desk, edit, shown
        self._answered = self._heard = 0  # numbers of messages: the last key, the last that was said
        self._known = ColumnDataSource(self._columns(0))
        self.pane = pn.pane.HTML(form_html(), sizing_mode="stretch_width", stylesheets=[FORM_STYLE], margin=0)

    def attach(
        self,
        document: Any,  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
        anchor: Model,
        schedule: Callable[[Callable[[], None]], object],
        channel: Channel,
    ) -> None:
        """Start the form when the document is ready, and keep it up to date.

        Args:
            document: The page's.
            anchor: Any model of the page.
            schedule: Runs a function soon where the document may be changed.
            channel: Brings what is said, and every forwarded key. The browser is told which of the keys were carried
                out: until then, nothing can be written to a target that is about to be left.
        """
        desk = self._desk
        # what was said as somebody else, or of another database, stays apart
        owner = hashlib.sha256(f"{desk.store.name}\n{desk.scanner}".encode()).hexdigest()[:16]
        models = {"known": self._known, "owner": owner, "user": desk.scanner}
        anchor.js_on_change("name", CustomJS(args=models, code=""))  # named by a model, they belong to the document
        document.js_on_event("document_ready", start("label_form", models))
        self._known.js_on_change("data", CustomJS(code="window.imo?.form?.update()"))

        def update() -> None:
            self._known.data = self._columns(self._known.data["count"][0] + 1)

        def answer(key: str) -> None:
            self._answered = channel.heard
            schedule(update)  # after what the key itself has scheduled

        def heard(said: dict[str, str]) -> None:
            self._heard = channel.heard
            with in_turn(document):
                self._hear(str(said["action"]), str(said["target"]), str(said["text"]))
            schedule(update)

        channel.on("key", answer)
        channel.on("label", heard)
        desk.param.watch(lambda *_: schedule(update), ["record", "state", "classes", "answers"])

    def _hear(self, action: str, target: str, text: str) -> None:
        match action:
            case "say":
                try:
                    changes = said_in(text)
                except InputError as error:
                    log.warning("%s", error)
                    return
                for one in changes:
                    self._desk.say(one)
            case "edit-classes":
                self._edit()
            case "retry":
                self._desk.retry()
            case "hello" if target:
                self._shown(target)

    def _columns(self, count: int) -> dict[str, Any]:
        desk, record, state = self._desk, self._desk.record, self._desk.state
        columns: dict[str, Any] = {
            "target": record.target_id,
            "label": json.dumps(asdict(record.label)),
            "base": desk.base,
            "classes": json.dumps(desk.classes),
            "kind": state.kind,
            "text": _words(state),
            "answers": json.dumps([[one.client_id, dict(one.versions)] for one in desk.answers]),
            "undecided": json.dumps(desk.undecided),
            "heard": self._heard,
            "answered": self._answered,
            "count": count,
        }
        return {name: [value] for name, value in columns.items()}

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def _words(state: SaveState) -> str:
    if state.theirs is None:
        return state.text
    theirs = state.theirs.label
    said = [theirs.label_class, "" if theirs.quality is None else f"quality {theirs.quality}", theirs.comment]
    return f"{state.text}\nThe other: {', '.join(filter(None, said)) or 'nothing said'}"
