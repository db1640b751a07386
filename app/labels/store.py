"""The service that keeps labels: what it returns from a save is committed to the disk."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from app.labels import changes
from app.labels.classes import ClassList, ensure_class
from app.labels.database import Database
from app.labels.news import News
from app.labels.records import (
    Disagreement,
    ImportSummary,
    Inspection,
    Label,
    LabelChange,
    LabelConflict,
    LabelRecord,
    Progress,
    check_name,
)
from app.labels.schema import change_table
from imo_engine.errors import InputError

__all__ = ["LabelStore"]

COMPARED = ("label_class", "quality", "star")


class LabelStore:
    """Labels of all people in one database: one a person (``scanner``) and target, with its history.

    To be opened once a process and used from any thread; several processes may use one database. Every change
    is one transaction: it is on the disk when the method returns, and has not happened if it raises.

    Attributes:
        classes: The list of classes to choose from.
        news: Told by who saves, so that others of this process follow.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        """Open a file (SQLite, made if missing) or the URL of a database as SQLAlchemy spells it.

        Raises:
            InputError: neither of these.
            LabelStoreError: it cannot be opened or created, is damaged, or holds something else; it is left as it is.
        """
        self._database = Database(url_or_path)
        self.classes = ClassList(self._database)
        self.news: News[Sequence[LabelRecord]] = News()

    @property
    def name(self) -> str:
        """File or URL, without a password."""
        return self._database.name

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        self._database.close()

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self, target_id: str, label: Label, *, scanner: str, client_id: str, expected_version: int) -> LabelRecord:
        """Save a label and return it with its new version.

        Args:
            target_id: Which target.
            label: What it becomes; an empty label takes back what was said.
            scanner: Whose label.
            client_id: Made by the caller, a new one for each change; the same one again is the same change.
            expected_version: Version that the change is based on; 0 if there was none.

        A label that is as it was adds no version.

        Raises:
            InputError: an unknown class, or a ``client_id`` that was used for something else.
            LabelConflict: the label is at another version by now; nothing was overwritten.
            LabelStoreError: the disk or the database refuses; nothing was saved.
        """
        check_name("target_id", target_id)
        check_name("scanner", scanner)
        check_name("client_id", client_id)

        def work(connection: Connection) -> LabelRecord:
            for done in changes.of_request(connection, scanner, client_id):
                if done.kind != "save" or done.record.target_id != target_id or done.record.label != label:
                    raise InputError(f"'client_id' is {client_id!r:.60}, which was used for another change")
                return done.record
            before = changes.current(connection, scanner, target_id)
            if before.version != expected_version:
                raise LabelConflict(before, expected_version)
            if before.label == label:
                return before
            return changes.add_version(connection, before, label, kind="save", client_id=client_id)

        return self._database.write(work, refusal=f"the label of target {target_id} was not saved")

    def change(
        self, target_id: str, fields: Mapping[str, Any], *, scanner: str, client_id: str, expected_version: int
    ) -> LabelRecord:
        """Change parts of a label and return it with its new version; otherwise as :meth:`save`.

        The same ``client_id`` again returns the version that it made, whatever the label became since. What the label
        says already is no conflict.
        """
        check_name("target_id", target_id)
        check_name("scanner", scanner)
        check_name("client_id", client_id)

        def work(connection: Connection) -> LabelRecord:
            for done in changes.of_request(connection, scanner, client_id):
                if done.kind != "save" or done.record.target_id != target_id:
                    raise InputError(f"'client_id' is {client_id!r:.60}, which was used for another change")
                return done.record
            before = changes.current(connection, scanner, target_id)
            label = replace(before.label, **fields)
            if before.label == label:
                return before
            if before.version != expected_version:
                raise LabelConflict(before, expected_version)
            return changes.add_version(connection, before, label, kind="save", client_id=client_id)

        return self._database.write(work, refusal=f"the label of target {target_id} was not saved")

    def undo(self, scanner: str, *, client_id: str, tabs: Collection[str] | None = None) -> tuple[LabelRecord, ...]:
        """Take back the last change of ``scanner``, then the one before it, and so on; an import is one change.

        What was said over elsewhere since does not hold any more, and is passed over.

        Args:
            scanner: Whose change.
            client_id: As in :meth:`save`.
            tabs: Only changes whose ``client_id`` begins with one of these and a point; None: all.

        Returns the labels as they are now; none if there is nothing to undo.

        Raises:
            InputError: a ``client_id`` that was used for something else.
            LabelStoreError: the disk or the database refuses; nothing was changed.
        """
        return self._step("undo", scanner, client_id, tabs)

    def redo(self, scanner: str, *, client_id: str, tabs: Collection[str] | None = None) -> tuple[LabelRecord, ...]:
        """Repeat what was undone last, unless something was saved since; otherwise as :meth:`undo`."""
        return self._step("redo", scanner, client_id, tabs)

    def get(self, target_id: str, scanner: str) -> LabelRecord:
        """Return one label; an empty one at version 0 if there never was one.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        return self._database.read(lambda connection: changes.current(connection, scanner, target_id))

    def labels(self, scanner: str) -> dict[str, LabelRecord]:
        """Return all labels of ``scanner`` by target, those that were taken back too (they have a version).

        Raises:
            LabelStoreError: the database cannot be read.
        """
        return self._database.read(lambda connection: changes.newest(connection, scanner))

    def history(self, target_id: str, scanner: str) -> tuple[LabelChange, ...]:
        """Return all versions of a label, oldest first; classes under their names of today.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        return self._database.read(lambda connection: changes.versions(connection, scanner, target_id))

    def scanners(self) -> tuple[str, ...]:
        """Return everybody who ever labelled, in alphabetical order.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        everybody = select(change_table.c.scanner).distinct()
        return tuple(sorted(self._database.read(lambda connection: connection.execute(everybody).scalars().all())))

    def progress(self, target_ids: Iterable[str], scanner: str) -> Progress:
        """Return how many of these targets have a class or a quality from ``scanner``.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        wanted = set(target_ids)
        return Progress(len(wanted & self._decided(scanner)), len(wanted))

    def unlabelled_first(self, target_ids: Sequence[str], scanner: str) -> tuple[str, ...]:
        """Return the targets in their order, those with neither class nor quality before all others.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        decided = self._decided(scanner)
        return tuple(sorted(target_ids, key=lambda target: target in decided))

    def disagreements(self, scanner: str, other: str) -> tuple[Disagreement, ...]:
        """Return the targets that both have labelled and whose class, quality or star differ, ordered by target.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        mine, others = self._database.read(
            lambda connection: (changes.newest(connection, scanner), changes.newest(connection, other))
        )
        found = []
        for target in sorted(mine.keys() & others.keys()):
            first, second = mine[target], others[target]
            differ = tuple(name for name in COMPARED if getattr(first.label, name) != getattr(second.label, name))
            if differ and not first.label.empty and not second.label.empty:
                found.append(Disagreement(first, second, differ))
        return tuple(found)

    def import_labels(
        self, inspections: Iterable[Inspection], *, client_id: str, replace: bool = False
    ) -> ImportSummary:
        """Save labels from a file, all or none of them, each as its own scanner's; add classes that are missing.

        Args:
            inspections: Lines of the file, one a scanner and target; empty labels are passed over.
            client_id: As in :meth:`save`; for each scanner the import is one change to undo.
            replace: Whether the file wins over labels that differ; else these are left and returned.

        Raises:
            InputError: two lines for one scanner and target.
            LabelStoreError: the disk or the database refuses; nothing was imported.
        """
        check_name("client_id", client_id)
        wanted: dict[tuple[str, str], Label] = {}
        for line in inspections:
            if (line.scanner, line.target_id) in wanted:
                raise InputError(f"target {line.target_id} has two labels of scanner {line.scanner}")
            wanted[line.scanner, line.target_id] = line.label
        wanted = {key: label for key, label in wanted.items() if not label.empty}

        def work(connection: Connection) -> ImportSummary:
            names = dict.fromkeys(label.label_class for label in wanted.values() if label.label_class)
            new_classes = tuple(name for name in names if ensure_class(connection, name))
            known = {scanner: changes.newest(connection, scanner) for scanner, _ in wanted}
            used = {scanner: changes.of_request(connection, scanner, client_id) for scanner in known}
            done = {(name, entry.record.target_id) for name, entries in used.items() for entry in entries}
            counts = {"added": 0, "replaced": 0, "unchanged": 0}
            kept = []
            for (scanner, target), label in wanted.items():
                before = known[scanner].get(target, LabelRecord(target, scanner))
                if before.label == label or (scanner, target) in done:
                    counts["unchanged"] += 1
                elif before.label.empty or replace:
                    changes.add_version(connection, before, label, kind="import", client_id=client_id)
                    counts["added" if before.label.empty else "replaced"] += 1
                else:
                    kept.append(before)
            return ImportSummary(**counts, kept=tuple(kept), new_classes=new_classes)

        return self._database.write(work, refusal="no label was imported")

    def _decided(self, scanner: str) -> set[str]:
        return {target for target, record in self.labels(scanner).items() if record.label.decided}

    def _step(self, kind: str, scanner: str, client_id: str, tabs: Collection[str] | None) -> tuple[LabelRecord, ...]:
        """Undo or redo, once for each ``client_id``."""
        check_name("scanner", scanner)
        check_name("client_id", client_id)

        def work(connection: Connection) -> tuple[LabelRecord, ...]:
            done = changes.of_request(connection, scanner, client_id)
            if any(entry.kind != kind for entry in done):
                raise InputError(f"'client_id' is {client_id!r:.60}, which was used for another change")
            if done:
                return tuple(entry.record for entry in done)
            return tuple((changes.undo if kind == "undo" else changes.redo)(connection, scanner, client_id, tabs))

        return self._database.write(work, refusal=f"{kind}: nothing was changed")
