"""One user's labels in one session: every change is saved in the background, and shown as saved once it is.

Needs no browser. Nothing that was said is lost: what the database refuses stays here until it is taken.
"""

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

import param

from app.labels import Label, LabelConflict, LabelRecord, LabelStore
from app.labels.said import Answer, Said, SaveState
from app.state.background import Background, Schedule, Submit
from app.state.label_words import step_words
from imo_engine.errors import ImoError, InputError

__all__ = ["UserLabels"]

log = logging.getLogger(__name__)


class UserLabels(param.Parameterized):
    """The labels as the user sees them; changes are sent one after the other, in order.

    Other sessions of the process are told what was saved, and those of the same user follow, until ``close`` is called.
    """

    record = param.Parameter(default=LabelRecord("", ""), doc="The selected target's label, unsaved changes included.")
    state = param.ClassSelector(class_=SaveState, default=SaveState(), doc="What became of the changes.")
    changed = param.Parameter(default=(), doc="Identifiers whose label has just changed.")
    classes = param.Parameter(default=(), doc="Names of the classes that can be chosen, in order.")
    answers = param.Parameter(default=(), doc="The last answers to what was said, each once it is certain.")

    def __init__(self, store: LabelStore, scanner: str, *, submit: Submit, schedule: Schedule) -> None:
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
        self._background = Background(submit, schedule)
        self._known = store.labels(scanner)
        self.classes = store.classes.names()
        self._waiting: deque[Said] = deque()
        self._aside: dict[str, tuple[LabelRecord, list[Said]]] = {}  # conflicts, until the user decides
        self._answered: dict[str, Answer] = {}
        self._made: set[tuple[str, int]] = set()  # targets and versions of what was said here
        self._busy = False
        self._refusal = ""
        self._told: Sequence[LabelRecord] = ()
        self.tab = uuid4().hex  # of what is said here and not in the browser, such as an import
        self.close = store.news.listen(self._hear)

    def label_of(self, target_id: str) -> Label:
        """Return a label as the user sees it, whether it is saved or not."""
        label = self._committed(target_id).label
        for said in [*self._aside.get(target_id, (None, []))[1], *self._waiting]:
            if said.kind == "save" and said.target_id == target_id:
                label = replace(label, **said.fields)
        return label

    @property
    def unsaved(self) -> int:
        """How many changes are not in the database."""
        return len(self._waiting) + sum(len(changes) for _, changes in self._aside.values())

    @property
    def undecided(self) -> list[str]:
        """Client ids of what is in conflict."""
        return [one.client_id for _, changes in self._aside.values() for one in changes]

    @property
    def base(self) -> int:
        """Version of the label in sight; in a conflict, that of the other one."""
        conflict = self._aside.get(self.record.target_id)
        return self._committed(self.record.target_id).version if conflict is None else conflict[0].version

    def open(self, target_id: str) -> None:
        """Show the label of a target; what another session saved meanwhile is fetched."""
        self.record = replace(self._committed(target_id), label=self.label_of(target_id))
        self._tell()
        self._background.run(
            lambda: (self.store.get(target_id, self.scanner), self.store.classes.names()),
            lambda found: self._fetched(*found),
            about=f"reading the label of target {target_id}",
        )

    def say(self, said: Said) -> None:
        """Save a change; said again, it is answered again. What a label cannot hold is refused in words."""
        target = said.target_id
        if said.client_id in self._answered:
            self._answer(self._answered[said.client_id])
            return
        if said.client_id in self.undecided or any(one.client_id == said.client_id for one in self._waiting):
            return
        if said.kind == "theirs":
            current, given_up = self._aside.pop(target, (None, []))
            for one in (*given_up, said):
                self._answer(Answer(one.client_id))
            if current is not None:
                self._adopt((current,))
                self._tell()
            return
        try:
            replace(self.label_of(target), **said.fields)
        except InputError as error:
            self._refuse(said, error)
            return
        if said.settles and target in self._aside:
            self._known[target] = self._aside.pop(target)[0]
        if said.kind == "save" and target in self._aside:
            self._aside[target][1].append(said)  # the user decides first
        else:
            self._waiting.append(said)
        if said.kind == "save":
            self._show((target,))
        self._tell()
        self._send()

    def reload(self) -> None:
        """Read all labels again, after an import or when classes were edited.

        Raises:
            LabelStoreError: they cannot be read.
        """
        self.classes = self.store.classes.names()
        before, self._known = self._known, self.store.labels(self.scanner)
        changed = tuple(record for target, record in self._known.items() if record != before.get(target))
        self._show(tuple(record.target_id for record in changed))
        self._tell_others(changed)
        self._tell()

    def retry(self) -> None:
        """Send again what the database refused."""
        self._send()

    def _committed(self, target_id: str) -> LabelRecord:
        return self._known.get(target_id) or LabelRecord(target_id, self.scanner)

    def _answer(self, answer: Answer) -> None:
        self._answered[answer.client_id] = answer
        self.answers = (*self.answers[-99:], answer)

    def _refuse(self, said: Said, error: ImoError) -> None:
        self._answer(Answer(said.client_id))
        self._show((said.target_id,))
        wrote = f"\nYou wrote: {said.fields['comment']}" if said.fields.get("comment") else ""
        what = f"not saved: {error}" if said.kind == "save" else f"{said.kind}: {error}"
        self.state = SaveState("refused", f"{what}{wrote}")

    def _send(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy, self._refusal = True, ""
        said = self._waiting[0]
        version = said.base
        while (said.target_id, version + 1) in self._made:
            version += 1
        self.state = SaveState("saving", "saving …")
        self._background.run(
            partial(self._carried_out, said, version),
            partial(self._done, said),
            lambda words: self._done(said, ImoError(words)),
            about=f"saving a label of target {said.target_id}",
        )

    def _carried_out(self, said: Said, version: int) -> tuple[LabelRecord, ...] | ImoError:
        """Carry out a change, in the other thread; return what was written, or why nothing was."""
        who = {"scanner": self.scanner, "client_id": said.client_id}
        try:
            if said.kind == "save":
                return (self.store.change(said.target_id, said.fields, expected_version=version, **who),)
            back_or_forth = self.store.undo if said.kind == "undo" else self.store.redo
            return back_or_forth(**who, tabs=(said.tab, self.tab))
        except ImoError as error:
            return error

    def _done(self, said: Said, outcome: tuple[LabelRecord, ...] | ImoError) -> None:
        self._busy = False
        if isinstance(outcome, LabelConflict) and said.kind == "save":
            mine = [one for one in self._waiting if one.target_id == said.target_id]
            self._waiting = deque(one for one in self._waiting if one.target_id != said.target_id)
            self._aside[said.target_id] = (outcome.current, mine)
            self._tell()
        elif isinstance(outcome, InputError) or (said.kind != "save" and isinstance(outcome, ImoError)):
            self._waiting.popleft()  # it would be refused again
            self._refuse(said, outcome)
        elif isinstance(outcome, ImoError):
            self._refusal = str(outcome)
            self._tell()
            return
        else:
            self._waiting.popleft()
            self._made |= {(record.target_id, record.version) for record in outcome}
            before = {record.target_id: self._committed(record.target_id).label for record in outcome}
            self._adopt(outcome)
            self._tell_others(outcome)
            self._answer(Answer(said.client_id, {record.target_id: record.version for record in outcome}))
            self._tell(_words(said, before, outcome))
        self._send()

    def _adopt(self, records: tuple[LabelRecord, ...]) -> None:
        for record in records:
            if record.version >= self._committed(record.target_id).version:  # an answer again may be older
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

    def _count(self) -> str:
        return "1 change" if self.unsaved == 1 else f"{self.unsaved} changes"

    def _fetched(self, found: LabelRecord, classes: tuple[str, ...]) -> None:
        if classes != self.classes:  # edited elsewhere
            try:
                self.reload()
            except ImoError as error:
                log.info("reading the labels: %s", error)
                return
        self._follow((found,))

    def _follow(self, records: Iterable[LabelRecord]) -> None:
        """Take over what was saved elsewhere, except where this session has something to say itself."""
        own = {one.target_id for one in self._waiting} | self._aside.keys()
        newer = tuple(
            one for one in records if one.target_id not in own and one.version > self._committed(one.target_id).version
        )
        if newer:
            self._adopt(newer)
            self._tell()

    def _tell_others(self, records: Sequence[LabelRecord]) -> None:
        """Let other sessions of this user know: the user has a second tab, perhaps."""
        if records:
            self._told = records
            self.store.news.tell(records)

    def _hear(self, records: Sequence[LabelRecord]) -> None:
        if records is not self._told and records[0].scanner == self.scanner:
            self._background.hand_back(partial(self._follow, records))


def _words(change: Said, before: Mapping[str, Label], records: tuple[LabelRecord, ...]) -> str:
    if change.kind != "save":
        return step_words(change.kind, before, records)
    saved_at = records[0].saved_at
    return f"saved {saved_at.astimezone():%H:%M:%S}" if saved_at is not None else ""
