"""What to say of the selected target; saved at every change."""

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, Model

from app.labelling import LabelDesk, SaveState
from app.labels import ISSUES, QUALITIES, Label
from app.views.label_form import FORM_STYLE, form_html

__all__ = ["LabelPanel"]


class LabelPanel(pn.viewable.Viewer):
    """Class, quality, issues, star and comment of the open label.

    One form that stays; what is known comes down to it as text and never as markup. Everything that is said comes
    up with its target, so that a comment cannot end up at the target that was selected meanwhile.
    """

    def __init__(self, desk: LabelDesk, do: Callable[[str], None], edit: Callable[[], None]) -> None:
        """Follow ``desk`` and tell it every change; ``do`` what the buttons have keys for, ``edit`` the classes."""
        super().__init__()
        self._desk, self._do, self._edit = desk, do, edit
        self._answered = 0
        self._known = ColumnDataSource(self._columns(0))
        self._said = ColumnDataSource({"action": [], "target": [], "text": [], "count": []})

        def heard(attr: str, old: Any, new: dict[str, list[Any]]) -> None:  # noqa: ANN401
            self._hear(str(new["action"][0]), str(new["target"][0]), str(new["text"][0]))

        self._said.on_change("data", heard)
        self.pane = pn.pane.HTML(form_html(), sizing_mode="stretch_width", stylesheets=[FORM_STYLE], margin=0)

    def attach(
        self,
        document: Any,  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
        anchor: Model,
        schedule: Callable[[Callable[[], None]], object],
        keys: ColumnDataSource,
    ) -> None:
        """Start the form when the document is ready, and keep it up to date.

        Args:
            document: The page's.
            anchor: Any model of the page.
            schedule: Runs a function soon where the document may be changed.
            keys: Changes with every forwarded key, numbered by its ``count``. The browser is told which of them were
                carried out: until then, nothing can be written to a target that is about to be left.
        """
        args = {"known": self._known, "said": self._said}
        anchor.js_on_change("name", CustomJS(args=args, code=""))  # named by a model, they belong to the document
        code = resources.files("app.views").joinpath("label_form.js").read_text(encoding="utf-8")
        document.js_on_event("document_ready", CustomJS(args=args, code=code))
        self._known.js_on_change("data", CustomJS(code="window.imoForm?.update()"))

        def update() -> None:
            self._known.data = self._columns(self._known.data["count"][0] + 1)

        def answer(attr: str, old: Any, new: dict[str, list[Any]]) -> None:  # noqa: ANN401
            self._answered = int(new["count"][0])
            schedule(update)  # after what the key itself has scheduled

        keys.on_change("data", answer)
        self._desk.param.watch(lambda *_: schedule(update), ["record", "state", "classes"])

    def _hear(self, action: str, target: str, text: str) -> None:
        desk = self._desk
        match action:
            case "comment":
                desk.change(target, comment=text)
            case "class":
                desk.change(target, label_class=text)
            case "edit-classes":
                self._edit()
            case "retry":
                desk.retry()
            case "mine":
                desk.keep_mine()
            case "theirs":
                desk.take_theirs()
            case _ if target == desk.record.target_id:
                self._do(action)

    def _columns(self, count: int) -> dict[str, list[Any]]:
        record, state = self._desk.record, self._desk.state
        label: Label = record.label
        pressed = [f"issue-{one}" for one in label.issues]
        pressed += [] if label.quality is None else [f"quality-{label.quality}"]
        pressed += ["star"] if label.star else []
        used = label.label_class  # may have been taken off the list
        classes = [*self._desk.classes, *([used] if used and used not in self._desk.classes else [])]
        columns: dict[str, Any] = {
            "target": record.target_id,
            "class": used,
            "classes": json.dumps(classes),
            "comment": label.comment,
            "pressed": " ".join(pressed),
            "meaning": _meaning(label),
            "kind": state.kind,
            "text": _words(state),
            "answered": self._answered,
            "count": count,
        }
        return {name: [value] for name, value in columns.items()}

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def _meaning(label: Label) -> str:
    said = ["no quality yet" if label.quality is None else f"Q{label.quality}: {QUALITIES[label.quality]}"]
    said += [f"{one}: {ISSUES[one].partition(':')[0]}" for one in label.issues]
    said += [] if label.redshift is None else [f"VI_z = {label.redshift:.5f}"]
    return "\n".join(said)


def _words(state: SaveState) -> str:
    if state.theirs is None:
        return state.text
    theirs = state.theirs.label
    said = [theirs.label_class, "" if theirs.quality is None else f"quality {theirs.quality}", theirs.comment]
    return f"{state.text}\nThe other: {', '.join(filter(None, said)) or 'nothing said'}"
