"""Statements for many rows do what one row after the other does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium_storage_sqlite import sql
from trivium_storage_sqlite.bulk import widened, write_rows

INSERT = "INSERT OR REPLACE INTO t (id, word, number) VALUES (?, ?, ?)"
UPDATE = "UPDATE t SET word=?, number=?, gone=NULL WHERE t.id = ?"


@contextmanager
def table() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, word TEXT, number INTEGER, gone TEXT DEFAULT 'x')")
        yield connection


def rows_of(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM t ORDER BY id").fetchall()


WORDS = st.none() | st.text(st.characters(codec="utf-8"), max_size=5)
NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), WORDS, NUMBERS), max_size=200))
def test_inserting_many_rows_is_inserting_them_in_order(rows: list[tuple[str, str | None, int | None]]) -> None:
    with table() as together, table() as one_by_one:
        write_rows(together, INSERT, rows)
        one_by_one.executemany(INSERT, rows)

        assert rows_of(together) == rows_of(one_by_one)


@given(st.dictionaries(st.integers(0, 300).map(str), st.tuples(WORDS, NUMBERS), max_size=150))
def test_updating_many_rows_is_updating_each_by_its_key(changes: dict[str, tuple[str | None, int | None]]) -> None:
    rows = [(word, number, key) for key, (word, number) in changes.items()]
    with table() as together, table() as one_by_one:
        for connection in (together, one_by_one):
            connection.executemany(INSERT, [(str(number), "old", number) for number in range(200)])

        write_rows(together, UPDATE, rows)
        one_by_one.executemany(UPDATE, rows)

        assert rows_of(together) == rows_of(one_by_one)


@pytest.mark.parametrize("statement", [sql.RUN_END, sql.RUN_STATE, sql.RUN_WAKE])
def test_an_update_of_many_runs_finds_each_by_its_primary_key(statement: str) -> None:
    wide = widened(statement, 2)

    assert "FROM (VALUES" in wide
    assert wide.endswith(f"WHERE runs.id = new.column{statement.count('?')}")
    assert wide.count("?") == 2 * statement.count("?")
