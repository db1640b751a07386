"""The history of labels: read the newest version, add a version, find what to undo. Inside one transaction each."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, insert, select

from app.labels.records import Label, LabelChange, LabelConflict, LabelRecord
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


Seen = Callable[[LabelChange], bool]


def undo(connection: Connection, scanner: str, client_id: str, seen: Seen) -> list[LabelRecord]:
    """Take back the last request of ``scanner`` that is in effect; an import counts as one request.

    Raises:
        InputError: it has not been ``seen``.
    """
    later, again = change.alias(), change.alias()
    redone = exists().where(again.c.undoes == later.c.id)
    undone = exists().where(later.c.undoes == change.c.id, ~redone)
    in_effect = change.c.scanner == scanner, change.c.undoes.is_(None), ~undone
    request = _last_request(connection, in_effect)
    rows = _seen_rows(connection, seen, change.c.client_id == request, *in_effect)
    return [_revert(connection, row, "undo", client_id) for row in rows]


def redo(connection: Connection, scanner: str, client_id: str, seen: Seen) -> list[LabelRecord]:
    """Repeat what the last undo took back, unless something was saved since; otherwise as :func:`undo`."""
    again, since = change.alias(), change.alias()
    redone = exists().where(again.c.undoes == change.c.id)
    superseded = exists().where(since.c.scanner == scanner, since.c.undoes.is_(None), since.c.id > change.c.id)
    in_effect = change.c.scanner == scanner, change.c.kind == "undo", ~redone, ~superseded
    request = _last_request(connection, in_effect)
    rows = _seen_rows(connection, seen, change.c.client_id == request, *in_effect)
    return [_revert(connection, row, "redo", client_id) for row in rows]


def rows_of(connection: Connection, *conditions: Any) -> list[Row[Any]]:  # noqa: ANN401 - SQL expressions
    """Return changes in the order they were made."""
    return list(connection.execute(_rows().where(*conditions).order_by(change.c.id)))


def _seen_rows(connection: Connection, seen: Seen, *conditions: Any) -> list[Row[Any]]:  # noqa: ANN401
    rows = rows_of(connection, *conditions)
    for row in rows:
        if not seen(LabelChange(_record(row), row.kind, row.client_id)):
            raise InputError(f"the last change was made elsewhere meanwhile, of target {row.target_id}")
    return rows


def _rows() -> Select[Any]:
    """Changes with the names of their classes."""
    return select(change, class_table.c.name.label("class_name")).join_from(change, class_table, isouter=True)


def _last_request(connection: Connection, conditions: Iterable[Any]) -> str | None:
    """Return the request that made the newest of these changes."""
    newest_first = select(change.c.client_id).where(*conditions).order_by(change.c.id.desc()).limit(1)
    return connection.execute(newest_first).scalar()


def _revert(connection: Connection, row: Row[Any], kind: str, client_id: str) -> LabelRecord:
    """Bring back the version before ``row``."""
    now = current(connection, row.scanner, row.target_id)
    if now.label != _record(row).label:  # cannot be: what came later was taken back first
        raise LabelConflict(now, row.version)
    wanted = (
        change.c.scanner == row.scanner,
        change.c.target_id == row.target_id,
        change.c.version == row.version - 1,
    )
    before = connection.execute(_rows().where(*wanted)).first()
    label = Label() if before is None else _record(before).label
    return add_version(connection, now, label, kind=kind, client_id=client_id, undoes=row.id)


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
