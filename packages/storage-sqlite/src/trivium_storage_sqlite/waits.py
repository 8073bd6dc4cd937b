"""Waiting for many children: a parked run has a row in `waits` for each child of each of its groups.

The end of a child takes its rows away, and the end that takes a group's last one wakes the run; whatever else wakes or
ends the run takes all of them. Nobody counts rows: what is left of a group is one look into the primary key, so an end
costs the same among ten children and among ten thousand. The ends of one transaction are taken together (`settle`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import cast

from trivium.ids import RunId
from trivium.json import dumps, loads
from trivium_storage_sql.rows import Record
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.bulk import write_rows


class Waits:
    """What a transaction is to do to the table. In a batch a run parks before its children end, and wakes last."""

    __slots__ = ("_added", "_connection", "_dropped", "_ended")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._added: list[Record] = []
        self._ended: list[RunId] = []
        self._dropped: list[RunId] = []

    def add(self, run_id: RunId, groups: Iterable[Iterable[RunId]]) -> None:
        """The run parks, to be woken by the end that empties one of these groups."""
        self._added += [(run_id, number, child) for number, group in enumerate(groups) for child in group]

    def child_ended(self, child: RunId) -> None:
        """A child of a parked run has ended."""
        self._ended.append(child)

    def drop(self, run_id: RunId) -> None:
        """The run is not parked any more."""
        self._dropped.append(run_id)

    def settle(self) -> Sequence[RunId]:
        """Write what was added and take away those that ended; the runs that have an empty group now."""
        if self._added:
            write_rows(self._connection, sql.WAIT_ADD, self._added)
            self._added = []
        if not self._ended:
            return ()
        ended = dumps(self._ended)
        self._ended = []
        (touched,) = self._connection.execute(sql.WAITS_FOR, (ended,)).fetchone()
        self._connection.execute(sql.WAITS_OVER, (ended,))
        return [
            run_id
            for run_id, number in cast(list[tuple[RunId, int]], loads(touched))
            if self._connection.execute(sql.WAITS_LEFT, (run_id, number)).fetchone() is None
        ]

    def write_dropped(self) -> None:
        """Take away the rows of the runs that are not parked any more."""
        if self._dropped:
            drop_waits(self._connection, self._dropped)
            self._dropped = []

    def unended(self, parent: RunId, children: Sequence[RunId]) -> set[RunId]:
        """Those of them that are the run's own and had not ended when this transaction began."""
        (found,) = self._connection.execute(sql.UNENDED, (dumps(children),)).fetchone()
        return {run_id for run_id, above in cast(list[tuple[RunId, RunId | None]], loads(found)) if above == parent}


def drop_waits(connection: sqlite3.Connection, run_ids: Sequence[RunId]) -> None:
    """These runs wait for no child any more."""
    connection.execute(sql.WAITS_DROP, (dumps(run_ids),))
