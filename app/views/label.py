"""What to say of the selected target; saved at every change."""

import json
from collections.abc import Callable
from html import escape
from importlib import resources
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, Model

from app.labelling import LabelDesk, SaveState
from app.labels import ISSUES, QUALITIES, Label
from app.labels.records import MAX_COMMENT

__all__ = ["LabelPanel"]


class LabelPanel(pn.viewable.Viewer):
    """Class, quality, issues, star and comment of the open label.

    One form that stays; what is known comes down to it as text and never as markup. Everything that is said comes
    up with its target, so that a comment cannot end up at the target that was selected meanwhile.
    """

    def __init__(self, desk: LabelDesk, do: Callable[[str], None]) -> None:
        """Follow ``desk`` and tell it every change; ``do`` what the buttons have keys for."""
        super().__init__()
        self._desk = desk
        self._known = ColumnDataSource(self._columns(0))
        self._said = ColumnDataSource({"action": [], "target": [], "text": [], "count": []})
        self._do = do

        def heard(attr: str, old: Any, new: dict[str, list[Any]]) -> None:  # noqa: ANN401
            self._hear(str(new["action"][0]), str(new["target"][0]), str(new["text"][0]))

        self._said.on_change("data", heard)
        self.pane = pn.pane.HTML(_form(), sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)

    def attach(
        self,
        document: Any,  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
        anchor: Model,
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Start the form when the document is ready, and keep it up to date.

        Args:
            document: The page's.
            anchor: Any model of the page.
            schedule: Runs a function soon where the document may be changed.
        """
        args = {"known": self._known, "said": self._said}
        anchor.js_on_change("name", CustomJS(args=args, code=""))  # named by a model, they belong to the document
        code = resources.files("app.views").joinpath("label_form.js").read_text(encoding="utf-8")
        document.js_on_event("document_ready", CustomJS(args=args, code=code))
        self._known.js_on_change("data", CustomJS(code="window.imoForm?.update()"))

        def update() -> None:
            self._known.data = self._columns(self._known.data["count"][0] + 1)

        self._desk.param.watch(lambda _: schedule(update), ["record", "state"])

    def _hear(self, action: str, target: str, text: str) -> None:
        desk = self._desk
        match action:
            case "comment":
                desk.change(target, comment=text)
            case "class":
                desk.change(target, label_class=text)
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
            "count": count,
        }
        return {name: [value] for name, value in columns.items()}

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def _form() -> str:
    quality = "".join(_button(f"quality-{q}", str(q), QUALITIES[q]) for q in sorted(QUALITIES))
    issues = "".join(_button(f"issue-{one}", one, words) for one, words in ISSUES.items())
    star = _button("star", "★", "Star: for another look (*)")
    ways = (
        ("failed", "retry", "Try again"),
        ("conflict", "mine", "Keep mine"),
        ("conflict", "theirs", "Take the other"),
    )
    settle = "".join(
        f'<button type="button" data-label="{action}" data-for="{kind}" hidden>{words}</button>'
        for kind, action, words in ways
    )
    return (
        '<div class="imo-form imo-label" role="form" aria-label="Label">'
        '<label>Class <select name="class"></select></label>'
        f'<div class="row">{_group("Quality", quality)}{_group("Issues", issues)}{_group("Star", star)}</div>'
        '<div class="meaning"></div>'
        '<label class="imo-comment">Comment'
        f'<textarea name="comment" rows="2" maxlength="{MAX_COMMENT}"></textarea></label>'
        f'<div class="settle">{settle}</div><div class="state" role="status"></div></div>'
    )


def _button(action: str, text: str, words: str) -> str:
    name = f"{text}: {words}" if len(text) == 1 and text.isalnum() else words
    return (
        f'<button type="button" data-label="{action}" aria-pressed="false" title="{escape(words)}" '
        f'aria-label="{escape(name)}">{text}</button>'
    )


def _group(name: str, buttons: str) -> str:
    words = f'<span class="name">{name}</span>'
    return f'<div role="group" aria-label="{name}">{words}<div class="group">{buttons}</div></div>'


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


_STYLE = """
.imo-form { padding: 8px 10px 6px; border-top: 1px solid var(--imo-line); color: var(--imo-text);
  font-size: calc(12.5px * var(--imo-type, 1)); }
.imo-form[inert] { opacity: 0.5; }
label, .name { display: block; color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); }
select, textarea { display: block; width: 100%; box-sizing: border-box; padding: 4px 7px; border-radius: 5px;
  font: inherit; font-size: calc(13px * var(--imo-type, 1)); color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-edge); }
textarea { resize: vertical; line-height: 1.35; }
.row { display: flex; gap: 6px 12px; flex-wrap: wrap; padding: 6px 0 2px; }
.group { display: inline-flex; }
button { font: inherit; color: var(--imo-text); background: var(--imo-surface); border: 1px solid var(--imo-edge);
  padding: 2px 8px; min-height: 26px; margin-left: -1px; cursor: pointer; font-variant-numeric: tabular-nums; }
.group button:first-child { border-radius: 5px 0 0 5px; margin-left: 0; }
.group button:last-child { border-radius: 0 5px 5px 0; }
.group button:only-child { border-radius: 5px; }
.settle button { border-radius: 5px; margin: 4px 6px 2px 0; }
button:hover { background: var(--imo-hover); }
button[aria-pressed="true"] { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
:is(button, select, textarea):focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; z-index: 1; }
.meaning, .state { white-space: pre-line; overflow-wrap: anywhere; line-height: 1.35; color: var(--imo-muted); }
.meaning { font-size: calc(11.5px * var(--imo-type, 1)); min-height: 2.7em; }
.state { font-size: calc(12px * var(--imo-type, 1)); min-height: 1.5em; padding-top: 3px;
  font-variant-numeric: tabular-nums; }
.state.saved { color: var(--imo-source); }
.state.failed, .state.conflict, .state.refused { color: var(--imo-warning); font-weight: 600; }
"""
