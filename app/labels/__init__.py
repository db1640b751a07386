"""What people say of the targets: kept in a database, exchanged as visual-inspection files. Needs no browser.

:class:`~app.labels.store.LabelStore` is the service; :mod:`app.labels.exchange` reads and writes files.
"""

from app.labels.records import (
    ISSUES,
    QUALITIES,
    SPECTYPES,
    Disagreement,
    ImportSummary,
    Inspection,
    Label,
    LabelChange,
    LabelClass,
    LabelConflict,
    LabelRecord,
    LabelStoreError,
    Progress,
)
from app.labels.store import LabelStore

__all__ = [
    "ISSUES",
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
    "LabelStore",
    "LabelStoreError",
    "Progress",
]
