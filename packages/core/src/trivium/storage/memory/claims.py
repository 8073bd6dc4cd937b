"""Which runs a worker gets, and which of them their limits admit."""

from __future__ import annotations

import heapq
from dataclasses import replace

from trivium.clock import Micros
from trivium.ids import WorkerId
from trivium.model.commit import ClaimedRun, ClaimRequest
from trivium.model.journal import Entry
from trivium.model.runs import Limit
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.storage.memory.bells import Echo
from trivium.storage.memory.queues import Queue
from trivium.storage.memory.tables import Bucket, Row, Tables


def wake_due(tables: Tables, now: Micros, echo: Echo) -> None:
    """Queue the waiting runs whose time has come."""
    while (first := tables.timers.first()) is not None and first[0] <= now:
        row = tables.rows[first[1]]
        tables.queue(row, row.run, echo)


def claim(tables: Tables, request: ClaimRequest, now: Micros, echo: Echo) -> list[ClaimedRun]:
    """Give the worker its runs, in order."""
    if request.worker_id not in tables.workers or request.limit <= 0:
        return []
    if request.suspects:
        return _claim_suspect(tables, request, now, echo)
    claimed: list[ClaimedRun] = []
    while _claim_in_order(tables, request, now, echo, claimed):
        pass
    return claimed


def _claim_in_order(tables: Tables, request: ClaimRequest, now: Micros, echo: Echo, claimed: list[ClaimedRun]) -> bool:
    """Claim from the heads of the queues on; whether to look again, since runs came into the queues meanwhile."""
    queues = _served_queues(tables, request)
    heads = [(first, number) for number, queue in enumerate(queues) if (first := queue.first()) is not None]
    heapq.heapify(heads)
    while heads and len(claimed) < request.limit:
        (_, run_id), number = heads[0]
        row = tables.rows[run_id]
        if admit(tables, row):
            take(tables, row, request.worker_id, now)
            claimed.append(claimed_run(tables, row))
            if queue_sharers(tables, row, echo):
                return True
        else:
            wait_for_slot(tables, row)
        after = queues[number].first()  # both have taken the run out of its queue
        if after is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (after, number))
    return False


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


def _claim_suspect(tables: Tables, request: ClaimRequest, now: Micros, echo: Echo) -> list[ClaimedRun]:
    suspects = [row for run_id in tables.suspects if serves(request, row := tables.rows[run_id])]
    for row in sorted(suspects, key=lambda row: row.place):
        if admit(tables, row):
            take(tables, row, request.worker_id, now)
            claimed = [claimed_run(tables, row)]
            queue_sharers(tables, row, echo)
            return claimed
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
    lacking = _lacking(tables, row)
    if lacking is None:
        return False
    for limit in lacking:
        tables.hold(row, limit.key)
    return True


def queue_sharers(tables: Tables, row: Row, echo: Echo) -> bool:
    """Queue what waits below a run for a key that this one holds now, if it lacks nothing else; whether there is any.

    Nobody else would: a slot is offered when a holding is freed, and the run above may not end before they do.
    """
    keys = {limit.key for limit in row.limits} if row.run.id in tables.children else ()
    found = {run_id for key in keys for run_id in tables.slot_waiters.get(key, ())}
    sharers = [
        waiter
        for waiter in map(tables.rows.__getitem__, sorted(found))
        if any(above is row for above in tables.ancestors_of(waiter.run)) and _lacking(tables, waiter) is not None
    ]
    for waiter in sharers:
        tables.queue(waiter, waiter.run, echo)
    return bool(sharers)


def _lacking(tables: Tables, row: Row) -> list[Limit] | None:
    """The limits of which a run has no holding yet, neither its own nor one to share; None if one has no room."""
    lacking = [limit for limit in row.limits if not _covered(tables, row, limit.key)]
    if any(len(tables.holders.get(limit.key, ())) >= limit.limit for limit in lacking):
        return None
    return lacking


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
