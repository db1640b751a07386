"""The list of classes to choose from, kept in the database and edited there."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select, update

from app.labels.database import Database
from app.labels.records import LabelClass, check_name
from app.labels.schema import class_table as table
from imo_engine.errors import InputError

__all__ = ["ClassList", "ensure_class"]


class ClassList:
    """Classes in the order in which they are offered. Labels follow a renamed class and keep a removed one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[LabelClass, ...]:
        """Return the listed classes in their order, then those removed.

        Raises:
            LabelStoreError: the database cannot be read.
        """
        rows = self._database.read(
            lambda connection: connection.execute(select(table).order_by(table.c.position, table.c.id)).all()
        )
        classes = [LabelClass(row.name, row.description, bool(row.listed)) for row in rows]
        return tuple(sorted(classes, key=lambda entry: not entry.listed))

    def names(self) -> tuple[str, ...]:
        """Return the names of the listed classes."""
        return tuple(entry.name for entry in self.all() if entry.listed)

    def add(self, name: str, description: str = "") -> None:
        """Add a class at the end, or bring back one that was removed.

        Raises:
            InputError: a name that is listed already, perhaps in other capitals, or is none.
            LabelStoreError: the database refuses.
        """
        check_name("name", name)

        def work(connection: Connection) -> None:
            _refuse_double(connection, name)
            if not ensure_class(connection, name, description):
                changes: dict[str, object] = {"listed": True, "position": _end(connection)}
                if description:
                    changes["description"] = description
                connection.execute(update(table).where(table.c.name == name).values(changes))

        self._database.write(work, refusal=f"class {name!r} was not added")

    def rename(self, name: str, new_name: str) -> None:
        """Rename a class, in all labels too.

        Raises:
            InputError: no such class, or the new name is taken.
            LabelStoreError: the database refuses.
        """
        check_name("new_name", new_name)

        def work(connection: Connection) -> None:
            _refuse_double(connection, new_name, apart_from=name)
            found = connection.execute(update(table).where(table.c.name == name).values(name=new_name))
            _need(found.rowcount, name)

        self._database.write(work, refusal=f"class {name!r} was not renamed")

    def remove(self, name: str) -> None:
        """Take a class off the list; labels that have it keep it.

        Raises:
            InputError: no such class.
            LabelStoreError: the database refuses.
        """

        def work(connection: Connection) -> None:
            _need(connection.execute(update(table).where(table.c.name == name).values(listed=False)).rowcount, name)

        self._database.write(work, refusal=f"class {name!r} was not removed")

    def order(self, names: Sequence[str]) -> None:
        """Offer the classes in this order.

        Raises:
            InputError: not exactly the listed classes.
            LabelStoreError: the database refuses.
        """

        def work(connection: Connection) -> None:
            listed = connection.execute(select(table.c.name).where(table.c.listed)).scalars()
            if sorted(listed) != sorted(names):
                raise InputError("'names' are not the listed classes, each once")
            for position, name in enumerate(names):
                connection.execute(update(table).where(table.c.name == name).values(position=position))

        self._database.write(work, refusal="the order of the classes was not changed")


def ensure_class(connection: Connection, name: str, description: str = "") -> bool:
    """Add ``name`` at the end unless the database has it; return whether it was added."""
    if connection.execute(select(table.c.id).where(table.c.name == name)).first():
        return False
    values = {"name": name, "description": description, "position": _end(connection), "listed": True}
    connection.execute(insert(table).values(values))
    return True


def _end(connection: Connection) -> int:
    """Return the position after the last."""
    last = connection.execute(select(func.max(table.c.position))).scalar()
    return 0 if last is None else last + 1


def _refuse_double(connection: Connection, name: str, *, apart_from: str = "") -> None:
    """Refuse a name that people would take for another one."""
    for row in connection.execute(select(table.c.name, table.c.listed)):
        same_but_removed = row.name == name and not row.listed and not apart_from
        if row.name != apart_from and row.name.casefold() == name.casefold() and not same_but_removed:
            raise InputError(f"'name' is {name!r:.60}; there is a class {row.name!r} already")


def _need(count: int, name: str) -> None:
    if not count:
        raise InputError(f"'name' is {name!r:.60}, which is not in the list of classes")
