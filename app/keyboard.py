"""What the keys do that are not the browser's own affair. Needs no browser."""

import logging

from app.labelling import LabelDesk
from app.labels import ISSUES, QUALITIES
from app.method_desk import toggle_method
from app.state import AppState
from app.triage import Triage

__all__ = ["on_key"]

log = logging.getLogger(__name__)


def on_key(triage: Triage, desk: LabelDesk, state: AppState, action: str) -> None:
    """Do what a key or a button of the label asks for; unknown actions are passed over.

    "comment" and "search" are the browser's: it has moved the focus there already. Repairs have a desk of their own.
    """
    name, _, number = action.rpartition("-")
    match action:
        case "next":
            triage.move(1)
        case "previous":
            triage.move(-1)
        case "next-unlabelled":
            triage.next_unlabelled()
        case "star":
            desk.change(star=not desk.record.label.star)
        case "undo-label":
            desk.undo()
        case "redo-label":
            desk.redo()
        case "large-type":
            state.large_type = not state.large_type
        case "compare":
            state.compare = not state.compare
        case "explain-method":
            state.explaining = not state.explaining
        case _ if action.startswith("method-"):
            toggle_method(state, action.removeprefix("method-"))
        case "comment" | "search" | "repair" | "repair-stop":
            pass
        case _ if name == "quality" and number.isdigit() and int(number) in QUALITIES:
            desk.change(quality=int(number))
        case _ if name == "issue" and number in ISSUES:
            issues = desk.record.label.issues
            desk.change(issues=issues.replace(number, "") if number in issues else issues + number)
        case _:
            log.info("no key does %r here", action[:40])
