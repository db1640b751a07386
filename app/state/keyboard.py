"""What the keys do that are not the browser's own affair. Needs no browser."""

import logging

from app.state.choices import DIALOGS, Choices
from app.state.methods import toggle_method
from app.state.triage import Triage

__all__ = ["on_key"]

log = logging.getLogger(__name__)


def on_key(triage: Triage, state: Choices, action: str) -> None:
    """Do what a key asks for; unknown actions are passed over.

    "comment" and "search" are the browser's: it has moved the focus there already. What is said of a label comes with
    its target (``app.labels.said``). Repairs have a desk of their own.
    """
    match action:
        case "next":
            triage.move(1)
        case "previous":
            triage.move(-1)
        case "next-unlabelled":
            triage.next_unlabelled()
        case "large-type" | "compare" | "latent" | "details" | "truth":
            state.toggle(action.replace("-", "_"))
        case _ if action in DIALOGS:
            state.open_or_close(action)
        case _ if action.startswith("method-"):
            toggle_method(state, action.removeprefix("method-"))
        case "comment" | "search" | "repair" | "repair-stop":
            pass
        case _:
            log.info("no key does %r here", action[:40])
