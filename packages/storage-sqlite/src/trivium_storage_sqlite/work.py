"""One write transaction: the runs it has looked at, and what is to be written when all units were applied.

The units change `Row`s in memory and add to lists; `flush` writes them, each kind with few statements. So a batch of a
thousand units costs a thousand rows, not several thousand statements, and a unit that is refused has written nothing
yet. What other statements of the same transaction must be able to see (holdings, effects, signal ids, blobs) is
written at once instead; those that read runs from the tables write what was added, or flush, first.

All of this is valid inside the transaction only: `BEGIN IMMEDIATE` keeps everybody else from writing meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from trivium.clock import Micros
from trivium.ids import RunId, WorkerId
from trivium.json import JsonText, dumps, loads
from trivium.model.commit import Ring
from trivium.model.inbox import ItemKind
from trivium.model.runs import Cause
from trivium_storage_sql.blobs import needs_blob, reference
from trivium_storage_sql.rows import Record, item_row
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.bulk import write_rows
from trivium_storage_sqlite.waits import Waits

RUNNING: Final = "running"
QUEUED: Final = "queued"
WAITING: Final = "waiting"
COMPLETED: Final = "completed"
TERMINAL: Final = frozenset({"completed", "failed", "cancelled"})
SLOT: Final = "slot"
LOWEST: Final = float("-inf")

_WAKE, _STATE = 1, 2
_MANY: Final = 3
"""From so many runs on, one statement for all of them is cheaper than one for each."""


_TARGET, _INPUTS, _KEY = 3, 6, 15
_KNOWN: Final = (0, 5, 10, 11, 12, 13, 19, 20, 9, 16, 25, 28, 26, 30)
"""Where the columns of `RUN_INSERT` hold what a `Row` knows."""


class Row:
    """What a transaction must know of a run. Words are plain text here, as SQLite has them."""

    __slots__ = (
        "cancel_requested",
        "due_at",
        "epoch",
        "first_claimed_at",
        "generation",
        "id",
        "limits",
        "losses",
        "owner",
        "parent_id",
        "root_id",
        "status",
        "touched",
        "wait_reason",
        "wake_seq",
    )

    def __init__(
        self,
        run_id: RunId,
        status: str,
        epoch: int,
        generation: int,
        wake_seq: int,
        losses: int,
        owner: WorkerId | None,
        parent_id: RunId | None,
        root_id: RunId,
        wait_reason: str | None,
        due_at: Micros | None,
        cancel_requested: int,
        first_claimed_at: Micros | None,
        limits: str | None,
    ) -> None:
        self.id = run_id
        self.status = status
        self.epoch = epoch
        self.generation = generation
        self.wake_seq = wake_seq
        self.losses = losses
        self.owner = owner
        self.parent_id = parent_id
        self.root_id = root_id
        self.wait_reason = wait_reason
        self.due_at = due_at
        self.cancel_requested = cancel_requested
        self.first_claimed_at = first_claimed_at
        self.limits = limits
        self.touched = 0


class Echo:
    """Whom the transaction rings, once it is committed."""

    __slots__ = ("ended", "inbox", "queued", "timers")

    def __init__(self) -> None:
        self.queued: set[RunId] = set()
        """Runs that became claimable; they ring only if they still are when all is done."""
        self.timers = False
        """A new run waits for its time: idle workers must look when that is."""
        self.inbox: defaultdict[WorkerId, set[RunId]] = defaultdict(set)
        self.ended: set[RunId] = set()

    def add(self, other: Echo) -> None:
        self.queued |= other.queued
        self.timers |= other.timers
        self.ended |= other.ended
        for owner, runs in other.inbox.items():
            self.inbox[owner] |= runs

    def copy(self) -> Echo:
        made = Echo()
        made.add(self)
        return made

    @property
    def work(self) -> bool:
        return self.timers or bool(self.queued)

    def __bool__(self) -> bool:
        return bool(self.queued or self.timers or self.inbox or self.ended)

    def ring(self, owner: WorkerId | None) -> Ring:
        """What the doorbell of `owner` hears."""
        if not self:
            return SILENCE
        own = self.inbox.get(owner, ()) if owner is not None else ()
        return Ring(self.work, frozenset(own), frozenset(self.ended))


SILENCE: Final = Ring()


class Work:
    """The state of one transaction, or of one part of it that may be rolled back alone."""

    __slots__ = (
        "added",
        "added_keys",
        "cleared",
        "cleared_but_signals",
        "connection",
        "consumed",
        "defined",
        "echo",
        "ends",
        "entries",
        "items",
        "notes",
        "now",
        "requeued",
        "retried",
        "rows",
        "tops",
        "touched",
        "waits",
        "workers",
    )

    def __init__(self, connection: sqlite3.Connection, now: Micros) -> None:
        self.connection = connection
        self.now = now
        self.echo = Echo()
        self.workers: dict[WorkerId, bool] = {}
        self.retried: list[RunId] = []
        """Retried runs that were claimed at once."""
        self.forget()

    def forget(self) -> None:
        """Drop what was not flushed, and all that is known."""
        self.tops: dict[str, float] = {}
        self.requeued = False
        """Whether runs entered or left a queue since then, in what may not be flushed."""
        self.defined: set[str] = set()
        self.rows: dict[RunId, Row | None] = {}
        self.added: list[Record] = []
        self.added_keys: dict[tuple[str, str], tuple[RunId, str]] = {}
        """The id and the inputs of runs that were added with a key."""
        self.entries: list[Record] = []
        self.consumed: list[Record] = []
        self.items: list[Record] = []
        self.cleared: list[Record] = []
        self.cleared_but_signals: list[Record] = []
        self.notes: list[Record] = []
        self.ends: list[tuple[Row, str | None, str | None]] = []
        self.touched: list[Row] = []
        self.waits = Waits(self.connection)

    # --- runs ------------------------------------------------------------------------------------

    def load(self, run_ids: Iterable[RunId]) -> None:
        """Know these runs, with one statement for all that are not known yet."""
        rows = self.rows
        wanted = [run_id for run_id in run_ids if run_id not in rows]
        if len(wanted) < _MANY:
            for run_id in wanted:
                self.row(run_id)
            return
        for run_id in wanted:
            rows[run_id] = None
        (found,) = self.connection.execute(sql.FENCES, (dumps(wanted),)).fetchone()
        for record in cast(list[list[Any]], loads(found)):
            rows[record[0]] = Row(*record)

    def row(self, run_id: RunId) -> Row | None:
        """A run as it is now, all changes of this transaction included."""
        try:
            return self.rows[run_id]
        except KeyError:
            record = self.connection.execute(sql.FENCE, (run_id,)).fetchone()
            row = self.rows[run_id] = None if record is None else Row(*record)
            return row

    def below(self, row: Row) -> list[Row]:
        """Everything below a run, from the top down, siblings by id; each run once, even if parents go in a circle."""
        self.write_added()
        found = [run_id for (run_id,) in self.connection.execute(sql.BELOW, (row.id,)).fetchall()]
        self.load(found)
        children: defaultdict[RunId, list[Row]] = defaultdict(list)
        for run_id in found:
            child = self.row(run_id)
            if child is not None and child.parent_id is not None and run_id != row.id:
                children[child.parent_id].append(child)
        ordered: list[Row] = []
        level = [row]
        while level:
            level = [child for each in level for child in children.pop(each.id, ())]
            ordered += level
        return ordered

    def add_run(self, record: Record) -> None:
        """A run that is started: the record is that of `RUN_INSERT`."""
        self.added.append(record)
        self.rows[record[0]] = Row(*(record[column] for column in _KNOWN))
        if record[_KEY] is not None:
            self.added_keys[record[_TARGET], record[_KEY]] = (record[0], record[_INPUTS])

    def write_added(self) -> None:
        """Put the runs that were added into the table."""
        if self.added:
            write_rows(self.connection, sql.RUN_INSERT, self.added)
            self.added = []
            self.added_keys = {}

    def changed(self, row: Row) -> None:
        """Write this run's state when flushing."""
        if not row.touched:
            self.touched.append(row)
        row.touched = _STATE

    def queue(self, row: Row) -> None:
        """Make a run claimable."""
        self.leaves_park(row)
        row.status = QUEUED
        self.requeued = True
        row.owner = row.wait_reason = row.due_at = None
        self.changed(row)
        self.echo.queued.add(row.id)

    def leaves_park(self, row: Row) -> None:
        """Said before a run's state changes: if it was parked, it waits for no child any more."""
        if row.status == WAITING and row.first_claimed_at is not None:
            self.waits.drop(row.id)

    def settle(self) -> None:
        """Queue the parked runs of which a group has become empty. Whoever tells a run's state has this done first."""
        for run_id in self.waits.settle():
            row = self.row(run_id)
            if row is not None and row.status == WAITING:
                self.queue(row)
        self.waits.write_dropped()

    def add_item(
        self, row: Row, kind: ItemKind, name: str, payload: JsonText, cause: Cause | None, *, wakes: bool = True
    ) -> None:
        """Put something into a run's inbox and wake it. A run that no driver has begun yet only keeps it."""
        row.wake_seq = seq = row.wake_seq + 1
        self.items.append(item_row(row.id, seq, kind, name, self.stored(payload, row.id), cause, self.now))
        if row.owner is not None:
            self.echo.inbox[row.owner].add(row.id)
        elif wakes and row.status == WAITING and row.first_claimed_at is not None and row.wait_reason != SLOT:
            self.queue(row)
            return
        if not row.touched:
            self.touched.append(row)
            row.touched = _WAKE

    def note(self, run_id: RunId, text: str) -> None:
        """Add a line to a run's history."""
        self.notes.append((run_id, self.now, text, run_id))

    # --- claiming at once ------------------------------------------------------------------------

    def is_worker(self, worker_id: WorkerId) -> bool:
        """Whether this worker is there; one that was buried must not own runs, since nobody would bury it again."""
        known = self.workers.get(worker_id)
        if known is None:
            found = self.connection.execute(sql.WORKER_READ_BEAT, (worker_id,)).fetchone()
            known = self.workers[worker_id] = found is not None
        return known

    def top(self, queue: str) -> float:
        """The highest priority that is claimable in a queue; minus infinity where nothing is."""
        if self.requeued:
            self.flush()
            self.tops.clear()
            self.requeued = False
        top = self.tops.get(queue)
        if top is None:
            self.write_added()
            found = self.connection.execute(sql.TOP_PRIORITY, (queue,)).fetchone()
            top = self.tops[queue] = LOWEST if found is None else found[0]
        return top

    # --- blobs -----------------------------------------------------------------------------------

    def stored(self, text: str, holder: str) -> str:
        """What a column holds for `text`: itself, or a reference to the blob that is written at once."""
        if not needs_blob(text):
            return text
        found = reference(text)
        mark = found.rpartition(":")[2]
        self.connection.execute(sql.BLOB_ADD, (mark, text))
        self.connection.execute(sql.BLOB_REF_ADD, (mark, holder))
        return found

    def resolve(self, stored: str) -> str:
        """The text of a stored column."""
        return resolve(self.connection, stored)

    # --- writing ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything."""
        many = self.connection.executemany
        self.write_added()
        self.settle()
        if self.entries:
            write_rows(self.connection, sql.ENTRY_PUT, self.entries)
            self.entries = []
        if self.consumed:
            many(sql.ITEM_TAKE, self.consumed)
            self.consumed = []
        if self.items:
            write_rows(self.connection, sql.ITEM_ADD, self.items)
            self.items = []
        if self.notes:
            many(sql.NOTE_ADD, self.notes)
            self.notes = []
        if self.cleared:
            many(sql.INBOX_CLEAR, self.cleared)
            self.cleared = []
        if self.cleared_but_signals:
            many(sql.INBOX_CLEAR_BUT_SIGNALS, self.cleared_but_signals)
            self.cleared_but_signals = []
        if self.ends:
            now = self.now
            write_rows(
                self.connection,
                sql.RUN_END,
                [
                    (row.status, row.epoch, row.wake_seq, row.losses, row.cancel_requested, output, error, now, row.id)
                    for row, output, error in self.ends
                ],
            )
            self.ends = []
        if self.touched:
            self._flush_states(self.touched)
            self.touched = []

    def _flush_states(self, touched: Sequence[Row]) -> None:
        woken: list[Record] = []
        states: list[Record] = []
        for row in touched:
            if row.touched == _WAKE:
                woken.append((row.wake_seq, row.id))
            elif row.touched == _STATE:
                states.append(
                    (
                        row.status,
                        row.wait_reason,
                        row.wake_seq,
                        row.losses,
                        row.owner,
                        row.due_at,
                        row.cancel_requested,
                        row.id,
                    )
                )
            row.touched = 0
        if woken:
            write_rows(self.connection, sql.RUN_WAKE, woken)
        if states:
            write_rows(self.connection, sql.RUN_STATE, states)


def resolve(connection: sqlite3.Connection, stored: str) -> str:
    """The text of a stored column, read within the caller's transaction."""
    if not stored.startswith("@"):
        return stored
    (text,) = connection.execute(sql.BLOB_READ, (stored.rpartition(":")[2],)).fetchone()
    return str(text)
