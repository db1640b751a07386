"""Dialogs follow what the session has open, never two at once, and are made when they are first opened."""

from collections.abc import Callable
from typing import ClassVar, Protocol

import panel as pn
import panel_material_ui as pmui
import param

from app.state.choices import Choices
from app.views.look import MATERIAL

__all__ = ["Dialog", "OnDemand", "Sheet"]


class Sheet(pmui.Dialog):
    """A dialog of which Python hears at once that it was closed; Panel (1.9) would wait, and a key pass it by."""

    theme_config = param.Dict(default=MATERIAL)

    _priority_changes: ClassVar[list[str]] = ["open"]


class Dialog(Protocol):
    """A view with a dialog."""

    dialog: Sheet

    def open(self) -> None:
        """Make it ready and show it."""


class OnDemand(pn.viewable.Viewer):
    """Stands where a dialog will be: most pages never show most of theirs."""

    def __init__(self, choices: Choices, name: str, make: Callable[[], Dialog]) -> None:
        """Open and close as ``choices.dialog`` says, and say there when it was closed by hand.

        Args:
            choices: Of the session.
            name: Of the dialog there.
            make: Makes it; called once, where the page may be changed.
        """
        super().__init__()
        self._choices, self._name, self._make = choices, name, make
        self._made: Dialog | None = None
        self._place = pn.Column(width=0, height=0, margin=0)
        choices.param.watch(self._follow, "dialog")

    def _follow(self, event: object) -> None:
        if self._choices.dialog != self._name:
            if self._made is not None:
                self._made.dialog.open = False
        elif self._made is not None:
            self._made.open()
        else:
            self._made = self._make()
            self._made.dialog.dark_theme = self._choices.dark
            self._made.open()  # first: it comes open, for what changes while it is being drawn would stay as it was
            self._made.dialog.param.watch(self._on_open, "open")
            self._place.append(self._made.dialog)

    def _on_open(self, event: object) -> None:
        if self._made is not None and not self._made.dialog.open:
            self._choices.closed(self._name)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._place
