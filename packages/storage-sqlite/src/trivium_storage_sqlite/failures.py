"""SQLite's errors in our words: what the database refuses to hold, and what keeps it from working at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from trivium.errors import NotJson, StoreError, StoreUnreachable, TooLarge

DATA_ERRORS: Final = (
    sqlite3.DataError,  # larger than SQLite's limit
    sqlite3.IntegrityError,  # a row that stands, or lacks a part
    sqlite3.InterfaceError,  # a type that it cannot bind
    sqlite3.ProgrammingError,  # the same, since Python 3.12
    OverflowError,  # an integer beyond 64 bits
    UnicodeEncodeError,  # text with a lone surrogate
    NotJson,  # the same, where a list is passed on as JSON
    TooLarge,
)
"""The fault of one unit's data: the rest of the batch can be applied without it."""

_CURES: Final[dict[int, tuple[type[StoreError], str, str | None]]] = {
    sqlite3.SQLITE_NOTADB: (StoreUnreachable, "is not a SQLite database", "name another file"),
    sqlite3.SQLITE_CORRUPT: (
        StoreUnreachable,
        "is damaged",
        "restore it from a copy, or save what can be read with: sqlite3 FILE .recover",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreUnreachable,
        "cannot be opened",
        "check that the folder and the file may be read and written",
    ),
    sqlite3.SQLITE_PERM: (StoreUnreachable, "may not be opened", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_AUTH: (StoreUnreachable, "may not be opened", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_READONLY: (
        StoreUnreachable,
        "cannot be written",
        "check the permissions of the file and its folder, and that it was not replaced while it was open",
    ),
    sqlite3.SQLITE_FULL: (
        StoreError,
        "cannot grow: the disk is full",
        "free some space; nothing of this write was applied",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "cannot be read or written: the disk reports an error",
        "look at the system's log",
    ),
    sqlite3.SQLITE_NOMEM: (StoreError, "cannot be used: memory is exhausted", None),
    sqlite3.SQLITE_PROTOCOL: (StoreError, "cannot be locked", "see whether another program holds it"),
}


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where the driver itself complains."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else's lock is in the way."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def store_error(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """Our error for one of SQLite's."""
    if isinstance(error, OSError):
        return StoreUnreachable(f"{path} cannot be opened: {error.strerror or error}", hint="check its permissions")
    known = _CURES.get(primary_code(error))
    if known is None:
        return StoreError(f"{path}: SQLite says: {error}")
    kind, what, cure = known
    return kind(f"{path} {what}", hint=cure)


def refused_data(error: BaseException) -> StoreError:
    """Why the database does not take a unit's data."""
    if isinstance(error, UnicodeEncodeError):
        return StoreError("the store cannot hold a text with a lone surrogate", hint="encode it, for example as base64")
    return StoreError(f"the store refuses these values: {error}")
