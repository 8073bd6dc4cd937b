"""Which runs a worker gets, and which of them their limits admit."""

from __future__ import annotations

import heapq
from dataclasses import replace

from trivium.clock import Micros
from trivium.ids import WorkerId
from trivium.model.commit import ClaimedRun, ClaimRequest
from trivium.model.journal import Entry
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.storage.memory.bells import Echo
from trivium.storage.memory.queues import Queue
from trivium.storage.memory.tables import Bucket, Row, Tables


def wake_due(tables: Tables, now: Micros, echo: Echo) -> None:
    """Queue the waiting runs whose time has come."""
    while (first := tables.timers.first()) is not None and first[0] <= now:
        row = tables.rows[first[1]]
        tables.queue(row, row.run, echo)


def claim(tables: Tables, request: ClaimRequest, now: Micros) -> list[ClaimedRun]:
    """Give the worker its runs, in order."""
    if request.worker_id not in tables.workers or request.limit <= 0:
        return []
    if request.suspects:
        return _claim_suspect(tables, request, now)
    queues = _served_queues(tables, request)
    heads = [(first, number) for number, queue in enumerate(queues) if (first := queue.first()) is not None]
    heapq.heapify(heads)
    claimed: list[ClaimedRun] = []
    while heads and len(claimed) < request.limit:
        (_, run_id), number = heads[0]
        row = tables.rows[run_id]
        if admit(tables, row):
            take(tables, row, request.worker_id, now)
            claimed.append(claimed_run(tables, row))
        else:
            wait_for_slot(tables, row)
        after = queues[number].first()  # both have taken the run out of its queue
        if after is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (after, number))
    return claimed


def suspect_waits(tables: Tables, request: ClaimRequest) -> bool:
    """Whether a suspect is left that the request serves."""
    return any(serves(request, tables.rows[run_id]) for run_id in tables.suspects)


def serves(request: ClaimRequest, row: Row) -> bool:
    """Whether the request's worker can drive this run and was told to."""
    return _serves_bucket(request, row.bucket) and (request.roots is None or row.run.root_id in request.roots)


def _serves_bucket(request: ClaimRequest, bucket: Bucket) -> bool:
    queue, needs = bucket
    return needs in request.serves and (request.queues is None or queue in request.queues)


def _served_queues(tables: Tables, request: ClaimRequest) -> list[Queue]:
    if request.roots is None:
        places = [tables.queues]
    else:
        places = [tables.queues_of_trees[root] for root in request.roots if root in tables.queues_of_trees]
    return [queue for buckets in places for bucket, queue in buckets.items() if _serves_bucket(request, bucket)]


def _claim_suspect(tables: Tables, request: ClaimRequest, now: Micros) -> list[ClaimedRun]:
    suspects = [row for run_id in tables.suspects if serves(request, row := tables.rows[run_id])]
    for row in sorted(suspects, key=lambda row: row.place):
        if admit(tables, row):
            take(tables, row, request.worker_id, now)
            return [claimed_run(tables, row)]
        wait_for_slot(tables, row)
    return []


# --- one run ---------------------------------------------------------------------------------------


def take(tables: Tables, row: Row, worker_id: WorkerId, now: Micros) -> None:
    """Make the worker the run's owner, under a new epoch. Can be rolled back."""
    run = row.run
    tables.put(
        row,
        replace(
            run,
            status=RunStatus.RUNNING,
            owner=worker_id,
            epoch=run.epoch + 1,
            first_claimed_at=now if run.first_claimed_at is None else run.first_claimed_at,
        ),
    )


def admit(tables: Tables, row: Row) -> bool:
    """Give the run the holdings that it lacks, if there is room for all of them."""
    lacking = [limit for limit in row.limits if not _covered(tables, row, limit.key)]
    if any(len(tables.holders.get(limit.key, ())) >= limit.limit for limit in lacking):
        return False
    for limit in lacking:
        tables.hold(row, limit.key)
    return True


def _covered(tables: Tables, row: Row, key: str) -> bool:
    holders = tables.holders.get(key)
    if not holders:
        return False
    return row.run.id in holders or any(above.run.id in holders for above in tables.ancestors_of(row.run))


def wait_for_slot(tables: Tables, row: Row) -> None:
    """Out of the queue, until a holding of one of its keys is freed."""
    tables.put(row, replace(row.run, status=RunStatus.WAITING, wait_reason=WaitReason.SLOT))


def claimed_run(tables: Tables, row: Row) -> ClaimedRun:
    """The run with everything that its driver needs."""
    return ClaimedRun(
        run=row.run,
        definition=tables.definitions[row.run.definition_id],
        entries=[entry for entry in row.entries() if counts(entry, row.run.generation)],
        inbox=[item for _, item in sorted(row.inbox.items())],
    )


def counts(entry: Entry, generation: int) -> bool:
    """Whether an entry still counts in this generation of its run."""
    return entry.generation == generation or entry.status is StepStatus.COMPLETED or entry.child_id is not None
