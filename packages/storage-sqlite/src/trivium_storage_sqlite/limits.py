"""Limits: which runs hold a key, and who comes next when one lets go.

A run has a row in `holdings` for each of its keys, from its start to its end. `holder` says that it was admitted: by
its own id, or by the holder it shares with, where a run above it holds the key already; it shares until that one ends.
The number of different holders is what the limit bounds.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from trivium.ids import NeedsId, RunId
from trivium.model.runs import Limit
from trivium_storage_sql.rows import limits_of
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.work import Row, Work

NEITHER, WAITS, OFFERED = 0, 1, 2
_ANY: Final = -1


def enter(work: Work, run_id: RunId, limits: Iterable[Limit], priority: int) -> None:
    """Note the keys of a run that was started or retried."""
    work.connection.executemany(
        sql.HOLDING_ADD, [(limit.key, run_id, limit.limit, -priority, None, NEITHER) for limit in limits]
    )


def admit(work: Work, run_id: RunId, parent_id: RunId | None) -> bool:
    """Give a run that is about to be claimed the keys that it lacks, if there is room for all of them."""
    held = _held(work, run_id)
    lacking = _lacking(work, run_id, parent_id, held)
    if lacking is None:
        return False
    work.connection.executemany(sql.HOLDING_TAKE, [(holder, key, run_id) for key, holder in lacking])
    offered = {key for key, _, _, waiting in held if waiting == OFFERED}
    for key, holder in lacking:
        if holder == run_id:
            _queue_sharers(work, run_id, key)
        elif key in offered:  # the slot that was offered to it is left to another
            _announce(work, key)
    return True


def wait_for_slot(work: Work, run_id: RunId) -> None:
    """Take a run that was not admitted out of the queue; what room it leaves is offered to the next."""
    work.connection.execute(sql.RUN_NO_SLOT, (run_id,))
    work.rows.pop(run_id, None)
    work.echo.queued.discard(run_id)
    work.connection.execute(sql.HOLDINGS_WAIT, (WAITS, run_id))
    for key, *_ in _held(work, run_id):
        _announce(work, key)


def let_go(work: Work, row: Row) -> None:
    """A run has ended: its keys are free, and the next ones that have room are queued."""
    keys = [key for key, *_ in _held(work, row.id)]
    work.connection.execute(sql.HOLDINGS_DROP, (row.id,))
    for key in keys:
        # Those below that shared it go on without, and are asked for one of their own when they are claimed again.
        work.connection.execute(sql.HOLDING_UNSHARE, (key, row.id))
        _announce(work, key)


def enter_again(work: Work, row: Row, priority: int) -> None:
    """Note the keys of a run that is retried: its end has taken them away."""
    enter(work, row.id, limits_of(row.limits), priority)


Serves: TypeAlias = Callable[[NeedsId, str, RunId, int], bool]
"""Whether a claim may take a run of these needs, queue, root and losses."""


def offer_past(work: Work, serves: Serves, needs: str, most: int) -> None:
    """Queue what a claim may take of the runs that wait for a slot which is offered to one that it may not take, and
    perhaps nobody ever does: no more than have room, and at most so many for a key.

    :param needs: the list of those that the claim serves, which makes the search shorter
    """
    execute = work.connection.execute
    strangers: set[str] = set()
    offers: defaultdict[str, list[tuple[RunId, RunId | None]]] = defaultdict(list)
    for key, run_id, parent_id, *place in execute(sql.OFFERED):
        if serves(*place):
            offers[key].append((run_id, parent_id))
        else:
            strangers.add(key)
    for key in sorted(strangers):
        (held,) = execute(sql.HELD, (key,)).fetchone()
        for run_id, parent_id in offers[key]:
            held += (key, run_id) in (_lacking(work, run_id, parent_id) or ())
        chosen: list[RunId] = []
        waiters = execute(sql.SLOT_CANDIDATES, (key, needs))  # lazily: mostly the first is the one
        while len(chosen) < most and execute(sql.NEXT_LIMIT, (key, held)).fetchone() is not None:
            found = next(((each[1], each[2]) for each in waiters if held < each[0] and serves(*each[3:])), None)
            if found is None:
                break
            lacking = _lacking(work, *found)
            if lacking is not None:
                held += (key, found[0]) in lacking
                chosen.append(found[0])
        _queue(work, chosen, OFFERED)


def _queue_sharers(work: Work, run_id: RunId, key: str) -> None:
    """Queue what waits below a run for the key that this one has just taken, if it lacks nothing else.

    Nobody else would: a slot is offered when a key is let go, and the run above may not end before they do.
    """
    execute = work.connection.execute
    if execute(sql.NEXT_LIMIT, (key, _ANY)).fetchone() is None:  # mostly nobody waits, and the family may be large
        return
    chosen: list[RunId] = []
    for (below,) in execute(sql.SLOT_WAITERS_BELOW, (run_id, key)).fetchall():
        row = work.row(below)
        if row is not None and _lacking(work, below, row.parent_id) is not None:
            chosen.append(below)
    _queue(work, chosen, NEITHER)


def _queue(work: Work, run_ids: Iterable[RunId], waiting: int) -> None:
    for run_id in run_ids:
        row = work.row(run_id)
        if row is not None:
            work.connection.execute(sql.HOLDINGS_WAIT, (waiting, run_id))
            work.queue(row)


def _held(work: Work, run_id: RunId) -> list[tuple[str, int, RunId | None, int]]:
    """Key, limit, holder and `waiting` of all that a run has or wants."""
    return work.connection.execute(sql.HOLDINGS_OF, (run_id,)).fetchall()


def _lacking(
    work: Work, run_id: RunId, parent_id: RunId | None, held: Sequence[tuple[str, int, RunId | None, int]] | None = None
) -> list[tuple[str, str]] | None:
    """The keys that a run lacks, each with who would be its holder; None if one of them has no room."""
    found: list[tuple[str, str]] = []
    for key, limit, holder, _ in _held(work, run_id) if held is None else held:
        if holder is not None:
            continue
        if parent_id is not None:
            above = work.connection.execute(sql.HELD_ABOVE, (parent_id, key)).fetchone()
            if above is not None:
                found.append((key, above[0]))
                continue
        (count,) = work.connection.execute(sql.HELD, (key,)).fetchone()
        if count >= limit:
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

    chosen: list[RunId] = []
    for _, run_id in heapq.merge(*map(waiters, limits)):
        row = work.row(run_id)
        if row is not None and (lacking := _lacking(work, run_id, row.parent_id)) is not None:
            held += (key, run_id) in lacking
            chosen.append(run_id)
    _queue(work, chosen, OFFERED)
