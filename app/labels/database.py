"""Open the database of labels so that what it acknowledges is on the disk, and say in one line why it refuses.

All that only concerns SQLite is in this module. The file belongs on a local disk: SQLite's locks do not hold on
network file systems.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from app.labels.records import DEFAULT_CLASSES, LabelStoreError
from app.labels.schema import SCHEMA_VERSION, class_table, metadata, version_table
from imo_engine.errors import InputError

__all__ = ["Database", "journal_mode"]

T = TypeVar("T")

BUSY_SECONDS = 10
ATTEMPTS = 3
_HEADER_BYTES = 100
_REASONS = (
    ("SQLITE_FULL", "the disk is full"),
    ("SQLITE_IOERR", "the disk is full or failing"),
    ("SQLITE_READONLY", "the file or its folder is read-only"),
    ("SQLITE_CANTOPEN", "it cannot be opened or created there"),
    ("SQLITE_BUSY", f"another program has held it for {BUSY_SECONDS} s"),
    ("SQLITE_LOCKED", f"another program has held it for {BUSY_SECONDS} s"),
    ("SQLITE_CORRUPT", "it is damaged; go back to a copy, or try sqlite3's .recover on one"),
    ("SQLITE_NOTADB", "it is not an SQLite database; left as it is"),
)


def journal_mode(version: tuple[int, ...]) -> str:
    """Return the journal mode to use with this version of SQLite.

    Write-ahead logs of versions before 3.51.3 can lose a transaction when two connections write and checkpoint
    at the same time. TRUNCATE rather than DELETE, because with synchronous=FULL it also syncs the end of the
    journal, without which a power cut could bring an acknowledged label's old state back.
    """
    return "WAL" if version >= (3, 51, 3) else "TRUNCATE"


class Database:
    """One database, opened once a process; used from any thread.

    Attributes:
        name: The path as given, or the URL without its password.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        """Open the database, or create it with the default classes.

        Raises:
            InputError: neither a path nor a URL of a database that is kept.
            LabelStoreError: it cannot be opened or created, is damaged, or is something else; it is left as it is.
        """
        url, self._path = _parse(url_or_path)
        self.name = str(self._path) if self._path else url.render_as_string(hide_password=True)
        self._writing = threading.Lock()
        if self._path:
            _check_file(self._path, self.name)
        try:
            self._engine = create_engine(url)
        except (SQLAlchemyError, ImportError) as error:
            raise LabelStoreError(f"{self.name}: {error}") from None
        if self._path:
            _keep_promises(self._engine, self.name)
        try:
            self._prepare()
            self._identity = _identity(self._path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return ``work(connection)``, which sees one state of the database.

        Raises:
            LabelStoreError: it cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            raise LabelStoreError(f"{self.name}: cannot be read: {_reason(error.orig)}") from error

    def write(self, work: Callable[[Connection], T], *, refusal: str = "nothing was saved") -> T:
        """Return ``work(connection)`` once all that it did is committed; if it raises, nothing of it is.

        Args:
            work: May run several times, if another writer was faster.
            refusal: What to say if the database does not take it.

        Raises:
            LabelStoreError: the disk is full, the database read-only, damaged, gone or too busy.
        """
        writer = self._engine.execution_options(writes=True)
        with self._writing:  # SQLite's own waiting polls; threads of one process queue up here instead
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    with writer.begin() as connection:
                        if self._path and _identity(self._path) != self._identity:
                            raise LabelStoreError(f"{self.name}: removed or replaced while in use; {refusal}; restart")
                        return work(connection)
                except IntegrityError as error:
                    if attempt == ATTEMPTS:
                        raise LabelStoreError(f"{self.name}: {refusal}: {_reason(error.orig)}") from error
                except DBAPIError as error:
                    raise LabelStoreError(f"{self.name}: {refusal}: {_reason(error.orig)}") from error
        raise AssertionError("unreachable")

    def _prepare(self) -> None:
        """Create the tables in an empty database, else check that they are ours."""
        if self.read(self._is_ready):
            return

        def create(connection: Connection) -> None:
            if self._is_ready(connection):  # somebody else was faster
                return
            metadata.create_all(connection)
            connection.execute(insert(version_table).values(version=SCHEMA_VERSION))
            classes = [
                {"name": name, "description": description, "position": position, "listed": True}
                for position, (name, description) in enumerate(DEFAULT_CLASSES)
            ]
            connection.execute(insert(class_table), classes)

        self._identity = _identity(self._path)
        self.write(create, refusal="cannot be created")

    def _is_ready(self, connection: Connection) -> bool:
        """Whether the tables are there."""
        found = set(inspect(connection).get_table_names())
        if version_table.name not in found:
            strange = found if self._path else found & set(metadata.tables)
            if strange:
                raise LabelStoreError(
                    f"{self.name}: holds other tables ({', '.join(sorted(strange)[:3])}), not labels; left as it is"
                )
            return False
        missing = sorted(set(metadata.tables) - found)
        if missing:
            raise LabelStoreError(f"{self.name}: is damaged: table {', '.join(missing)} is missing; left as it is")
        version = connection.execute(select(version_table.c.version)).scalar()
        if version != SCHEMA_VERSION:
            raise LabelStoreError(
                f"{self.name}: has layout {version}, this program knows {SCHEMA_VERSION}; left as it is"
            )
        return True


def _parse(url_or_path: str | Path) -> tuple[URL, Path | None]:
    """Return the URL, and the file if it is one."""
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        if not str(url_or_path) or str(url_or_path) == ":memory:":
            raise InputError(f"'url_or_path' is {str(url_or_path)!r}; expected a file: labels are to be kept")
        path = Path(url_or_path)
        return URL.create("sqlite", database=str(path.absolute())), path
    try:
        url = make_url(url_or_path)
    except ArgumentError:
        raise InputError("'url_or_path' is neither a file nor the URL of a database") from None
    if url.get_backend_name() != "sqlite":
        return url, None
    if not url.database or url.database.startswith((":memory:", "file:")) or url.query:
        raise InputError(f"'url_or_path' is {url_or_path!r}; expected sqlite:///FILE: labels are to be kept")
    return URL.create("sqlite", database=str(Path(url.database).absolute())), Path(url.database)


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Which file ``path`` is now; None if there is none."""
    try:
        status = os.stat(path) if path else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def _check_file(path: Path, name: str) -> None:
    """Refuse a file that is no database or is damaged, before anything could write to it."""
    log = path.with_name(path.name + "-wal")
    try:
        if path.is_dir():
            raise LabelStoreError(f"{name}: is a folder, expected a file")
        if not path.parent.is_dir():
            raise LabelStoreError(f"{name}: there is no folder {path.parent}")
        size = path.stat().st_size if path.exists() else 0
        if size == 0:
            if log.exists() and log.stat().st_size > 0:
                raise LabelStoreError(f"{name}: is empty or missing, but {log.name} holds changes to it; left as it is")
            return
    except OSError as error:
        raise LabelStoreError(f"{name}: cannot be read: {error.strerror}") from None
    if size < _HEADER_BYTES:
        raise LabelStoreError(f"{name}: is not an SQLite database; left as it is")
    # never open() a database: closing it would drop the locks that SQLite holds on it in this process
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise LabelStoreError(f"{name}: cannot be opened: {_reason(error)}") from error
    if verdict != "ok":
        raise LabelStoreError(f"{name}: is damaged ({' '.join(verdict.split())[:100]}); left as it is")


def _keep_promises(engine: Engine, name: str) -> None:
    """Make every connection durable and every write transaction exclusive from its start."""
    wanted = journal_mode(sqlite3.sqlite_version_info)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # else the driver decides when a transaction begins
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        if mode == "wal" != wanted.lower():
            raise LabelStoreError(
                f"{name}: another program has it open with a write-ahead log, which SQLite "
                f"{sqlite3.sqlite_version} may corrupt; close that program first"
            )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: Any) -> str:  # noqa: ANN401 - each driver has its own errors
    """Why the database refuses, in words."""
    code = getattr(error, "sqlite_errorname", "")
    for prefix, text in _REASONS:
        if code.startswith(prefix):
            return f"{text} ({code})"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
