"""Kills, full disks, damaged files and busy neighbours: what was acknowledged stays, the rest is one clear error."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from app.labels import Label, LabelStore, LabelStoreError, database
from app.labels.database import journal_mode
from imo_engine.errors import ImoError, InputError

ROOT = Path(__file__).parents[3]
STAR = Label("star", 4, comment="first")

START = """
import sys
from app.labels import Label, LabelConflict, LabelStore, database
if sys.argv[2]:
    database.journal_mode = lambda version: sys.argv[2]
store = LabelStore(sys.argv[1])
"""

WRITER = (
    START
    + """
number = len(store.labels("ann"))
while True:
    label = Label("star", number % 5, comment=f"text {number}")
    store.save(str(number), label, scanner="ann", client_id=f"c{number}", expected_version=0)
    print(number, flush=True)
    number += 1
"""
)

ADDER = (
    START
    + """
done = 0
while done < 25:
    before = store.get("1", "ann")
    label = Label(comment=str(int(before.label.comment or 0) + 1))
    request = f"{sys.argv[3]} {done} {before.version}"
    try:
        store.save("1", label, scanner="ann", client_id=request, expected_version=before.version)
        done += 1
    except LabelConflict:
        pass
"""
)


def python(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def verdict(path):
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return found


def save(store, target, label=STAR, version=0):
    return store.save(target, label, scanner="ann", client_id=f"{target} {version}", expected_version=version)


def test_old_versions_of_sqlite_keep_no_write_ahead_log():
    assert journal_mode((3, 40, 1)) == journal_mode((3, 51, 2)) == "TRUNCATE"
    assert journal_mode((3, 51, 3)) == journal_mode((3, 52, 0)) == journal_mode((4, 0, 0)) == "WAL"


@pytest.mark.parametrize("mode", ["TRUNCATE", "WAL"])
def test_every_connection_is_durable(tmp_path, monkeypatch, mode):
    monkeypatch.setattr(database, "journal_mode", lambda version: mode)
    settings = {"busy_timeout": 10_000, "foreign_keys": 1, "synchronous": 2, "journal_mode": mode.lower()}
    with LabelStore(tmp_path / "labels.sqlite") as store:
        for name, expected in settings.items():
            sql = f"PRAGMA {name}"
            assert store._database.read(lambda c, sql=sql: c.exec_driver_sql(sql).scalar()) == expected, name


def test_a_write_holds_the_database_from_its_beginning(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:

        def other_writer_is_locked_out(_connection):
            other = sqlite3.connect(tmp_path / "labels.sqlite", timeout=0)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            other.close()
            return True

        assert store._database.write(other_writer_is_locked_out)


@pytest.mark.parametrize("mode", ["", "WAL"])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path, mode):
    path = tmp_path / "labels.sqlite"
    chance = random.Random(4)
    acknowledged = 0
    for _ in range(3):
        writer = python(WRITER, path, mode)
        goal = acknowledged + chance.randint(3, 25)
        for line in writer.stdout:
            acknowledged = int(line) + 1
            if acknowledged >= goal:
                break
        time.sleep(chance.uniform(0, 0.03))
        writer.send_signal(signal.SIGKILL)
        acknowledged += len(writer.stdout.read().split())
        assert (writer.wait(), writer.stderr.read()) == (-signal.SIGKILL, "")
        writer.stdout.close()
        writer.stderr.close()
        with LabelStore(path) as store:
            labels = store.labels("ann")
        assert len(labels) - acknowledged in (0, 1)  # the last may have been killed between commit and print
        for number in range(len(labels)):
            record = labels[str(number)]
            assert (record.version, record.label) == (1, Label("star", number % 5, comment=f"text {number}"))
        assert verdict(path) == "ok"
        acknowledged = len(labels)


@pytest.mark.parametrize("mode", ["", "WAL"])
def test_processes_lose_no_update(tmp_path, mode):
    path = tmp_path / "labels.sqlite"
    for process in [python(ADDER, path, mode, number) for number in range(2)]:  # both make the new database
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (0, "", "")
    with LabelStore(path) as store:
        record = store.get("1", "ann")
        assert (record.label.comment, record.version) == ("50", 50)
        assert len(store.history("1", "ann")) == 50
    assert verdict(path) == "ok"


FILLER = (
    START
    + """
import os, resource, signal
number = 0
def save():
    label = Label(comment="x" * 3000)
    store.save(str(number), label, scanner="ann", client_id=f"c{number}", expected_version=0)
for number in range(3):
    save()
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(sys.argv[1]).st_size + 20_000, hard))
errors = []
while len(errors) < 2:
    number += 1
    try:
        save()
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
        number -= 1
print(*errors, number + 1, len(store.labels("ann")), sep="\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
number += 1
save()
print(len(store.labels("ann")))
"""
)


@pytest.mark.parametrize("mode", ["", "WAL"])
def test_a_limit_on_file_sizes_is_one_clear_error(tmp_path, mode):
    pytest.importorskip("resource")
    path = tmp_path / "labels.sqlite"
    process = python(FILLER, path, mode)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    first, second, acknowledged, found, afterwards = out.splitlines()
    refused = rf"LabelStoreError: {re.escape(str(path))}: the label of target \d+ was not saved: the disk is full or"
    assert re.match(refused, first) and re.match(refused, second)
    assert int(acknowledged) == int(found) == int(afterwards) - 1 >= 3
    with LabelStore(path) as store:
        assert len(store.labels("ann")) == int(afterwards)
    assert verdict(path) == "ok"


@contextmanager
def every_connection(store, sql):
    """All connections of ``store`` begin with ``sql``."""

    def run(connection, _record):
        connection.execute(sql)

    store.close()
    event.listen(store._database._engine, "connect", run)
    yield
    event.remove(store._database._engine, "connect", run)
    store.close()


def test_a_full_disk_is_one_clear_error(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        saved = save(store, "1")
        acknowledged = 0
        with every_connection(store, "PRAGMA max_page_count = 24"):  # as SQLite reports ENOSPC
            with pytest.raises(ImoError, match="labels.sqlite: the label of target 2 was not saved: the disk is full"):
                for version in range(30):
                    acknowledged = save(store, "2", Label(comment=f"{version:4000}"), version).version
            with pytest.raises(LabelStoreError, match="class 'x' was not added: the disk is full"):
                store.classes.add("x", "y" * 20_000)
            assert store.get("1", "ann") == saved
        assert [entry.record.version for entry in store.history("2", "ann")] == list(range(1, acknowledged + 1))
        assert save(store, "2", STAR, acknowledged).version == acknowledged + 1
        assert "x" not in store.classes.names()


def test_a_database_gone_read_only_is_one_clear_error(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        saved = save(store, "1")
        with every_connection(store, "PRAGMA query_only = ON"):
            with pytest.raises(LabelStoreError, match="target 2 was not saved: the file or its folder is read-only"):
                save(store, "2")
            assert store.labels("ann") == {"1": saved}
        assert save(store, "2").version == 1


@contextmanager
def unprivileged():
    """As somebody for whom permissions hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
def test_a_read_only_folder(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:3]):  # pytest's own are for one user
        if folder.owner() == tmp_path.owner():
            folder.chmod(folder.stat().st_mode | 0o055)
    with LabelStore(tmp_path / "labels.sqlite") as store:
        saved = save(store, "1")
    tmp_path.chmod(0o555)
    (tmp_path / "labels.sqlite").chmod(0o444)
    try:
        with unprivileged(), LabelStore(tmp_path / "labels.sqlite") as store:
            assert store.get("1", "ann") == saved
            with pytest.raises(LabelStoreError, match="not saved: the file or its folder is read-only"):
                save(store, "2")
            with pytest.raises(LabelStoreError, match=r"new.sqlite: .*it cannot be opened or created there"):
                LabelStore(tmp_path / "new.sqlite")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    "content",
    [b"x", b"TARGETID,VI_quality\n1,4\n", b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 8176, b"\0" * 4096],
)
def test_a_file_that_is_no_database_is_named_and_left(tmp_path, content):
    path = tmp_path / "labels.sqlite"
    path.write_bytes(content)
    with pytest.raises(LabelStoreError, match=r"labels.sqlite: .*is not an SQLite database; left as it is"):
        LabelStore(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["labels.sqlite"]


def damaged(content, chance):
    """Overwrite all but the first page."""
    return content[:4096] + chance.randbytes(len(content) - 4096)


def test_a_damaged_database_is_never_written_to(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        for number in range(20):
            save(store, str(number), Label(comment="x" * 2000))
        store.close()
        broken = damaged(path.read_bytes(), random.Random(1))
        path.write_bytes(broken)  # while it is in use
        with pytest.raises(LabelStoreError, match="labels.sqlite: cannot be read: it is damaged; go back to a copy"):
            store.labels("ann")
        with pytest.raises(LabelStoreError, match="the label of target new was not saved: it is damaged"):
            save(store, "new")
    assert path.read_bytes() == broken
    with pytest.raises(LabelStoreError, match=r"labels.sqlite: .*damaged"):
        LabelStore(path)
    assert path.read_bytes() == broken


def test_a_page_lost_in_the_middle_is_found_at_the_start(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        for number in range(30):
            save(store, str(number), Label(comment="x" * 2000))
    content = path.read_bytes()
    broken = content[: 4096 * 12] + bytes(4096) + content[4096 * 13 :]
    path.write_bytes(broken)
    with pytest.raises(LabelStoreError, match=r"labels.sqlite: is damaged \(.*\); left as it is"):
        LabelStore(path)
    assert path.read_bytes() == broken


def test_a_log_without_its_database_is_left(tmp_path):
    (tmp_path / "labels.sqlite-wal").write_bytes(b"changes")
    with pytest.raises(LabelStoreError, match="is empty or missing, but labels.sqlite-wal holds changes to it"):
        LabelStore(tmp_path / "labels.sqlite")
    assert (tmp_path / "labels.sqlite-wal").read_bytes() == b"changes"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE TABLE moz_places (url)", r"holds other tables \(moz_places\), not labels"),
        ("DROP TABLE label_change", "is damaged: table label_change is missing"),
        ("UPDATE label_schema SET version = 2", "has layout 2, this program knows 1"),
        ("DELETE FROM label_schema", "has layout None"),
    ],
)
def test_other_databases_are_left(tmp_path, sql, message):
    path = tmp_path / "labels.sqlite"
    if not sql.startswith("CREATE"):
        LabelStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(LabelStoreError, match=f"labels.sqlite: {message}.*left as it is"):
        LabelStore(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("replace", [False, True])
def test_saves_are_refused_once_the_file_is_gone(tmp_path, replace):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        save(store, "1")
        path.rename(tmp_path / "moved.sqlite")
        if replace:
            LabelStore(path).close()
        with pytest.raises(LabelStoreError, match="removed or replaced while in use; the label of target 2 was not"):
            save(store, "2")
    with LabelStore(tmp_path / "moved.sqlite") as store:
        assert list(store.labels("ann")) == ["1"]


def test_a_busy_database_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LabelStoreError, match="target 1 was not saved: another program has held it"):
            save(store, "1")
        with pytest.raises(LabelStoreError, match="cannot be read: another program has held it"):
            store.get("1", "ann")
        other.execute("ROLLBACK")
        assert save(store, "1").version == 1
        other.close()


def test_a_write_ahead_log_in_use_elsewhere_is_refused_by_an_old_version(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    path = tmp_path / "labels.sqlite"
    monkeypatch.setattr(database, "journal_mode", lambda version: "WAL")
    with LabelStore(path) as newer:
        saved = save(newer, "1")
        monkeypatch.setattr(database, "journal_mode", lambda version: "TRUNCATE")
        with pytest.raises(LabelStoreError, match=r"labels.sqlite: .*another program"):
            LabelStore(path)
    with LabelStore(path) as older:  # alone, it can turn the log off
        assert older.get("1", "ann") == saved


@pytest.mark.parametrize(
    "place", ["", ":memory:", "sqlite://", "sqlite:///:memory:", "sqlite:///a?mode=ro", "no url://"]
)
def test_places_that_keep_nothing_are_refused(place):
    with pytest.raises(InputError, match="'url_or_path' is"):
        LabelStore(place)


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(LabelStoreError, match="there is no folder .*nowhere"):
        LabelStore(tmp_path / "nowhere" / "labels.sqlite")
    with pytest.raises(LabelStoreError, match="is a folder, expected a file"):
        LabelStore(tmp_path)


def test_a_server_that_does_not_answer_is_named_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(LabelStoreError, match=r"ann:\*\*\*@127.0.0.1:1/labels: cannot be read") as caught:
        LabelStore("postgresql+psycopg://ann:secret@127.0.0.1:1/labels")
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_one_clear_error():
    with pytest.raises(LabelStoreError, match="mysql"):
        LabelStore("mysql+nodriver://ann:secret@127.0.0.1/labels")
