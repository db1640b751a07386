"""The history of labels: read the newest version, add a version, find what to undo. Inside one transaction each."""

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    true,
)

from app.labels.records import Label, LabelChange, LabelRecord
from app.labels.schema import change_table as change
from app.labels.schema import class_table
from imo_engine.errors import InputError

__all__ = ["add_version", "current", "newest", "of_request", "redo", "rows_of", "undo", "versions"]


def current(connection: Connection, scanner: str, target_id: str) -> LabelRecord:
    """Return the newest version of a label; version 0 if there is none."""
    wanted = change.c.scanner == scanner, change.c.target_id == target_id
    row = connection.execute(_rows().where(*wanted).order_by(change.c.version.desc()).limit(1)).first()
    return LabelRecord(target_id, scanner) if row is None else _record(row)


def newest(connection: Connection, scanner: str) -> dict[str, LabelRecord]:
    """Return the newest version of every label of ``scanner``, by target, oldest change first."""
    last = (
        select(change.c.target_id, func.max(change.c.version).label("version"))
        .where(change.c.scanner == scanner)
        .group_by(change.c.target_id)
        .subquery()
    )
    same = (change.c.target_id == last.c.target_id) & (change.c.version == last.c.version)
    found = _rows().join(last, same).where(change.c.scanner == scanner).order_by(change.c.id)
    return {row.target_id: _record(row) for row in connection.execute(found)}


def versions(connection: Connection, scanner: str, target_id: str) -> tuple[LabelChange, ...]:
    """Return all versions of a label, oldest first."""
    wanted = change.c.scanner == scanner, change.c.target_id == target_id
    found = connection.execute(_rows().where(*wanted).order_by(change.c.version))
    return tuple(LabelChange(_record(row), row.kind, row.client_id) for row in found)


def of_request(connection: Connection, scanner: str, client_id: str) -> list[LabelChange]:
    """Return what the request ``client_id`` of ``scanner`` did, if it was carried out already."""
    found = rows_of(connection, change.c.scanner == scanner, change.c.client_id == client_id)
    return [LabelChange(_record(row), row.kind, row.client_id) for row in found]


def add_version(
    connection: Connection,
    before: LabelRecord,
    label: Label,
    *,
    kind: str,
    client_id: str,
    undoes: int | None = None,
) -> LabelRecord:
    """Add the version after ``before``.

    Raises:
        InputError: a class that is not in the database.
    """
    now = datetime.now(UTC)
    connection.execute(
        insert(change).values(
            scanner=before.scanner,
            target_id=before.target_id,
            version=before.version + 1,
            kind=kind,
            client_id=client_id,
            undoes=undoes,
            class_id=_class_id(connection, label.label_class),
            quality=label.quality,
            issues=label.issues,
            redshift=label.redshift,
            spectype=label.spectype,
            comment=label.comment,
            star=label.star,
            saved_at=now.isoformat(),
        )
    )
    return replace(before, label=label, version=before.version + 1, saved_at=now)


Tabs = Collection[str] | None


def undo(connection: Connection, scanner: str, client_id: str, tabs: Tabs) -> list[LabelRecord]:
    """Take back the last request of ``scanner`` that is in effect; an import counts as one request.

    Only requests from these ``tabs``, see :meth:`app.labels.store.LabelStore.undo`.
    """
    later, again = change.alias(), change.alias()
    redone = exists().where(again.c.undoes == later.c.id)
    undone = exists().where(later.c.undoes == change.c.id, ~redone)
    in_effect = change.c.scanner == scanner, change.c.undoes.is_(None), ~undone, _said_in(change, tabs)
    return _step(connection, in_effect, "undo", client_id)


def redo(connection: Connection, scanner: str, client_id: str, tabs: Tabs) -> list[LabelRecord]:
    """Repeat what the last undo took back, unless something was saved since; otherwise as :func:`undo`."""
    again, since = change.alias(), change.alias()
    redone = exists().where(again.c.undoes == change.c.id)
    later = since.c.scanner == scanner, since.c.undoes.is_(None), since.c.id > change.c.id, _said_in(since, tabs)
    superseded = exists().where(*later)
    in_effect = change.c.scanner == scanner, change.c.kind == "undo", ~redone, ~superseded, _said_in(change, tabs)
    return _step(connection, in_effect, "redo", client_id)


def rows_of(connection: Connection, *conditions: Any) -> list[Row[Any]]:  # noqa: ANN401 - SQL expressions
    """Return changes in the order they were made."""
    return list(connection.execute(_rows().where(*conditions).order_by(change.c.id)))


def _said_in(changes: FromClause, tabs: Tabs) -> ColumnElement[bool]:
    if tabs is None:
        return true()
    return or_(false(), *(changes.c.client_id.startswith(f"{tab}.", autoescape=True) for tab in tabs))


def _step(
    connection: Connection, conditions: tuple[ColumnElement[bool], ...], kind: str, client_id: str
) -> list[LabelRecord]:
    """Revert the newest request of which all still holds; none: there is none."""
    newest_first = select(change.c.client_id).where(*conditions).group_by(change.c.client_id)
    for request in connection.execute(newest_first.order_by(func.max(change.c.id).desc())).scalars().all():
        steps = [_reverted(connection, row) for row in rows_of(connection, change.c.client_id == request, *conditions)]
        if None not in steps:
            return [
                add_version(connection, now, label, kind=kind, client_id=client_id, undoes=number)
                for now, label, number in filter(None, steps)
            ]
    return []


def _rows() -> Select[Any]:
    """Changes with the names of their classes."""
    return select(change, class_table.c.name.label("class_name")).join_from(change, class_table, isouter=True)


def _reverted(connection: Connection, row: Row[Any]) -> tuple[LabelRecord, Label, int] | None:
    """Return a label, what it would be without ``row``, and the number of that; None: it was said over since."""
    now, said = current(connection, row.scanner, row.target_id), _record(row).label
    wanted = (
        change.c.scanner == row.scanner,
        change.c.target_id == row.target_id,
        change.c.version == row.version - 1,
    )
    before = connection.execute(_rows().where(*wanted)).first()
    old = Label() if before is None else _record(before).label
    changed = [one.name for one in fields(Label) if getattr(old, one.name) != getattr(said, one.name)]
    if any(getattr(now.label, name) != getattr(said, name) for name in changed):
        return None
    return now, replace(now.label, **{name: getattr(old, name) for name in changed}), row.id


def _record(row: Row[Any]) -> LabelRecord:
    label = Label(
        row.class_name or "", row.quality, row.issues, row.redshift, row.spectype, row.comment, bool(row.star)
    )
    return LabelRecord(row.target_id, row.scanner, label, row.version, datetime.fromisoformat(row.saved_at))


def _class_id(connection: Connection, name: str) -> int | None:
    if not name:
        return None
    number: int | None = connection.execute(select(class_table.c.id).where(class_table.c.name == name)).scalar()
    if number is None:
        raise InputError(f"'label_class' is {name!r:.60}, which is not in the list of classes")
    return number
