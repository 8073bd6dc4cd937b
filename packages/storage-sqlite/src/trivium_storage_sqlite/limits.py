"""Limits: which runs hold a key, and who comes next when one lets go.

A run has a row in `holdings` for each of its keys, from its start to its end. `holder` says that it was admitted: by
its own id, or by the holder it shares with, where a run above it holds the key already; it shares until that one ends.
The number of different holders is what the limit bounds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from trivium.ids import RunId
from trivium.model.runs import Limit
from trivium_storage_sql.rows import limits_of
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.work import Row, Work

NEITHER, WAITS, OFFERED = 0, 1, 2


def enter(work: Work, run_id: RunId, limits: Iterable[Limit], priority: int) -> None:
    """Note the keys of a run that was started or retried."""
    work.connection.executemany(
        sql.HOLDING_ADD, [(limit.key, run_id, limit.limit, -priority, None, NEITHER) for limit in limits]
    )


def admit(work: Work, run_id: RunId, parent_id: RunId | None) -> bool:
    """Give a run that is about to be claimed the keys that it lacks, if there is room for all of them."""
    lacking = _lacking(work, run_id, parent_id)
    if lacking is None:
        return False
    work.connection.executemany(sql.HOLDING_TAKE, [(holder, key, run_id) for key, holder in lacking])
    return True


def wait_for_slot(work: Work, run_id: RunId) -> None:
    """Take a run that was not admitted out of the queue; what room it leaves is offered to the next."""
    work.connection.execute(sql.RUN_NO_SLOT, (run_id,))
    work.rows.pop(run_id, None)
    work.echo.queued.discard(run_id)
    work.connection.execute(sql.HOLDINGS_WAIT, (WAITS, run_id))
    for key, *_ in work.connection.execute(sql.HOLDINGS_OF, (run_id,)).fetchall():
        _announce(work, key)


def let_go(work: Work, row: Row) -> None:
    """A run has ended: its keys are free, and the next ones that have room are queued."""
    keys = [key for key, *_ in work.connection.execute(sql.HOLDINGS_OF, (row.id,)).fetchall()]
    work.connection.execute(sql.HOLDINGS_DROP, (row.id,))
    for key in keys:
        # Those below that shared it go on without, and are asked for one of their own when they are claimed again.
        work.connection.execute(sql.HOLDING_UNSHARE, (key, row.id))
        _announce(work, key)


def enter_again(work: Work, row: Row, priority: int) -> None:
    """Note the keys of a run that is retried: its end has taken them away."""
    enter(work, row.id, limits_of(row.limits), priority)


def _lacking(work: Work, run_id: RunId, parent_id: RunId | None) -> list[tuple[str, str]] | None:
    """The keys that a run lacks, each with who would be its holder; None if one of them has no room."""
    found: list[tuple[str, str]] = []
    for key, limit, holder, _ in work.connection.execute(sql.HOLDINGS_OF, (run_id,)).fetchall():
        if holder is not None:
            continue
        if parent_id is not None:
            above = work.connection.execute(sql.HELD_ABOVE, (parent_id, key)).fetchone()
            if above is not None:
                found.append((key, above[0]))
                continue
        (held,) = work.connection.execute(sql.HELD, (key,)).fetchone()
        if held >= limit:
            return None
        found.append((key, run_id))
    return found


def _announce(work: Work, key: str) -> None:
    """Queue as many of the runs that wait for `key` as have room, in their order.

    Not all of them: with ten thousand that wait for one slot, each end would queue them all, and each claim send
    them back. Whoever was offered the slot may be served by nobody; so a claim that finds too little looks behind the
    offers (`claims`).
    """
    execute = work.connection.execute
    (held,) = execute(sql.HELD, (key,)).fetchone()
    limits: list[int] = []  # mostly one: runs may state different limits for one key
    while (found := execute(sql.NEXT_LIMIT, (key, limits[-1] if limits else held)).fetchone()) is not None:
        limits.append(found[0])

    def waiters(limit: int) -> Iterator[tuple[int, RunId]]:
        for place in execute(sql.SLOT_WAITERS, (key, limit)):  # lazily: mostly the first is the one
            if held >= limit:
                return
            yield place

    chosen: list[Row] = []
    for _, run_id in heapq.merge(*map(waiters, limits)):
        row = work.row(run_id)
        if row is not None and (lacking := _lacking(work, run_id, row.parent_id)) is not None:
            held += (key, run_id) in lacking
            chosen.append(row)
    for row in chosen:
        execute(sql.HOLDINGS_WAIT, (OFFERED, row.id))
        work.queue(row)
