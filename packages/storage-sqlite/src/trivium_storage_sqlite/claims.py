"""Which runs a worker gets, and what it is told of each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final, TypeAlias

from trivium.clock import Micros
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.json import dumps
from trivium.model.commit import ClaimedRun, ClaimRequest
from trivium.model.runs import SUSPECT_LOSSES, Definition, Run
from trivium_storage_sql.rows import Record, definition_of, entry_of, item_of, run_of
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.limits import admit, offer_past, wait_for_slot
from trivium_storage_sqlite.waits import drop_waits
from trivium_storage_sqlite.work import Work

_PRIORITY: Final = 8

Definitions: TypeAlias = dict[DefinitionId, Definition]
"""Those that were read before: a definition never changes, as its id is its content's hash."""


def wake_due(work: Work) -> None:
    """Queue the waiting runs whose time has come. Everything must be flushed, and nothing is known afterwards."""
    due = next_due(work)
    if due is not None and due <= work.now:
        woken = [run_id for (run_id,) in work.connection.execute(sql.WAKE_DUE, (work.now,)).fetchall()]
        drop_waits(work.connection, woken)
        work.echo.queued.update(woken)
    work.forget()


def next_due(work: Work) -> Micros | None:
    """When the next timer runs out."""
    found = work.connection.execute(sql.NEXT_DUE).fetchone()
    return None if found is None else found[0]


def claim(work: Work, request: ClaimRequest, definitions: Definitions) -> list[ClaimedRun]:
    """Give the worker its runs, in order."""
    if request.limit <= 0 or not request.serves or not work.is_worker(request.worker_id):
        return []
    if request.suspects:
        taken = _take(work, request, 1, lambda many: suspects(work, request, many))
    else:
        taken = _take(work, request, request.limit, lambda many: _candidates(work, request, many))
    work.echo.queued.difference_update(record[0] for record in taken)
    return [_claimed(work, record, request.worker_id, definitions) for record in taken]


def claimed_before(work: Work, run_id: RunId, definitions: Definitions) -> ClaimedRun:
    """A run that was claimed earlier in this transaction."""
    return _loaded(work, work.connection.execute(sql.RUN_READ, (run_id,)).fetchone(), definitions)


def suspects(work: Work, request: ClaimRequest, most: int) -> list[Record]:
    """The first of the suspects that the request serves, in order. After a crash there may be thousands, and every
    claim asks."""
    found = work.connection.execute(sql.SUSPECTS, (_listed(request.serves),))
    return list(islice((record for record in found if _is_served(request, record[7], record[9])), most))


def _is_served(request: ClaimRequest, queue: str, root_id: RunId) -> bool:
    return (request.queues is None or queue in request.queues) and (request.roots is None or root_id in request.roots)


def _take(work: Work, request: ClaimRequest, limit: int, candidates: Callable[[int], list[Record]]) -> list[Record]:
    """Claim up to `limit` of the candidates; those that their limits do not admit leave the queue and do not count."""

    def may_take(needs: NeedsId, queue: str, root_id: RunId, losses: int) -> bool:
        suspect = losses >= SUSPECT_LOSSES
        return suspect == request.suspects and needs in request.serves and _is_served(request, queue, root_id)

    taken: list[Record] = []
    while len(taken) < limit:
        wanted = limit - len(taken)
        offer_past(work, may_take, _listed(request.serves), wanted)
        work.flush()
        found = candidates(wanted)
        admitted: list[Record] = []
        refused = False
        for record in found:
            run_id, parent_id, limits = record[0], record[20], record[30]
            if limits is None or admit(work, run_id, parent_id):
                admitted.append(record)
            else:
                wait_for_slot(work, run_id)
                refused = True
            if work.touched:  # runs were queued meanwhile: one of them may come before the rest
                break
        queued = bool(work.touched)
        work.flush()
        work.connection.executemany(sql.RUN_CLAIM, [(request.worker_id, work.now, record[0]) for record in admitted])
        taken += admitted
        if not queued and not refused:
            break
    return taken


def _candidates(work: Work, request: ClaimRequest, many: int) -> list[Record]:
    """The first `many` queued runs that the request serves, in order."""
    execute, serves = work.connection.execute, _listed(request.serves)
    if request.roots is not None:
        roots = _listed(request.roots)
        if request.queues is None:
            return execute(sql.CANDIDATES_OF_ROOTS_IN_ANY_QUEUE, (roots, serves, many, many)).fetchall()
        return execute(sql.CANDIDATES_OF_ROOTS, (roots, serves, _listed(request.queues), many, many)).fetchall()
    if request.queues is not None:
        # One by one: over several queues at once the index does not give the order, and SQLite would sort them all.
        found: list[Record] = []
        for queue in request.queues:
            found += execute(sql.CANDIDATES_OF_QUEUE, (serves, queue, many))
        found.sort(key=lambda record: (-record[_PRIORITY], record[0]))
        return found[:many]
    return execute(sql.CANDIDATES, (serves, many)).fetchall()


def _listed(words: frozenset[str] | frozenset[RunId]) -> str:
    return dumps(sorted(words))


# --- what the claimer is told --------------------------------------------------------------------


def _claimed(work: Work, record: Record, worker_id: WorkerId, definitions: Definitions) -> ClaimedRun:
    """The record as it was read, before the claim, with what the claim changed."""
    values = list(record)
    values[5] = "running"
    values[10] += 1
    values[16] = values[25] = None
    values[19] = worker_id
    if values[26] is None:
        values[26] = work.now
    return _loaded(work, values, definitions)


def _loaded(work: Work, record: Record | list[object], definitions: Definitions) -> ClaimedRun:
    run = run_of(tuple(record), work.resolve)
    entries = (
        [
            entry_of(row, work.resolve)
            for row in work.connection.execute(sql.ENTRIES_THAT_COUNT, (run.id, run.generation)).fetchall()
        ]
        if run.epoch > 1  # nobody owned it before, so nobody wrote a journal
        else []
    )
    items = (
        [item_of(row, work.resolve) for row in work.connection.execute(sql.INBOX, (run.id,)).fetchall()]
        if run.wake_seq
        else []
    )
    return ClaimedRun(run, _definition(work, run, definitions), entries, items)


def _definition(work: Work, run: Run, definitions: Definitions) -> Definition:
    found = definitions.get(run.definition_id)
    if found is None:
        *row, names = work.connection.execute(sql.DEFINITION, (run.definition_id,)).fetchone()
        found = definition_of(tuple(row), names, work.resolve)
        if len(definitions) >= 256:
            definitions.clear()
        definitions[run.definition_id] = found
    return found
