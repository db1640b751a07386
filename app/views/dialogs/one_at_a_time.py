"""Dialogs follow what the session has open, so that never two lie on top of each other."""

from typing import ClassVar, Protocol

import panel_material_ui as pmui

from app.state.choices import Choices

__all__ = ["Dialog", "Sheet", "keep_in_step"]


class Sheet(pmui.Dialog):
    """A dialog of which Python hears at once that it was closed; Panel (1.9) would wait, and a key pass it by."""

    _priority_changes: ClassVar[list[str]] = ["open"]


class Dialog(Protocol):
    """A view with a dialog."""

    dialog: Sheet

    def open(self) -> None:
        """Make it ready and show it."""


def keep_in_step(choices: Choices, name: str, view: Dialog) -> None:
    """Open and close a dialog as ``choices.dialog`` says, and say there when it was closed by hand."""

    def follow(event: object) -> None:
        if choices.dialog == name:
            view.open()
        else:
            view.dialog.open = False

    choices.param.watch(follow, "dialog")
    view.dialog.param.watch(lambda event: None if event.new else choices.closed(name), "open")
