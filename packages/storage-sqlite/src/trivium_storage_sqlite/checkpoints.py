"""Copying the log back into the database: when, and how much.

SQLite's own checkpoints are switched off, since they would run outside the turnstile. Ours run in the turn of a commit
that has just ended, when the log's file has become longer than it ever was. After a checkpoint SQLite writes the log
anew from its beginning, within the file that is there, which costs little more than half of lengthening it (a file that
does not grow needs no update of its metadata with every sync). So the log starts small, and grows a little with each
round: under small commits it stays near `FIRST`, under large ones it soon has room for some of them.

A reader that stays holds the log: what came after it began cannot be written over. The checkpoint then does what it
can, and the next one is put off, each time twice as far, so that a long read costs disk, not time.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from trivium.faults import reach

log = logging.getLogger(__name__)

PAGE: Final = 4096
FIRST: Final = 256 * PAGE
"""Bytes of log from which on there are checkpoints: some hundred small commits."""
LONG: Final = 4096 * PAGE
"""A log that became longer is cut to nothing as soon as it may be: it would take long to copy, and disk space."""


class Checkpoints:
    """Watches the log of one database, which other processes write as well."""

    def __init__(self, path: Path) -> None:
        self._log = f"{path}-wal"
        self._file = -1
        self._limit = FIRST
        self._delay = FIRST

    def after_commit(self, connection: sqlite3.Connection) -> None:
        """Called in turn, outside a transaction. Raises nothing of SQLite's: what was committed stands."""
        size = self._size()
        if size > self._limit:
            reach("sqlite.before_checkpoint")
            self._limit = self._copy(connection, size)

    def close(self) -> None:
        """Let go of the log. No lock of SQLite's is on this file, so none goes with it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _size(self) -> int:
        """Bytes of the log. By a seek, not by `stat`: a kernel that was asked for a file's times gives it new ones at
        the next write, and the sync behind that write then has metadata to write too (a third of a small commit)."""
        if self._file < 0:
            try:
                self._file = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return 0
        return os.lseek(self._file, 0, os.SEEK_END)

    def _copy(self, connection: sqlite3.Connection, size: int) -> int:
        """Copy back what can be; the size from which on to try again."""
        try:
            _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if copied == pages:
                self._delay = FIRST
                if size > LONG and connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
                    return FIRST
                return size
        except sqlite3.Error as error:
            log.warning("the log %s cannot be copied back: %s", self._log, error)
        self._delay = min(self._delay * 2, 16 * LONG)
        return size + self._delay
