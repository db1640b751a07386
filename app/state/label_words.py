"""What became of a change of labels, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from app.labels import Label, LabelRecord

__all__ = ["step_words"]

_NAMES = {"label_class": "class", "spectype": "spectral type"}
_LONGEST = 40


def step_words(kind: str, before: Mapping[str, Label], records: Sequence[LabelRecord]) -> str:
    """Say what an undo or a redo did.

    Args:
        kind: undo or redo.
        before: What the labels were, by target.
        records: What they are now.

    >>> step_words("undo", {"7": Label("galaxy", 3)}, [LabelRecord("7", "ann", Label("star", 3))])
    "Undid: class of 7 back to 'star'"
    >>> step_words("redo", {"7": Label()}, [LabelRecord("7", "ann", Label(quality=3, star=True))])
    'Repeated: quality of 7 again 3, star again on'
    >>> step_words("undo", {}, [])
    'nothing to undo: in this tab nothing was said that still holds'
    """
    if not records:
        return f"nothing to {kind}: in this tab nothing was " + (
            "said that still holds" if kind == "undo" else "undone"
        )
    done, again = ("Undid", "back to") if kind == "undo" else ("Repeated", "again")
    if len(records) > 1:
        return f"{done}: labels of {len(records)} targets"
    (record,) = records
    was, now = before.get(record.target_id, Label()), record.label
    changed = [one.name for one in fields(Label) if getattr(was, one.name) != getattr(now, one.name)]
    if not changed:
        return f"{done}: label of {record.target_id}"
    first, *more = (f"{_NAMES.get(name, name)}|{again} {_value(getattr(now, name))}" for name in changed)
    name, what = first.split("|", 1)
    return ", ".join([f"{done}: {name} of {record.target_id} {what}", *(one.replace("|", " ", 1) for one in more)])


def _value(value: Any) -> str:  # noqa: ANN401 - of any field
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == "":
        return "none"
    if isinstance(value, str):
        return f"'{value if len(value) <= _LONGEST else value[: _LONGEST - 2] + ' …'}'"
    return f"{value:g}"
