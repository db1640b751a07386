"""Labels and their vocabulary: plain records, checked when they are made.

Quality and issues are those of DESI's visual inspections, as `prospect <https://github.com/desihub/prospect>`_
defines them, so that files can be exchanged with it.
"""

import math
import operator
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from imo_engine.errors import ImoError, InputError

__all__ = [
    "DEFAULT_CLASSES",
    "ISSUES",
    "MAX_COMMENT",
    "MAX_NAME",
    "QUALITIES",
    "SPECTYPES",
    "Disagreement",
    "ImportSummary",
    "Inspection",
    "Label",
    "LabelChange",
    "LabelClass",
    "LabelConflict",
    "LabelRecord",
    "LabelStoreError",
    "Progress",
    "check_name",
]

QUALITIES = {
    4: "confident: two or more secure features",
    3: "probable: one secure feature and continuum, or many weak features",
    2: "possible: one strong feature, but not clear which",
    1: "unlikely: there is signal, but no feature is identified",
    0: "nothing there: no signal",
}
"""VI quality of a classification, and what it means."""

ISSUES = {
    "R": "bad redshift: the pipeline's redshift is wrong",
    "C": "bad spectral type: the pipeline's class is wrong, for instance star instead of quasar",
    "S": "bad spectrum: for instance strong residuals of cosmic rays or sky lines",
}
"""VI issue flags; any number of them may be set."""

SPECTYPES = ("STAR", "GALAXY", "QSO")
"""Spectral types, in redrock's words."""

DEFAULT_CLASSES = (
    ("calibration artefact", "flux calibration, a step between arms, fibre or throughput trouble"),
    ("sky residual", "left over from sky subtraction"),
    ("cosmic ray or bad column", "spikes or dips of the detector"),
    ("blend or superposition", "two objects in one fibre, at one or two redshifts"),
    ("double-peaked lines", "narrow lines with two peaks"),
    ("outflow", "broad wings or blueshifted components"),
    ("broad-line AGN or quasar", "broad permitted lines"),
    ("star", "a star in the galaxy sample"),
    ("wrong redshift", "ordinary, but not at the redshift it was given"),
    ("unusual line ratios", "off the usual sequences of emission lines"),
    ("dusty or red", "strong reddening or an unusually red continuum"),
    ("merger", "interacting or disturbed"),
    ("ordinary", "nothing unusual to be seen"),
    ("unknown", "unusual, reason not understood"),
)
"""Classes a new database starts with: name and description."""

MAX_COMMENT, MAX_NAME = 4000, 200
"""Characters in a comment, and in an identifier or a name."""


_NOT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories: control characters, halves of surrogate pairs, separators of lines and paragraphs."""


class LabelStoreError(ImoError):
    """The database of labels cannot be used or refuses a change; the message begins with its name."""


class LabelConflict(ImoError):
    """Somebody saved this label in the meantime; nothing was overwritten.

    Attributes:
        current: The label as it is in the database.
        expected_version: What the refused change was based on.
    """

    def __init__(self, current: "LabelRecord", expected_version: int) -> None:
        self.current = current
        self.expected_version = expected_version
        super().__init__(
            f"target {current.target_id}: the label of {current.scanner} is at version {current.version}, not "
            f"{expected_version}: it was changed elsewhere in the meantime; nothing was overwritten"
        )


def check_name(argument: str, text: str) -> str:
    """Return ``text`` if it can identify something: 1 to 200 characters, no control characters, no blanks at its ends.

    Raises:
        InputError: it cannot.
    """
    if not isinstance(text, str) or not text or text != text.strip() or len(text) > MAX_NAME:
        raise InputError(f"'{argument}' is {text!r:.60}; expected 1 to {MAX_NAME} characters, no blanks at the ends")
    if any(unicodedata.category(character) in _NOT_IN_NAMES for character in text):
        raise InputError(f"'{argument}' is {text!r:.60}, which has control characters")
    return text


def _encodable(text: str) -> bool:
    """Whether UTF-8 can hold ``text``; it cannot hold half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(frozen=True)
class Label:
    """What somebody says of a target; each part may be missing.

    Attributes:
        label_class: A name from the list of classes; empty if none.
        quality: Key of ``QUALITIES``.
        issues: Letters of ``ISSUES``, in that order.
        redshift: The inspector's own, where the pipeline's is wrong; never filled in by itself.
        spectype: One of ``SPECTYPES``; empty if none.
        comment: Kept verbatim.
        star: Marked for another look.
    """

    label_class: str = ""
    quality: int | None = None
    issues: str = ""
    redshift: float | None = None
    spectype: str = ""
    comment: str = ""
    star: bool = False

    def __post_init__(self) -> None:
        if self.label_class:
            check_name("label_class", self.label_class)
        if self.quality is not None:
            try:
                quality = operator.index(self.quality)
            except TypeError:
                quality = -1
            if quality not in QUALITIES or isinstance(self.quality, bool):
                raise InputError(f"'quality' is {self.quality!r:.60}; expected 0 to 4 or nothing")
            object.__setattr__(self, "quality", quality)
        if set(self.issues) - set(ISSUES):
            raise InputError(f"'issues' is {self.issues!r:.60}; expected letters of {''.join(ISSUES)}")
        object.__setattr__(self, "issues", "".join(letter for letter in ISSUES if letter in self.issues))
        if self.redshift is not None:
            redshift = float(self.redshift)
            if not (math.isfinite(redshift) and -1 < redshift <= 20):
                raise InputError(f"'redshift' is {redshift}; expected more than -1 and at most 20")
            object.__setattr__(self, "redshift", redshift)
        if self.spectype and self.spectype not in SPECTYPES:
            raise InputError(f"'spectype' is {self.spectype!r:.60}; expected one of {', '.join(SPECTYPES)} or nothing")
        if len(self.comment) > MAX_COMMENT or "\0" in self.comment or not _encodable(self.comment):
            raise InputError(f"'comment' has {len(self.comment)} characters; expected text of at most {MAX_COMMENT}")
        object.__setattr__(self, "star", bool(self.star))

    @property
    def empty(self) -> bool:
        """Whether nothing is said."""
        return self == Label()

    @property
    def decided(self) -> bool:
        """Whether a class or a quality is given, which is what progress counts."""
        return bool(self.label_class) or self.quality is not None


@dataclass(frozen=True)
class LabelRecord:
    """The label of one target by one person.

    Attributes:
        version: 0 if there never was one; each change adds 1.
        saved_at: When this version was saved, UTC.
    """

    target_id: str
    scanner: str
    label: Label = field(default_factory=Label)
    version: int = 0
    saved_at: datetime | None = None


@dataclass(frozen=True)
class LabelChange:
    """One entry of the history: what the label became, how (save, undo, redo or import), and by which request."""

    record: LabelRecord
    kind: str
    client_id: str


@dataclass(frozen=True)
class LabelClass:
    """A class that can be chosen; one that is not ``listed`` was removed from the list but is still in use."""

    name: str
    description: str = ""
    listed: bool = True


@dataclass(frozen=True)
class Progress:
    """How many of the targets asked about are labelled."""

    labelled: int
    total: int


@dataclass(frozen=True)
class Disagreement:
    """Two people's labels of one target and the names of the fields that differ."""

    first: LabelRecord
    second: LabelRecord
    fields: tuple[str, ...]

    @property
    def target_id(self) -> str:
        """Target both have labelled."""
        return self.first.target_id


@dataclass(frozen=True)
class Inspection:
    """One line of a visual-inspection file: a label, and what the pipeline and the model had said.

    Attributes:
        expid: Exposure, night and tile; -1 where that is not one number.
        spec_version: Versions of the pipeline; "-1" where unknown.
        rank: 1 for the lowest log p; None without a score.
        log_prob: nats; None without a score.
    """

    target_id: str
    scanner: str
    label: Label
    expid: int = -1
    night: int = -1
    tileid: int = -1
    spec_version: str = "-1"
    redrock_version: str = "-1"
    template_version: str = "-1"
    redrock_spectype: str = ""
    redrock_z: float | None = None
    redrock_deltachi2: float | None = None
    rank: int | None = None
    log_prob: float | None = None

    def __post_init__(self) -> None:
        check_name("target_id", self.target_id)
        check_name("scanner", self.scanner)
        for name in ("spec_version", "redrock_version", "template_version", "redrock_spectype"):
            if getattr(self, name):
                check_name(name, getattr(self, name))
        for name in ("redrock_z", "redrock_deltachi2", "log_prob"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"'{name}' is {value}; expected a finite number or nothing")


@dataclass(frozen=True)
class ImportSummary:
    """What an import did.

    Attributes:
        kept: Labels in the database that differ from the file and were left as they are.
        new_classes: Names the list of classes lacked.
    """

    added: int
    replaced: int
    unchanged: int
    kept: tuple[LabelRecord, ...]
    new_classes: tuple[str, ...]
