"""Copying the log back into the database: when, and how much.

SQLite's own checkpoints are switched off, since they would run outside the turnstile. Ours run in the turn of a commit
that has just ended, when about `PAGES` pages were written since the last: a millisecond or a few, and rarely. How many
pages a commit wrote is not to be had from SQLite without cost, so they are estimated from its changes, and each
checkpoint corrects the estimate, as it tells the log's true length (which other processes have written, too).

A reader that stays holds the log: what came after it began cannot be reused. The checkpoint then does what it can, and
the next one is put off, each time twice as far, so that a long read costs disk, not time.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from trivium.faults import reach

log = logging.getLogger(__name__)

PAGES: Final = 1000
"""4 MB: a checkpoint of them takes a few milliseconds."""
LONG_LOG: Final = 16 * PAGES
"""A log of this length is cut to nothing once no reader needs it, to give the disk space back."""
LONGEST_DELAY: Final = 64 * PAGES


class Checkpoints:
    """Counts the commits of one writing connection."""

    def __init__(self) -> None:
        self._changes = 0
        self._pages_a_change = 1.0
        self._delay = PAGES

    def after_commit(self, connection: sqlite3.Connection) -> None:
        """Called in turn, outside a transaction. Raises nothing of SQLite's: what was committed stands."""
        changes = connection.total_changes
        written = changes - self._changes
        if written * self._pages_a_change < self._delay:
            return
        reach("sqlite.before_checkpoint")
        self._changes = changes
        try:
            _busy, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > LONG_LOG and copied == pages:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            log.warning("the log of the store cannot be copied back: %s", error)
            pages, copied = LONG_LOG, 0
        # Between what a row costs in a large batch, and what one costs alone.
        self._pages_a_change = min(4.0, max(0.05, pages / written))
        self._delay = PAGES if copied == pages else min(self._delay * 2, LONGEST_DELAY)
