"""One user's labels in one session: every change is saved in the background, and shown as saved once it is.

Needs no browser. Nothing that was said is lost: what the database refuses stays here until it is taken.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

import param

from app.labels import Label, LabelConflict, LabelRecord, LabelStore
from imo_engine.errors import ImoError, InputError

__all__ = ["LabelDesk", "SaveState"]

log = logging.getLogger(__name__)

Submit = Callable[[Callable[[], None]], object]


@dataclass(frozen=True)
class SaveState:
    """What became of the changes.

    Attributes:
        kind: none, saving, saved, failed, refused or conflict.
        text: One line for people.
        theirs: In a conflict, the label that somebody else saved.
    """

    kind: str = "none"
    text: str = ""
    theirs: LabelRecord | None = None


@dataclass(frozen=True)
class _Change:
    kind: str  # save, undo or redo
    target_id: str = ""
    label: Label = Label()
    client_id: str = field(default_factory=lambda: uuid4().hex)  # kept when it is tried again: one change


class LabelDesk(param.Parameterized):
    """The labels as the user sees them; changes are sent one after the other, in order."""

    record = param.Parameter(default=LabelRecord("", ""), doc="The selected target's label, unsaved changes included.")
    state = param.ClassSelector(class_=SaveState, default=SaveState(), doc="What became of the changes.")
    changed = param.Parameter(default=(), doc="Identifiers whose label has just changed.")
    classes = param.Parameter(default=(), doc="Names of the classes that can be chosen, in order.")

    def __init__(self, store: LabelStore, scanner: str, *, submit: Submit, schedule: Submit) -> None:
        """Read the user's labels.

        Args:
            store: Where labels are kept.
            scanner: Whose labels.
            submit: Runs a function in another thread, in order.
            schedule: Runs a function soon where the page may be changed; called from that thread.

        Raises:
            LabelStoreError: the labels cannot be read.
        """
        super().__init__(record=LabelRecord("", scanner))
        self.store, self.scanner = store, scanner
        self._submit, self._schedule = submit, schedule
        self._known = store.labels(scanner)
        self.classes = store.classes.names()
        self._waiting: deque[_Change] = deque()
        self._aside: dict[str, tuple[LabelRecord, list[_Change]]] = {}  # conflicts, until the user decides
        self._busy = False
        self._refusal = ""

    def label_of(self, target_id: str) -> Label:
        """Return a label as the user sees it, whether it is saved or not."""
        for change in reversed([*self._waiting, *self._aside.get(target_id, (None, []))[1]]):
            if change.kind == "save" and change.target_id == target_id:
                return change.label
        return self._committed(target_id).label

    @property
    def unsaved(self) -> int:
        """How many changes are not in the database."""
        return len(self._waiting) + sum(len(changes) for _, changes in self._aside.values())

    def open(self, target_id: str) -> None:
        """Show the label of a target; what another session saved meanwhile is fetched."""
        self.record = replace(self._committed(target_id), label=self.label_of(target_id))
        self._tell()
        self._submit(partial(self._fetch, target_id))

    def change(self, target_id: str | None = None, **fields: Any) -> None:  # noqa: ANN401 - of a label
        """Change parts of a label, by default the open one, and save it; what it cannot hold is said."""
        target = self.record.target_id if target_id is None else target_id
        if not target:
            return
        before = self.label_of(target)
        try:
            label = replace(before, **fields)
        except InputError as error:
            self.state = SaveState("refused", f"not saved: {error}")
            return
        if label == before:
            self._tell()
            self.param.trigger("state")  # the page may show that something is being written
            return
        self._put(_Change("save", target, label))

    def reload(self) -> None:
        """Read all labels again, after an import or when classes were edited.

        Raises:
            LabelStoreError: they cannot be read.
        """
        self.classes = self.store.classes.names()
        before, self._known = self._known, self.store.labels(self.scanner)
        self._show(tuple(target for target, record in self._known.items() if record != before.get(target)))
        self._tell()

    def undo(self) -> None:
        """Take back the user's last change, of whichever target."""
        self._put(_Change("undo"))

    def redo(self) -> None:
        """Repeat what was taken back last."""
        self._put(_Change("redo"))

    def retry(self) -> None:
        """Send again what the database refused."""
        self._send()

    def keep_mine(self) -> None:
        """Settle the open conflict: the user's label replaces the other one."""
        current, changes = self._aside.pop(self.record.target_id, (None, []))
        if current is None:
            return
        self._known[current.target_id] = current
        # only the last matters: what was in between never was in the database
        self._put(replace(changes[-1], client_id=uuid4().hex))

    def take_theirs(self) -> None:
        """Settle the open conflict: the user's changes are given up."""
        current, _ = self._aside.pop(self.record.target_id, (None, []))
        if current is not None:
            self._adopt((current,))
            self._tell()

    def _committed(self, target_id: str) -> LabelRecord:
        return self._known.get(target_id) or LabelRecord(target_id, self.scanner)

    def _put(self, change: _Change) -> None:
        if change.kind == "save" and change.target_id in self._aside:
            self._aside[change.target_id][1].append(change)  # the user decides first
        else:
            self._waiting.append(change)
        if change.kind == "save":
            self._show((change.target_id,))
        self._tell()
        self._send()

    def _send(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy, self._refusal = True, ""
        change = self._waiting[0]
        self.state = SaveState("saving", "saving …")
        self._submit(partial(self._work, change, self._committed(change.target_id).version))

    def _work(self, change: _Change, version: int) -> None:
        """Carry out a change; in the other thread."""
        outcome: tuple[LabelRecord, ...] | ImoError
        try:
            if change.kind == "save":
                saved = self.store.save(
                    change.target_id,
                    change.label,
                    scanner=self.scanner,
                    client_id=change.client_id,
                    expected_version=version,
                )
                outcome = (saved,)
            else:
                outcome = getattr(self.store, change.kind)(self.scanner, client_id=change.client_id)
        except ImoError as error:
            outcome = error
        except Exception as error:
            log.exception("a label of target %s was not saved", change.target_id)
            outcome = ImoError(f"unexpected {type(error).__name__}: {error}")
        self._schedule(partial(self._done, change, outcome))

    def _done(self, change: _Change, outcome: tuple[LabelRecord, ...] | ImoError) -> None:
        self._busy = False
        if isinstance(outcome, LabelConflict) and change.kind == "save":
            mine = [one for one in self._waiting if one.target_id == change.target_id]
            self._waiting = deque(one for one in self._waiting if one.target_id != change.target_id)
            self._aside[change.target_id] = (outcome.current, mine)
            self._tell()
        elif isinstance(outcome, InputError) or (change.kind != "save" and isinstance(outcome, ImoError)):
            self._waiting.popleft()  # it would be refused again
            self._show((change.target_id,))
            self.state = SaveState("refused", f"not saved: {outcome}")
        elif isinstance(outcome, ImoError):
            self._refusal = str(outcome)
            self._tell()
            return
        else:
            self._waiting.popleft()
            self._adopt(outcome)
            self._tell(self._words(change, outcome))
        self._send()

    def _adopt(self, records: tuple[LabelRecord, ...]) -> None:
        for record in records:
            self._known[record.target_id] = record
        self._show(tuple(record.target_id for record in records))

    def _show(self, targets: tuple[str, ...]) -> None:
        here = self.record.target_id
        if here in targets:
            self.record = replace(self._committed(here), label=self.label_of(here))
        if targets:
            self.param.update(changed=())
            self.param.update(changed=targets)

    def _tell(self, words: str = "") -> None:
        """Say how the open label stands."""
        conflict = self._aside.get(self.record.target_id)
        saved_at = self._committed(self.record.target_id).saved_at
        if conflict is not None:
            text = "changed elsewhere in the meantime; nothing was overwritten"
            self.state = SaveState("conflict", text, conflict[0])
        elif self._refusal:
            self.state = SaveState("failed", f"{self._count()} not saved: {self._refusal}")
        elif self._waiting:
            self.state = SaveState("saving", "saving …")
        elif self._aside:
            self.state = SaveState("saved", f"to be decided, changed elsewhere too: {', '.join(self._aside)}")
        elif words:
            self.state = SaveState("saved", words)
        elif saved_at is not None:
            self.state = SaveState("saved", f"saved {saved_at.astimezone():%d %b %H:%M:%S}")
        else:
            self.state = SaveState()

    def _words(self, change: _Change, records: tuple[LabelRecord, ...]) -> str:
        if change.kind != "save":
            if not records:
                return f"nothing to {change.kind}"
            done = "took back" if change.kind == "undo" else "repeated"
            what = f"target {records[0].target_id}" if len(records) == 1 else f"{len(records)} labels"
            return f"{done} the last change: {what}"
        saved_at = records[0].saved_at
        return f"saved {saved_at.astimezone():%H:%M:%S}" if saved_at is not None else ""

    def _count(self) -> str:
        return "1 change" if self.unsaved == 1 else f"{self.unsaved} changes"

    def _fetch(self, target_id: str) -> None:
        """Look for a newer version; in the other thread."""
        try:
            found, classes = self.store.get(target_id, self.scanner), self.store.classes.names()
        except ImoError as error:
            log.info("reading the label of target %s: %s", target_id, error)
            return
        self._schedule(partial(self._fetched, found, classes))

    def _fetched(self, found: LabelRecord, classes: tuple[str, ...]) -> None:
        if classes != self.classes:  # edited elsewhere
            try:
                self.reload()
            except ImoError as error:
                log.info("reading the labels: %s", error)
                return
        unsaved = any(one.target_id == found.target_id for one in self._waiting) or found.target_id in self._aside
        if not unsaved and found.version > self._committed(found.target_id).version:
            self._adopt((found,))
            self._tell()
