"""The `Storage` on one SQLite file.

`database` has the connections, the turn and the transaction; `work` the state of one; `units`, `starts`, `ends`,
`retries`, `limits` and `claims` what a batch does in it; `bells` and `presence` what processes tell each other beside
it.

Fault points, in their order: `storage.commit.before`; `sqlite.locked` (it is this process's turn), `sqlite.begin`,
`storage.commit.inside` (all is applied), `sqlite.before_commit`, `sqlite.after_commit`, `sqlite.before_checkpoint`;
`storage.commit.after` (before the bells are rung). `sqlite.migrated` stands after each step of a migration, before its
commit. Those that begin with `sqlite.` are reached by every write, the others by `commit`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from typing_extensions import override

from trivium.clock import Clock, Micros
from trivium.errors import Conflict
from trivium.faults import reach
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.model.commit import Batch, BatchResult, Broken, ClaimedRun, Result, Unit
from trivium.model.effects import Effect
from trivium.model.inbox import Item
from trivium.model.journal import Entry
from trivium.model.runs import Definition, Run
from trivium.model.states import RunStatus
from trivium.storage.port import Capability, Doorbell, Note, Pruned, RunFilter, Storage, WorkerRecord
from trivium_storage_sql.rows import worker_of, worker_row
from trivium_storage_sqlite import reads, sql
from trivium_storage_sqlite.bells import Bells
from trivium_storage_sqlite.claims import Definitions, claim, claimed_before, next_due, suspects, wake_due
from trivium_storage_sqlite.database import Database
from trivium_storage_sqlite.failures import DATA_ERRORS, refused_data
from trivium_storage_sqlite.location import parse_url
from trivium_storage_sqlite.presence import Presence, forget, is_gone
from trivium_storage_sqlite.pruning import prune, would_prune
from trivium_storage_sqlite.turnstile import PATIENCE
from trivium_storage_sqlite.units import apply, run_ids
from trivium_storage_sqlite.work import Echo, Work

CAPABILITIES: Final = frozenset({Capability.DURABLE, Capability.SHARED})


class SqliteStorage(Storage):
    """`sqlite:///file.db`: several processes of one machine share the file."""

    def __init__(self, url: str, clock: Clock, *, patience: float = PATIENCE) -> None:
        self.url = url
        self.clock = clock
        self._location = parse_url(url)
        self._database = Database(self._location, patience=patience)
        self._bells = Bells(self._location.folder)
        self._definitions: Definitions = {}

    @property
    @override
    def capabilities(self) -> frozenset[Capability]:
        return CAPABILITIES

    @override
    def open(self) -> None:
        self._database.open()

    @override
    def close(self) -> None:
        self._bells.close()
        self._database.close()

    # --- the one write of the engine -------------------------------------------------------------

    @override
    def commit(self, batch: Batch) -> BatchResult:
        reach("storage.commit.before")
        with self._database.writing() as connection:
            now = self.clock.now()
            echo = Echo()
            works: list[Work] = []
            results = self._apply(connection, batch.units, now, works)
            claimed: list[ClaimedRun] = []
            due: Micros | None = None
            others = False
            for work in works:
                claimed += [claimed_before(work, run_id, self._definitions) for run_id in work.retried]
                echo.add(work.echo)
            if batch.claim is not None:
                work = Work(connection, now)
                work.echo = echo
                wake_due(work)
                claimed += claim(work, batch.claim, self._definitions)
                due = next_due(work)
                others = bool(suspects(work, batch.claim, 1))
            reach("storage.commit.inside")
        reach("storage.commit.after")
        if not echo:
            return BatchResult(results, claimed, due, others)
        self._bells.ring(echo, batch.origin)
        return BatchResult(results, claimed, due, others, echo.ring(batch.origin))

    def _apply(
        self, connection: sqlite3.Connection, units: Sequence[Unit], now: Micros, works: list[Work]
    ) -> list[Result]:
        """Apply the units; on a data error again from the start of the transaction, in halves."""
        if not units:
            return []
        try:
            work = Work(connection, now)
            results = _applied(work, units)
        except DATA_ERRORS:
            connection.execute("ROLLBACK")
            self._database.begin(connection)
            return _apply_in_halves(connection, units, now, works)
        works.append(work)
        return results

    @override
    def prune(self, *, before: Micros, dry_run: bool = False) -> Pruned:
        return would_prune(self._database, before) if dry_run else prune(self._database, before)

    # --- liveness --------------------------------------------------------------------------------

    @override
    def presence(self, worker: WorkerRecord) -> AbstractContextManager[None]:
        return self._present(worker)

    @contextmanager
    def _present(self, worker: WorkerRecord) -> Iterator[None]:
        presence = Presence(self._location.folder, worker.id)
        presence.take()
        left = True
        try:
            self._enter(worker)
            left = False
            try:
                yield
            finally:
                if presence.held:
                    self._leave(worker.id)
                    left = True
        finally:
            # A row that could not be deleted needs its file: its free lock tells the others that nobody is behind it.
            presence.let_go(forget=left)

    def _enter(self, worker: WorkerRecord) -> None:
        with self._database.writing() as connection:
            if connection.execute(sql.WORKER_READ_BEAT, (worker.id,)).fetchone() is not None:
                raise Conflict(f"worker {worker.id} is present already")
            connection.execute(sql.WORKER_ADD, worker_row(worker, self.clock.now()))

    def _leave(self, worker_id: WorkerId) -> None:
        echo = Echo()
        with self._database.writing() as connection:
            echo.queued.update(run_id for (run_id,) in connection.execute(sql.RUNS_HAND_BACK, (worker_id,)).fetchall())
            connection.execute(sql.WORKER_DELETE, (worker_id,))
        self._bells.ring(echo, None)

    @override
    def beat(self, worker_id: WorkerId) -> bool:
        with self._database.writing() as connection:
            return bool(connection.execute(sql.WORKER_BEAT, (self.clock.now(), worker_id)).rowcount)

    @override
    def workers(self) -> Sequence[WorkerRecord]:
        records = self._database.read(lambda connection: connection.execute(sql.WORKERS).fetchall())
        folder = self._location.folder
        return [worker_of(record, gone=is_gone(folder, record[0])) for record in records]

    @override
    def bury(self, worker_id: WorkerId, beat: int) -> int:
        echo = Echo()
        with self._database.writing() as connection:
            found = connection.execute(sql.WORKER_OF, (worker_id,)).fetchone()
            if found is None or found[0] != beat:
                return 0
            now = self.clock.now()
            lost = connection.execute(sql.RUNS_TAKE_AWAY, (worker_id,)).fetchall()
            connection.executemany(
                sql.NOTE_ADD,
                [
                    (run_id, now, f"its worker {found[1]} ({worker_id}) died: loss {losses}", run_id)
                    for run_id, losses in lost
                ],
            )
            connection.execute(sql.WORKER_DELETE, (worker_id,))
            echo.queued.update(run_id for run_id, _ in lost)
        forget(self._location.folder, worker_id)
        self._bells.ring(echo, None)
        return len(echo.queued)

    # --- doorbells -------------------------------------------------------------------------------

    @override
    def doorbell(self, owner: WorkerId) -> Doorbell:
        return self._bells.hang(owner)

    # --- reads -----------------------------------------------------------------------------------

    @override
    def run(self, run_id: RunId) -> Run | None:
        return self._database.read(lambda connection: reads.run(connection, run_id))

    @override
    def runs(self, wanted: RunFilter) -> Sequence[Run]:
        return self._database.read(lambda connection: reads.runs(connection, wanted))

    @override
    def statuses(self, run_ids: Sequence[RunId]) -> Mapping[RunId, RunStatus]:
        return self._database.read(lambda connection: reads.statuses(connection, run_ids))

    @override
    def entries(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Entry]:
        return self._database.read(lambda connection: reads.entries(connection, run_id, after, limit))

    @override
    def inbox(self, run_id: RunId) -> tuple[int, Sequence[Item]]:
        return self._database.read(lambda connection: reads.inbox(connection, run_id))

    @override
    def owned(self, worker_id: WorkerId) -> Mapping[RunId, tuple[int, int]]:
        return self._database.read(lambda connection: reads.owned(connection, worker_id))

    @override
    def definition(self, definition_id: DefinitionId) -> Definition | None:
        return self._database.read(lambda connection: reads.definition(connection, definition_id))

    @override
    def needs(self) -> Mapping[NeedsId, frozenset[str]]:
        return self._database.read(reads.needs)

    @override
    def effect(self, scope: str, key: str) -> Effect | None:
        return self._database.read(lambda connection: reads.effect(connection, scope, key))

    @override
    def notes(self, run_id: RunId) -> Sequence[Note]:
        return self._database.read(lambda connection: reads.notes(connection, run_id))


def _applied(work: Work, units: Sequence[Unit]) -> list[Result]:
    work.load(run_ids(units))
    results = [apply(work, unit) for unit in units]
    work.flush()
    return results


def _apply_in_halves(
    connection: sqlite3.Connection, units: Sequence[Unit], now: Micros, works: list[Work]
) -> list[Result]:
    """Apply the units in order, narrowing a data error down to the one that has it."""
    connection.execute("SAVEPOINT half")
    try:
        work = Work(connection, now)
        results = _applied(work, units)
    except DATA_ERRORS as error:
        connection.execute("ROLLBACK TO half")
        connection.execute("RELEASE half")
        if len(units) == 1:
            return [Broken(refused_data(error))]
        middle = len(units) // 2
        first = _apply_in_halves(connection, units[:middle], now, works)
        return first + _apply_in_halves(connection, units[middle:], now, works)
    connection.execute("RELEASE half")
    works.append(work)
    return results
