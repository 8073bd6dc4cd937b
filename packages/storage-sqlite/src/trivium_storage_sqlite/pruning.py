"""Pruning: whole trees of ended runs, a little at a time, so that nobody waits long for the write lock.

A tree is doomed by its root's id in `trash`: from then on it cannot be retried. Its runs go first, the root last, and
their ids into `trash`; what belonged to them goes when they are gone, in as many transactions as it takes. A pruning
that is interrupted is finished by the next.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from trivium.clock import Micros
from trivium.json import dumps
from trivium.storage.port import Pruned
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.database import Database

ENTRIES_AT_ONCE: Final = 2_000
RUNS_AT_ONCE: Final = 200
_EVERY: Final = -1


def would_prune(database: Database, before: Micros) -> Pruned:
    """What `prune` would take away."""

    def count(connection: sqlite3.Connection) -> Pruned:
        roots = dumps([root for (root,) in connection.execute(sql.OLD_ROOTS, (before, _EVERY))])
        (runs,) = connection.execute(sql.COUNT_RUNS, (roots,)).fetchone()
        (entries,) = connection.execute(sql.COUNT_ENTRIES, (roots,)).fetchone()
        (blobs,) = connection.execute(sql.COUNT_BLOBS, (roots,) * sql.COUNT_BLOBS.count("?")).fetchone()
        return Pruned(runs, entries, blobs)

    return database.read(count)


def prune(database: Database, before: Micros) -> Pruned:
    """Take away the trees whose root ended before `before`, and what an earlier pruning has left."""
    runs = entries = blobs = 0
    while True:
        with database.writing() as connection:
            removed, without_definition = _remove_trees(connection, before)
            if not removed:  # the last look: no definition goes any more
                connection.execute(sql.NEEDS_DELETE)
        runs += removed
        blobs += without_definition
        while True:
            with database.writing() as connection:
                some_entries, some_blobs, done = _empty_trash(connection)
            entries += some_entries
            blobs += some_blobs
            if done:
                break
        if not removed:
            return Pruned(runs, entries, blobs)


def _remove_trees(connection: sqlite3.Connection, before: Micros) -> tuple[int, int]:
    """Runs and blobs that went; of a few trees, or a part of a large one."""
    removed = 0
    definitions: set[str] = set()
    for (root,) in connection.execute(sql.OLD_ROOTS, (before, RUNS_AT_ONCE)).fetchall():
        connection.execute(sql.TRASH_ADD, (root,))
        below = connection.execute(sql.SOME_OF_TREE, (root, root, RUNS_AT_ONCE - removed)).fetchall()
        connection.executemany(sql.TRASH_ADD, [(run_id,) for run_id, _ in below])
        connection.executemany(sql.RUN_DELETE, [(run_id,) for run_id, _ in below])
        definitions.update(definition_id for _, definition_id in below)
        removed += len(below)
        if removed >= RUNS_AT_ONCE:  # there may be more below; the root stands until there is not
            break
        (definition_id,) = connection.execute(sql.RUN_DELETE_LAST, (root,)).fetchone()
        definitions.add(definition_id)
        removed += 1
    blobs = 0
    for definition_id in definitions:
        if connection.execute(sql.DEFINITION_DELETE, (definition_id,)).rowcount:
            blobs += _drop_blobs(connection, f"definition:{definition_id}")
    return removed, blobs


def _empty_trash(connection: sqlite3.Connection) -> tuple[int, int, bool]:
    """Entries and blobs that went, and whether nothing is left to do."""
    entries = blobs = 0
    thrown = connection.execute(sql.TRASH, (RUNS_AT_ONCE,)).fetchall()
    for (run_id,) in thrown:
        gone = connection.execute(sql.ENTRIES_DELETE, (run_id, run_id, ENTRIES_AT_ONCE)).rowcount
        entries += gone
        if gone >= ENTRIES_AT_ONCE or entries >= ENTRIES_AT_ONCE:
            return entries, blobs, False
        connection.execute(sql.INBOX_CLEAR, (run_id,))
        connection.execute(sql.SIGNAL_IDS_DELETE, (run_id,))
        connection.execute(sql.NOTES_DELETE, (run_id,))
        connection.execute(sql.EFFECTS_DELETE, (run_id,))
        blobs += _drop_blobs(connection, run_id) + _drop_blobs(connection, f"effect:{run_id}")
        connection.execute(sql.TRASH_TAKE, (run_id,))
    return entries, blobs, len(thrown) < RUNS_AT_ONCE


def _drop_blobs(connection: sqlite3.Connection, holder: str) -> int:
    """Remove what `holder` refers to, where nothing else does."""
    marks = connection.execute(sql.BLOB_REFS_DELETE, (holder,)).fetchall()
    return sum(connection.execute(sql.BLOB_DELETE, mark).rowcount for mark in marks)
