"""What a browser says about labels, each time with an identifier of its own: said again, it is the same change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from app.labels import LabelRecord
from app.labels.records import check_name
from imo_engine.errors import InputError

__all__ = ["Answer", "SaveState", "Said", "said_in"]

_FIELDS: dict[str, tuple[type, ...]] = {
    "label_class": (str,),
    "quality": (int, type(None)),
    "issues": (str,),
    "redshift": (int, float, type(None)),
    "spectype": (str,),
    "comment": (str,),
    "star": (bool,),
}


SaveKind = Literal["none", "saving", "saved", "failed", "refused", "conflict"]


@dataclass(frozen=True)
class SaveState:
    """What became of the changes.

    Attributes:
        kind: none, saving, saved, failed, refused or conflict.
        text: One line for people.
        theirs: In a conflict, the label that somebody else saved.
    """

    kind: SaveKind = "none"
    text: str = ""
    theirs: LabelRecord | None = None


SaidKind = Literal["save", "undo", "redo", "theirs"]
_KINDS = get_args(SaidKind)


@dataclass(frozen=True)
class Said:
    """One change of a label.

    Attributes:
        client_id: A new one for each change, behind the tab that it was said in and a point; the same one again is the
            same change.
        kind: save; undo or redo, of whatever was said last in its tab; theirs: give up what is in conflict.
        target_id: Whose label.
        fields: Of the label, those that change.
        base: Version of the label in sight, 0 if there was none.
        settles: Whether this replaces all that is in conflict with version ``base``.
    """

    client_id: str
    kind: SaidKind = "save"
    target_id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    base: int = 0
    settles: bool = False

    @property
    def tab(self) -> str:
        """Where it was said.

        >>> Said("f00d.1", "undo").tab
        'f00d'
        """
        return self.client_id.partition(".")[0]


@dataclass(frozen=True)
class Answer:
    """Something said is in the database, or will never be.

    Attributes:
        client_id: What was said.
        versions: What it made of which labels.
    """

    client_id: str
    versions: Mapping[str, int] = field(default_factory=dict)


def said_in(text: str) -> list[Said]:
    """Return what a browser's message holds, in order.

    Raises:
        InputError: it is no such message.
    """
    try:
        return [_said(one) for one in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"what was said about labels cannot be read: {type(error).__name__}: {error}") from None


def _said(one: Mapping[str, Any]) -> Said:
    fields, base = dict(one["fields"]), one["base"]
    wrong = [name for name, value in fields.items() if type(value) not in _FIELDS.get(name, ())]
    if wrong or one["kind"] not in _KINDS or type(base) is not int or not isinstance(one["target"], str):
        raise ValueError(f"{', '.join(wrong) or 'kind, base or target'} is not as expected")
    client_id = check_name("id", one["id"])
    return Said(client_id, one["kind"], one["target"], fields, base, one["settles"] is True)
