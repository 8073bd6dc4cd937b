"""The in-memory `Storage`: one lock around the tables, the reads, and the workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from typing_extensions import override

from trivium.clock import Clock, Micros, SystemClock
from trivium.errors import ConfigError, Conflict
from trivium.faults import reach
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.model.commit import Applied, Batch, BatchResult, ClaimedRun, Result
from trivium.model.effects import Effect
from trivium.model.inbox import Item
from trivium.model.journal import Entry
from trivium.model.runs import Definition, Run
from trivium.model.states import RunStatus
from trivium.storage.memory.bells import Bell, Bells, Echo
from trivium.storage.memory.claims import claim, suspect_waits, wake_due
from trivium.storage.memory.tables import Row, Tables
from trivium.storage.memory.units import CannotBe, Transaction, apply
from trivium.storage.port import Capability, Note, Pruned, RunFilter, Storage, WorkerRecord


class MemoryStorage(Storage):
    """A store that lives as long as the object; threads share it, processes do not."""

    def __init__(self, url: str = "memory:", clock: Clock | None = None) -> None:
        if url.rstrip("/") != "memory:":
            raise ConfigError(f"{url!r} names something: a store in memory has no name", hint="it is just memory:")
        self.url = url
        self.clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._tables = Tables()
        self._bells = Bells()

    @property
    @override
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    @override
    def open(self) -> None:
        pass

    @override
    def close(self) -> None:
        self._bells.close()

    # --- the one write of the engine -------------------------------------------------------------

    @override
    def commit(self, batch: Batch) -> BatchResult:
        reach("storage.commit.before")
        with self._lock:
            reach("storage.commit.inside")  # before it is applied, so that a raise here leaves nothing; nobody can tell
            now = self.clock.now()
            echo = Echo()
            claimed: list[ClaimedRun] = []
            results = self._apply(batch, now, echo, claimed)
            next_due: Micros | None = None
            suspects = False
            if batch.claim is not None:
                wake_due(self._tables, now, echo)
                claimed += claim(self._tables, batch.claim, now, echo)
                self._tables.keep()
                first = self._tables.timers.first()
                next_due = None if first is None else Micros(first[0])
                suspects = suspect_waits(self._tables, batch.claim)
            work = self._leaves_work(echo)
        reach("storage.commit.after")
        if echo:
            self._bells.ring(echo, work=work, origin=batch.origin)
        return BatchResult(results, claimed, next_due, suspects, echo.ring(batch.origin, work=work))

    def _apply(self, batch: Batch, now: Micros, echo: Echo, claimed: list[ClaimedRun]) -> list[Result]:
        results: list[Result] = []
        tx = Transaction(self._tables, now, Echo(), claimed)
        for unit in batch.units:
            try:
                result = apply(tx, unit)
            except CannotBe as refusal:
                self._tables.roll_back()
                result = refusal.refused
            self._tables.keep()
            results.append(result)
            if tx.echo:
                if isinstance(result, Applied):
                    echo.add(tx.echo)
                tx.echo = Echo()
        return results

    def _leaves_work(self, echo: Echo) -> bool:
        return echo.timers or any(self._tables.rows[each].run.status is RunStatus.QUEUED for each in echo.queued)

    @override
    def prune(self, *, before: Micros, dry_run: bool = False) -> Pruned:
        with self._lock:
            tables = self._tables
            rows = [
                tables.rows[run_id]
                for root_id, tree in tables.trees.items()
                if _ended_before(tables.rows.get(root_id), before)
                and all(tables.rows[run_id].run.status.terminal for run_id in tree)
                for run_id in tree
            ]
            pruned = Pruned(runs=len(rows), entries=sum(len(row.journal) for row in rows), blobs=0)
            if not dry_run:
                self._forget(rows)
            return pruned

    def _forget(self, rows: Sequence[Row]) -> None:
        tables = self._tables
        gone = {row.run.id for row in rows}
        for row in rows:
            tables.delete(row)
        for scope, key in [place for place in tables.effects if place[0] in gone]:
            del tables.effects[scope, key]
        used = {row.run.definition_id for row in tables.rows.values()}
        for definition_id in [each for each in tables.definitions if each not in used]:
            del tables.definitions[definition_id]
        needed = {definition.needs_id for definition in tables.definitions.values()}
        for needs_id in [each for each in tables.needs if each not in needed]:
            del tables.needs[needs_id]

    # --- liveness --------------------------------------------------------------------------------

    @override
    def presence(self, worker: WorkerRecord) -> AbstractContextManager[None]:
        return self._present(worker)

    @contextmanager
    def _present(self, worker: WorkerRecord) -> Iterator[None]:
        with self._lock:
            if worker.id in self._tables.workers:
                raise Conflict(f"worker {worker.id} is present already")
            now = self.clock.now()
            self._tables.workers[worker.id] = replace(worker, started_at=now, beat=0, beat_at=now, gone=False, runs=0)
        try:
            yield
        finally:
            self._leave(worker.id)

    def _leave(self, worker_id: WorkerId) -> None:
        echo = Echo()
        with self._lock:
            for row in self._rows_of(worker_id):
                self._tables.queue(row, row.run, echo)
            self._tables.workers.pop(worker_id, None)
            self._tables.keep()
        if echo:
            self._bells.ring(echo, work=True, origin=None)

    @override
    def beat(self, worker_id: WorkerId) -> bool:
        with self._lock:
            worker = self._tables.workers.get(worker_id)
            if worker is None:
                return False
            self._tables.workers[worker_id] = replace(worker, beat=worker.beat + 1, beat_at=self.clock.now())
            return True

    @override
    def workers(self) -> Sequence[WorkerRecord]:
        with self._lock:
            tables = self._tables
            return [replace(each, runs=len(tables.owned.get(each.id, ()))) for each in tables.workers.values()]

    @override
    def bury(self, worker_id: WorkerId, beat: int) -> int:
        echo = Echo()
        with self._lock:
            worker = self._tables.workers.get(worker_id)
            if worker is None or worker.beat != beat:
                return 0
            now = self.clock.now()
            del self._tables.workers[worker_id]
            for row in self._rows_of(worker_id):
                run = replace(row.run, epoch=row.run.epoch + 1, losses=row.run.losses + 1)
                self._tables.queue(row, run, echo)
                self._tables.add_note(row, now, f"its worker {worker.name} ({worker_id}) died: loss {run.losses}")
            self._tables.keep()
        if echo:
            self._bells.ring(echo, work=True, origin=None)
        return len(echo.queued)

    def _rows_of(self, worker_id: WorkerId) -> list[Row]:
        return [self._tables.rows[run_id] for run_id in sorted(self._tables.owned.get(worker_id, ()))]

    # --- doorbells -------------------------------------------------------------------------------

    @override
    def doorbell(self, owner: WorkerId) -> Bell:
        return self._bells.add(owner)

    # --- reads -----------------------------------------------------------------------------------

    @override
    def run(self, run_id: RunId) -> Run | None:
        with self._lock:
            row = self._tables.rows.get(run_id)
            return None if row is None else row.run

    @override
    def runs(self, wanted: RunFilter) -> Sequence[Run]:
        with self._lock:
            if wanted.root_id is not None:
                places: Sequence[RunId] = list(self._tables.trees.get(wanted.root_id, ()))
            elif wanted.parent_id is not None:
                places = list(self._tables.children.get(wanted.parent_id, ()))
            else:
                places = list(self._tables.rows)
            found = [run for run_id in places if _matches(run := self._tables.rows[run_id].run, wanted)]
        found.sort(key=lambda run: run.id, reverse=True)
        return found[: wanted.limit]

    @override
    def statuses(self, run_ids: Sequence[RunId]) -> Mapping[RunId, RunStatus]:
        with self._lock:
            rows = self._tables.rows
            return {run_id: rows[run_id].run.status for run_id in run_ids if run_id in rows}

    @override
    def entries(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Entry]:
        with self._lock:
            row = self._tables.rows.get(run_id)
            return [] if row is None else [each for each in row.entries() if each.seq > after][:limit]

    @override
    def inbox(self, run_id: RunId) -> tuple[int, Sequence[Item]]:
        with self._lock:
            row = self._tables.rows.get(run_id)
            return (0, []) if row is None else (row.run.wake_seq, [item for _, item in sorted(row.inbox.items())])

    @override
    def owned(self, worker_id: WorkerId) -> Mapping[RunId, tuple[int, int]]:
        with self._lock:
            return {row.run.id: (row.run.epoch, row.run.wake_seq) for row in self._rows_of(worker_id)}

    @override
    def definition(self, definition_id: DefinitionId) -> Definition | None:
        with self._lock:
            return self._tables.definitions.get(definition_id)

    @override
    def needs(self) -> Mapping[NeedsId, frozenset[str]]:
        with self._lock:
            return dict(self._tables.needs)

    @override
    def effect(self, scope: str, key: str) -> Effect | None:
        with self._lock:
            return self._tables.effects.get((scope, key))

    @override
    def notes(self, run_id: RunId) -> Sequence[Note]:
        with self._lock:
            row = self._tables.rows.get(run_id)
            return [] if row is None else list(row.notes)


def _ended_before(root: Row | None, before: Micros) -> bool:
    return root is not None and root.run.finished_at is not None and root.run.finished_at < before


def _matches(run: Run, wanted: RunFilter) -> bool:
    return (
        (wanted.statuses is None or run.status in wanted.statuses)
        and (wanted.kind is None or run.kind == wanted.kind)
        and (wanted.name is None or run.name == wanted.name)
        and (wanted.parent_id is None or run.parent_id == wanted.parent_id)
        and (wanted.root_id is None or run.root_id == wanted.root_id)
        and (wanted.key is None or run.key == wanted.key)
        and (wanted.target is None or run.target == wanted.target)
        and (wanted.id_prefix is None or run.id.startswith(wanted.id_prefix))
        and (wanted.labels is None or all(run.labels.get(name) == each for name, each in wanted.labels.items()))
        and (wanted.before is None or run.id < wanted.before)
    )
