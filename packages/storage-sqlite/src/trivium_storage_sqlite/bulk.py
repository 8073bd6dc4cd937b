"""Many rows in few calls.

The driver lets go of the interpreter around every step of a statement, and `executemany` steps once for each row, a
query once for each row that it gives. Beside a busy event loop each return to the interpreter may wait for a switch
interval, which costs far more than the row. So rows are written with statements that hold many of them, and read as
one JSON text.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from trivium_storage_sql.rows import Record

CHUNKS: Final = (64, 32, 16, 8, 4, 2, 1)
"""Rows that one statement may hold: few sizes, so that all of them stay prepared."""

_GROUP: Final = re.compile(r"VALUES (\((?:\?, )*\?\))")


def write_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[Record]) -> None:
    """Run a one-row `INSERT ... VALUES` or `UPDATE ... WHERE` for all of the rows, in order.

    The rows of an `UPDATE` are those of different keys: of two for one key either may win.
    """
    start = 0
    for size in _sizes(len(rows)):
        values = [value for row in rows[start : start + size] for value in row]
        connection.execute(widened(statement, size), values)
        start += size


def _sizes(count: int) -> Iterator[int]:
    for size in CHUNKS:
        while count >= size:
            yield size
            count -= size


@functools.lru_cache(maxsize=256)
def widened(statement: str, rows: int) -> str:
    """The same statement for so many rows, their values one after the other."""
    if rows == 1:
        return statement
    group = _GROUP.search(statement)
    if group is not None:
        return statement[: group.start(1)] + ", ".join([group[1]] * rows) + statement[group.end(1) :]
    numbers = iter(range(1, statement.count("?") + 1))
    changed = re.sub(r"\?", lambda _: f"new.column{next(numbers)}", statement)
    head, _, tail = changed.rpartition(" WHERE ")
    values = f"({', '.join('?' * statement.count('?'))})"
    return f"{head} FROM (VALUES {', '.join([values] * rows)}) AS new WHERE {tail}"
