"""Opening: new files, known ones, newer ones, and those of others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from trivium.errors import StoreError, StoreTooNew, StoreUnsupported
from trivium.testing.clock import TestClock
from trivium.testing.faults import raise_at
from trivium_storage_sql.migrating import Migration
from trivium_storage_sqlite.database import LOWEST_SQLITE, Database, check_sqlite
from trivium_storage_sqlite.location import parse_url
from trivium_storage_sqlite.migrations import MIGRATIONS
from trivium_storage_sqlite.store import SqliteStorage

SECOND = Migration(MIGRATIONS[-1].number + 1, "a column", ("ALTER TABLE notes ADD COLUMN colour TEXT",))
THIRD = Migration(SECOND.number + 1, "an index", ("CREATE INDEX notes_colour ON notes (colour)",))


def opened(url: str, *more: Migration) -> Database:
    database = Database(parse_url(url), migrations=(*MIGRATIONS, *more))
    database.open()
    return database


def made(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        return str(found)


def test_a_new_file_gets_the_newest_schema(path: Path, url: str) -> None:
    opened(url, SECOND, THIRD).close()

    assert version(path) == str(THIRD.number)


def test_step_by_step_is_from_scratch(tmp_path: Path) -> None:
    steps, scratch = tmp_path / "steps.db", tmp_path / "scratch.db"
    for more in ((), (SECOND,), (SECOND, THIRD)):
        opened(f"sqlite:///{steps}", *more).close()

    opened(f"sqlite:///{scratch}", SECOND, THIRD).close()

    assert made(steps) == made(scratch)
    assert version(steps) == version(scratch)


def test_an_old_file_keeps_what_is_in_it(path: Path, url: str, clock: TestClock) -> None:
    with SqliteStorage(url, clock):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO notes (run_id, seq, at, text) VALUES ('r', 1, 2, 'kept')")

    opened(url, SECOND).close()

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT text, colour FROM notes").fetchall() == [("kept", None)]


def test_a_migration_that_breaks_off_leaves_the_old_schema(path: Path, url: str) -> None:
    opened(url).close()

    with raise_at("sqlite.migrated", KeyError("crash")), pytest.raises(KeyError):
        opened(url, SECOND)

    assert version(path) == str(MIGRATIONS[-1].number)
    opened(url, SECOND).close()
    assert version(path) == str(SECOND.number)


def test_a_newer_schema_is_refused(path: Path, url: str, clock: TestClock) -> None:
    opened(url, SECOND, THIRD).close()

    with pytest.raises(StoreTooNew) as caught:
        SqliteStorage(url, clock).open()

    assert (caught.value.found, caught.value.known) == (THIRD.number, MIGRATIONS[-1].number)
    assert "upgrade trivium" in str(caught.value)


def test_many_processes_may_create_one_file_at_once(child) -> None:
    script = 'say("ready"); hear(); storage.open(); say(len(storage.needs())); storage.close()'
    children = [child(script) for _ in range(4)]
    for each in children:
        assert each.hear() == "ready"

    for each in children:
        each.say()

    assert [each.hear() for each in children] == ["0"] * 4


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE customers (id INTEGER PRIMARY KEY)",
        "CREATE TABLE meta (id INTEGER)",
        "CREATE TABLE meta (name TEXT, value TEXT)",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_alone(
    path: Path, url: str, clock: TestClock, statement: str
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)

    with pytest.raises(StoreUnsupported, match="another program"):
        SqliteStorage(url, clock).open()

    assert made(path) == {statement}


def test_a_schema_number_that_is_none_is_refused(path: Path, url: str, clock: TestClock) -> None:
    opened(url).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = 'soon'")

    with pytest.raises(StoreError):
        SqliteStorage(url, clock).open()


def test_an_old_sqlite_is_refused() -> None:
    check_sqlite(LOWEST_SQLITE)

    with pytest.raises(StoreUnsupported, match=r"3\.34\.1.*3\.35\.0"):
        check_sqlite((3, 34, 1))


@pytest.mark.parametrize(("query", "level"), [("", 2), ("?synchronous=normal", 1)])
def test_the_url_says_how_durable_a_commit_is(url: str, query: str, level: int) -> None:
    database = opened(url + query)

    with database.writing() as connection:
        found = connection.execute("PRAGMA synchronous").fetchone()

    assert found == (level,)
    database.close()


def test_the_folder_beside_the_file_is_its_owners_alone(path: Path, storage: SqliteStorage) -> None:
    folder = path.with_name("store.db-trivium")

    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "write.lock").stat().st_mode & 0o077 == 0


def test_closing_leaves_one_file_without_a_log(path: Path, url: str, clock: TestClock) -> None:
    with SqliteStorage(url, clock):
        assert path.with_name("store.db-wal").exists()

    assert not path.with_name("store.db-wal").exists()
