"""`python -m benchmarks.storage_sqlite`: what a commit costs beside the sync, each figure beside its budget.

In shared memory with synchronous=normal, so that no disk is measured; the best of some repetitions, so that a busy
neighbour is not either.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trivium.clock import Micros, SystemClock
from trivium.ids import RunId, new_run_id, new_worker_id
from trivium.json import JsonText
from trivium.model.commit import Batch, ClaimRequest, End, RunUnit, StartUnit
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import Definition, NewRun
from trivium.model.states import RunStatus, StepStatus
from trivium.storage.port import WorkerRecord
from trivium_storage_sqlite.store import SqliteStorage

DEFINITION = Definition.of("bench", "plain", {})
ME = new_worker_id()
REPETITIONS = 8


def entry(seq: int) -> Entry:
    return Entry(
        seq=seq,
        key=f"step{seq}",
        kind=EntryKind.STEP,
        name="noop",
        status=StepStatus.COMPLETED,
        generation=0,
        attempts=1,
        input_hash="a" * 64,
        output=JsonText('{"value":123}'),
        started_at=Micros(1),
        finished_at=Micros(2),
    )


def start(run_id: RunId, *, claimed: bool = True) -> StartUnit:
    return StartUnit(NewRun(id=run_id, target="bench:plain", definition=DEFINITION, claim_by=ME if claimed else None))


@contextmanager
def store() -> Iterator[SqliteStorage]:
    """A new store in shared memory, in which `ME` is present."""
    shared = Path("/dev/shm")
    zero = Micros(0)
    me = WorkerRecord(
        id=ME,
        name="bench",
        host="",
        pid=os.getpid(),
        queues=None,
        concurrency=1,
        started_at=zero,
        beat=0,
        beat_at=zero,
    )
    with (
        tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder,
        SqliteStorage(f"sqlite:///{folder}/bench.db?synchronous=normal", SystemClock()) as storage,
        storage.presence(me),
    ):
        yield storage


def best(prepare: Callable[[], Batch], storage: SqliteStorage, repetitions: int = REPETITIONS) -> float:
    """The shortest commit of a batch, in microseconds; making it does not count."""
    times = []
    for _ in range(repetitions):
        batch = prepare()
        began = time.perf_counter()
        storage.commit(batch)
        times.append(time.perf_counter() - began)
    return min(times) * 1e6


def figures() -> Iterator[tuple[str, float, float | None]]:
    """What, microseconds, and how many it may take."""
    with store() as storage:
        numbers = itertools.count()
        runs = [new_run_id() for _ in range(2_000)]
        storage.commit(Batch([start(run_id) for run_id in runs]))
        ending = iter(runs[1_000:])

        def steps(count: int) -> list[RunUnit]:
            number = next(numbers)
            return [RunUnit(run_id=run_id, epoch=1, entries=[entry(number)]) for run_id in runs[:count]]

        def ends(count: int) -> list[RunUnit]:
            done = End(RunStatus.COMPLETED, output=JsonText("1"))
            return [RunUnit(run_id=run_id, epoch=1, then=done) for run_id in itertools.islice(ending, count)]

        def many_starts(*, claimed: bool) -> Batch:
            return Batch([start(new_run_id(), claimed=claimed) for _ in range(1_000)])

        request = ClaimRequest(worker_id=ME, limit=100, serves=frozenset({DEFINITION.needs_id}))

        def mixed() -> Batch:
            return Batch([*(start(new_run_id()) for _ in range(100)), *steps(500), *ends(100)])

        yield "one run, one step", best(lambda: Batch(steps(1)), storage, 2_000), 40
        yield "1,000 runs, a step each", best(lambda: Batch(steps(1_000)), storage), 8_000
        yield "100 starts that are claimed at once, 500 steps, 100 ends", best(mixed, storage), 15_000
        yield "1,000 starts that are claimed at once", best(lambda: many_starts(claimed=True), storage), None
        yield "1,000 starts into the queue", best(lambda: many_starts(claimed=False), storage), None
        yield "a claim of 100", best(lambda: Batch(claim=request), storage), None
        yield "an empty commit", best(Batch, storage, 2_000), None


def main() -> int:
    missed = 0
    for what, took, budget in figures():
        missed += budget is not None and took > budget
        print(f"{what:60} {took:10,.1f} us" + ("" if budget is None else f"   at most {budget:8,.0f}"))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
