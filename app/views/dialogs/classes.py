"""A dialog in which the list of classes is edited."""

from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.labels import LabelClass
from app.labels.records import MAX_NAME
from app.state.classes import ClassEditing
from app.views.dialogs.one_at_a_time import Sheet

__all__ = ["ClassDialog", "class_list_html"]


class ClassDialog(pn.viewable.Viewer):
    """The list, one class to rename or retire, and a field for a new one; names are text wherever they are shown."""

    def __init__(self, desk: ClassEditing) -> None:
        """Build the dialog, closed."""
        super().__init__()
        self._desk = desk
        field: dict[str, Any] = {"size": "small", "margin": (6, 8, 6, 0), "max_length": MAX_NAME}
        button: dict[str, Any] = {"size": "small", "variant": "outlined", "margin": (10, 8, 6, 0)}
        self.list = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        self.which = pmui.Select(label="Class", options=[], size="small", width=250, margin=(6, 8, 6, 0))
        self.new_name = pmui.TextInput(label="New name", value="", width=220, **field)
        self.rename = pmui.Button(label="Rename", on_click=self._on_rename, **button)
        self.retire = pmui.Button(label="Retire", on_click=self._on_retire, **button)
        self.added = pmui.TextInput(label="Name of a new class", value="", width=250, **field)
        self.about = pmui.TextInput(label="What it means", value="", width=220, **field)
        self.add = pmui.Button(label="Add", on_click=self._on_add, **button)
        self.words = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        close = pmui.Button(label="Close", size="small", variant="outlined", margin=(10, 0, 0, 0), on_click=self._close)
        self.dialog = Sheet(
            pn.Column(
                self.list,
                pn.FlexBox(self.which, self.new_name, self.rename, self.retire, margin=0),
                pn.FlexBox(self.added, self.about, self.add, margin=0),
                self.words,
                close,
                sizing_mode="stretch_width",
                margin=0,
            ),
            title="Classes",
            title_variant="h6",
            close_on_click=True,
            width_option="md",
        )
        desk.param.watch(lambda event: self._show(event.new), "classes")
        desk.param.watch(lambda *_: self._say(), ["words", "failed"])
        self.which.param.watch(lambda _: self._name_buttons(), "value")

    def open(self) -> None:
        """Show the dialog with what is in the database now."""
        self._desk.read()
        self.dialog.open = True

    def _close(self, event: object) -> None:
        self.dialog.open = False

    def _show(self, classes: tuple[LabelClass, ...]) -> None:
        self.list.object = class_list_html(classes)
        names = [one.name for one in classes]
        before = self.which.value
        self.which.param.update(options=names, value=before if before in names else next(iter(names), None))
        self._name_buttons()

    def _name_buttons(self) -> None:
        self.retire.label = "Bring back" if self._retired(self.which.value) else "Retire"

    def _retired(self, name: str | None) -> bool:
        return any(one.name == name and not one.listed for one in self._desk.classes)

    def _say(self) -> None:
        kind = "failed" if self._desk.failed else "done"
        role = "alert" if self._desk.failed else "status"
        words = escape(self._desk.words)
        self.words.object = f'<p class="{kind}" role="{role}" data-classes="{kind}">{words}</p>' if words else ""

    def _on_rename(self, event: object) -> None:
        if self.which.value:
            self._desk.rename(self.which.value, self.new_name.value_input or self.new_name.value or "")
            self.new_name.value = ""

    def _on_retire(self, event: object) -> None:
        name = self.which.value
        if name:
            (self._desk.add if self._retired(name) else self._desk.retire)(name)

    def _on_add(self, event: object) -> None:
        self._desk.add(
            self.added.value_input or self.added.value or "", self.about.value_input or self.about.value or ""
        )
        self.added.value = self.about.value = ""

    def __panel__(self) -> pn.viewable.Viewable:
        return self.dialog


def class_list_html(classes: tuple[LabelClass, ...]) -> str:
    """Return the classes with what they mean, the retired ones last."""
    rows = "".join(
        f'<li class="{"listed" if one.listed else "retired"}"><b>{escape(one.name)}</b> '
        f"{'' if one.listed else '(retired) '}{escape(one.description)}</li>"
        for one in classes
    )
    return f"<ul>{rows}</ul>" if rows else '<p class="quiet">There are no classes yet: add one.</p>'


_STYLE = """
ul { list-style: none; margin: 0 0 6px; padding: 0; font-size: 13px; line-height: 1.5; color: var(--imo-muted);
  max-height: 42vh; overflow: auto; }
b { font-weight: 600; color: var(--imo-text); }
.retired, .retired b { color: var(--imo-muted); font-weight: 400; }
p { margin: 2px 0; font-size: 13px; color: var(--imo-text); overflow-wrap: anywhere; }
.quiet { color: var(--imo-muted); }
.failed { color: var(--imo-warning); font-weight: 600; }
"""
