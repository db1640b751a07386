"""What a session has chosen; nothing that is computed."""

import param

from app.state.method_choices import METHODS_AT_FIRST

__all__ = ["DIALOGS", "Choices"]

DIALOGS = ("add", "files", "disagreements", "groups", "classes", "method")
"""Names of what can lie over the page."""


class Choices(param.Parameterized):
    """Choices of one browser session, made by keys, buttons and the address; the target by the triage alone."""

    target_id = param.String(default="", doc="Selected target; empty if none. Written by the triage.")
    compare = param.Boolean(default=False, doc="Whether other methods are beside inverse occlusion.")
    methods = param.List(default=list(METHODS_AT_FIRST), item_type=str, doc="Names of those, from top to bottom.")
    dialog = param.String(default="", doc="Which of DIALOGS lies over the page; empty if none. Never two.")
    details = param.Boolean(default=True, doc="Whether the column with reasons and labels is there.")
    dark = param.Boolean(default=False, doc="Whether colours are for a dark room.")
    latent = param.Boolean(default=False, doc="Whether latent space is over the lower panels.")
    large_type = param.Boolean(default=False, doc="Letters for a projector.")
    truth = param.Boolean(default=False, doc="Whether to say what was injected into a simulated target.")

    def toggle(self, name: str) -> None:
        """Turn one of the switches on or off, such as "large_type"."""
        setattr(self, name, not getattr(self, name))

    def open_or_close(self, dialog: str) -> None:
        """Open a dialog in place of any other, or close it if it is the one that is open."""
        self.dialog = "" if self.dialog == dialog else dialog

    def closed(self, dialog: str) -> None:
        """Note that a dialog is not there any more."""
        if self.dialog == dialog:
            self.dialog = ""
