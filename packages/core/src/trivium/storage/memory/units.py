"""What a unit of a batch does to the tables.

`apply` gives the result. A verb that cannot be raises `CannotBe`; the caller then rolls the tables back. Within a
unit of a run all verbs that can be refused come first, so that what follows (the journal above all) needs no undoing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from trivium.clock import Micros
from trivium.errors import Conflict, KeyConflict, MoveNotAllowed, NoChannels, NotFound, RunIsTerminal, TriviumError
from trivium.ids import RunId, WorkerId
from trivium.json import dumps
from trivium.model.commit import (
    Applied,
    CancelUnit,
    ClaimedRun,
    End,
    NewSignal,
    Park,
    Refused,
    Release,
    Result,
    RetryUnit,
    RunUnit,
    SignalUnit,
    Stale,
    Started,
    StartUnit,
    Unit,
    Woken,
)
from trivium.model.effects import Effect, EffectChange, EffectStatus
from trivium.model.failure import Failure
from trivium.model.inbox import OF_ONE_GENERATION, ItemKind, child_end
from trivium.model.runs import Cause, NewRun, Run
from trivium.model.states import FailureKind, RunStatus, WaitReason, check_run_move
from trivium.storage.memory.bells import Echo
from trivium.storage.memory.claims import claimed_run, take
from trivium.storage.memory.tables import Row, Tables

RETRYABLE = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})


class CannotBe(Exception):
    """Unwinds a unit of which a verb is refused."""

    def __init__(self, error: TriviumError, effect: Effect | None = None) -> None:
        super().__init__(error)
        self.refused = Refused(error, effect)


@dataclass(slots=True)
class Transaction:
    """What the units of one batch share."""

    tables: Tables
    now: Micros
    echo: Echo
    """Of the unit that is being applied."""
    claimed: list[ClaimedRun]
    """Runs that retries claimed."""


def apply(tx: Transaction, unit: Unit) -> Result:
    """Apply one unit.

    :raises CannotBe: a verb is refused; what was changed so far is to be rolled back
    """
    match unit:
        case RunUnit():
            return _run_unit(tx, unit)
        case StartUnit():
            started = _start(tx, unit.run)
            return Applied(wake_seq=tx.tables.rows[started.run_id].run.wake_seq, started=(started,))
        case SignalUnit():
            return Applied(wake_seq=_signal(tx, unit.signal).run.wake_seq)
        case CancelUnit():
            return _cancel_unit(tx, unit)
        case RetryUnit():
            return _retry_unit(tx, unit)
        case _:
            assert_never(unit)


# --- the owner's own -------------------------------------------------------------------------------


def _run_unit(tx: Transaction, unit: RunUnit) -> Result:
    row = tx.tables.rows.get(unit.run_id)
    if row is None or row.run.status is not RunStatus.RUNNING or row.run.epoch != unit.epoch:
        return Stale()
    if unit.expect_wake is not None and unit.expect_wake != row.run.wake_seq:
        return Woken(row.run.wake_seq)
    _check_verbs(unit)
    before = row.run.wake_seq
    started = [_start(tx, new) for new in unit.starts]
    for signal in unit.signals:
        _signal(tx, signal)
    for change in unit.effects:
        _change_effect(tx, unit, change)

    # From here on nothing can be refused.
    for entry in unit.entries:
        row.journal[entry.seq] = entry
    for seq in unit.consumed:
        row.inbox.pop(seq, None)
    for text in unit.notes:
        tx.tables.add_note(row, tx.now, text)
    if row.run.losses and unit.shows_progress:
        tx.tables.put(row, replace(row.run, losses=0))
    _then(tx, row, unit.then, woken=row.run.wake_seq > before)
    return Applied(row.run.wake_seq, started, None if unit.then is None else row.run.status)


def _check_verbs(unit: RunUnit) -> None:
    if unit.messages:
        raise CannotBe(NoChannels())
    if isinstance(unit.then, Park) and unit.expect_wake is None:
        raise CannotBe(Conflict(f"run {unit.run_id} cannot park without the wake_seq that its owner has seen"))
    if isinstance(unit.then, End) and not unit.then.status.terminal:
        raise CannotBe(MoveNotAllowed("the run", RunStatus.RUNNING, unit.then.status))


def _then(tx: Transaction, row: Row, then: Park | Release | End | None, *, woken: bool) -> None:
    run = row.run
    match then:
        case None:
            pass
        case Park() if woken:  # the unit signalled its own run: there is something to do at once
            tx.tables.queue(row, run, tx.echo)
        case Park(reason, due_at, children):
            groups = _unended(tx.tables, run.id, children)
            if not all(groups):  # what it waits for was there before it parked
                tx.tables.queue(row, run, tx.echo)
                return
            check_run_move(run.status, RunStatus.WAITING)
            tx.tables.wait_for(row, groups)
            tx.tables.put(row, replace(run, status=RunStatus.WAITING, owner=None, wait_reason=reason, due_at=due_at))
        case Release():
            tx.tables.queue(row, run, tx.echo)
        case End():
            _end(tx, row, then)
        case _:
            assert_never(then)


def _unended(tables: Tables, run_id: RunId, groups: Sequence[frozenset[RunId]]) -> list[set[RunId]]:
    """The groups, but for what is no child of the run or has ended by now."""

    def waits_for(child: RunId) -> bool:
        row = tables.rows.get(child)
        return row is not None and row.run.parent_id == run_id and not row.run.status.terminal

    return [set(filter(waits_for, group)) for group in groups]


def _change_effect(tx: Transaction, unit: RunUnit, change: EffectChange) -> None:
    stands = tx.tables.effects.get((change.scope, change.key))
    if change.status is EffectStatus.INTENDED:
        allowed = stands is None or (
            stands.status is EffectStatus.INTENDED and (stands.run_id, stands.epoch) == (unit.run_id, unit.epoch)
        )
    else:
        allowed = stands is not None and (
            stands.run_id == unit.run_id or (change.takes_over and stands.status is not EffectStatus.CONFIRMED)
        )
    if not allowed:
        found = "is not there" if stands is None else f"is {stands.status} by run {stands.run_id}"
        raise CannotBe(Conflict(f"effect {change.key!r} of {change.scope} {found}"), stands)
    effect = None
    if change.status is not None:
        effect = Effect(
            scope=change.scope,
            key=change.key,
            status=change.status,
            run_id=unit.run_id,
            epoch=unit.epoch,
            step_key=change.step_key,
            output=change.output,
            changed_at=tx.now,
        )
    tx.tables.put_effect(change.scope, change.key, effect)


# --- starts ----------------------------------------------------------------------------------------


def _start(tx: Transaction, new: NewRun) -> Started:
    tables = tx.tables
    stands = tables.keys.get((new.target, new.key)) if new.key is not None else None
    if stands is not None and new.key is not None:
        run = tables.rows[stands].run
        if run.inputs != new.inputs:
            raise CannotBe(KeyConflict(new.key, run.id, "other inputs"))
        return Started(run.id, existed=True, status=run.status)
    if new.id in tables.rows:
        run = tables.rows[new.id].run
        if (run.target, run.key, run.inputs) != (new.target, new.key, new.inputs):
            raise CannotBe(Conflict(f"run {run.id} exists, with another target, key or inputs"))
        return Started(run.id, existed=True, status=run.status)

    early = new.not_before is not None and new.not_before > tx.now
    row = tables.insert(new, _record(new, tx.now, early=early))
    if early:
        tx.echo.timers = True
    else:
        tx.echo.queued.add(new.id)
    claimed = not early and _claim_at_once(tx, row, new.claim_by)
    return Started(new.id, claimed=claimed, status=row.run.status)


def _record(new: NewRun, now: Micros, *, early: bool) -> Run:
    return Run(
        id=new.id,
        kind=new.definition.kind,
        name=new.definition.name,
        target=new.target,
        definition_id=new.definition.id,
        status=RunStatus.WAITING if early else RunStatus.QUEUED,
        inputs=new.inputs,
        queue=new.queue,
        priority=new.priority,
        root_id=new.root_id or new.id,
        epoch=0,
        generation=0,
        wake_seq=0,
        losses=0,
        created_at=now,
        key=new.key,
        wait_reason=WaitReason.TIMER if early else None,
        parent_id=new.parent_id,
        cause=new.cause,
        labels=dict(new.labels),
        timeout=new.timeout,
        due_at=new.not_before if early else None,
    )


def _claim_at_once(tx: Transaction, row: Row, worker_id: WorkerId | None) -> bool:
    """Claim a queued run for the worker that made it so, if nothing speaks against it."""
    if worker_id is None or worker_id not in tx.tables.workers or row.limits:
        return False
    if any(place[0] < row.place[0] for place in _heads(tx.tables, row.run.queue)):
        return False
    take(tx.tables, row, worker_id, tx.now)
    return True


def _heads(tables: Tables, queue: str) -> list[tuple[int, RunId]]:
    """The places of the first runs of every kind in a queue, suspects included."""
    heads = [first for bucket, runs in tables.queues.items() if bucket[0] == queue and (first := runs.first())]
    return heads + [row.place for run_id in tables.suspects if (row := tables.rows[run_id]).run.queue == queue]


# --- signals ---------------------------------------------------------------------------------------


def _signal(tx: Transaction, signal: NewSignal) -> Row:
    row = tx.tables.rows.get(signal.run_id)
    if row is None:
        raise CannotBe(NotFound("run", signal.run_id))
    if signal.id is not None and signal.id in row.signal_ids:
        return row
    if row.run.status.terminal:
        raise CannotBe(RunIsTerminal(row.run.id, row.run.status))
    if signal.id is not None:
        tx.tables.remember_signal(row, signal.id)
    tx.tables.add_item(row, tx.echo, tx.now, ItemKind.SIGNAL, signal.name, signal.payload, signal.cause)
    return row


# --- ends and cancels ------------------------------------------------------------------------------


def _end(tx: Transaction, row: Row, end: End) -> None:
    _finish(tx, row, end)
    if end.status is not RunStatus.COMPLETED:
        _cancel_below(tx, row.run.id, f"run {row.run.id}, which is above it, {_VERBS[end.status]}")


_VERBS = {RunStatus.FAILED: "failed", RunStatus.CANCELLED: "was cancelled"}


def _finish(tx: Transaction, row: Row, end: End) -> None:
    """An end, but for the runs below."""
    tables, run = tx.tables, row.run
    tables.put(
        row,
        replace(
            run,
            status=end.status,
            output=end.output,
            error=end.error,
            finished_at=tx.now,
            owner=None,
            wait_reason=None,
            due_at=None,
        ),
    )
    gone = frozenset(ItemKind) if end.status is RunStatus.COMPLETED else OF_ONE_GENERATION
    for seq in [seq for seq, item in row.inbox.items() if item.kind in gone]:
        del row.inbox[seq]
    tables.wait_for(row, ())
    tx.echo.ended.add(run.id)
    for key in tables.let_go(row):
        for waiter in sorted(tables.slot_waiters.get(key, ())):
            tables.queue(tables.rows[waiter], tables.rows[waiter].run, tx.echo)
    parent = tables.rows.get(run.parent_id) if run.parent_id is not None else None
    if parent is not None and not parent.run.status.terminal:
        payload = child_end(end.status, end.output, end.error)
        wakes = tables.empties_group(parent, run.id)
        tables.add_item(parent, tx.echo, tx.now, ItemKind.CHILD_END, run.id, payload, Cause(run.id), wakes=wakes)


def _cancel_unit(tx: Transaction, unit: CancelUnit) -> Applied:
    row = tx.tables.rows.get(unit.run_id)
    if row is None:
        raise CannotBe(NotFound("run", unit.run_id))
    if row.run.status.terminal:
        raise CannotBe(RunIsTerminal(row.run.id, row.run.status))
    _cancel(tx, row, unit.reason)
    _cancel_below(tx, row.run.id, unit.reason)
    return Applied(row.run.wake_seq, status=row.run.status)


def _cancel_below(tx: Transaction, run_id: RunId, reason: str) -> None:
    """Cancel everything below a run, from the top down; a work list, since trees may be deeper than the stack."""
    above = [run_id]
    while above:
        children = tx.tables.children_of(above.pop())
        for child in children:
            _cancel(tx, child, reason)
        above += [child.run.id for child in reversed(children)]


def _cancel(tx: Transaction, row: Row, reason: str) -> None:
    """Cancel one run, if it has not ended."""
    run, tables = row.run, tx.tables
    if run.status.terminal:
        return
    if run.owner is None:
        tables.add_note(row, tx.now, f"cancelled: {reason}" if reason else "cancelled")
        tables.put(row, replace(run, epoch=run.epoch + 1))
        failure = Failure(code="TRV-4002", message=reason or "cancelled", kind=FailureKind.CANCELLED)
        _finish(tx, row, End(RunStatus.CANCELLED, error=failure))
    elif not run.cancel_requested:
        tables.add_note(row, tx.now, f"cancel requested: {reason}" if reason else "cancel requested")
        tables.put(row, replace(run, cancel_requested=True))
        tables.add_item(row, tx.echo, tx.now, ItemKind.CANCEL, "", dumps(reason))


# --- retries ---------------------------------------------------------------------------------------


def _retry_unit(tx: Transaction, unit: RetryUnit) -> Applied:
    tables = tx.tables
    row = tables.rows.get(unit.run_id)
    if row is None:
        raise CannotBe(NotFound("run", unit.run_id))
    if row.run.status not in RETRYABLE:
        raise CannotBe(Conflict(f"run {row.run.id} is {row.run.status}: only failed and cancelled runs are retried"))
    again: Sequence[Row] = [row]
    while again:
        for each in again:
            _retry(tx, each)
        again = [child for each in again for child in tables.children_of(each.run.id) if child.run.status in RETRYABLE]
    if _claim_at_once(tx, row, unit.claim_by):
        tx.claimed.append(claimed_run(tables, row))
    return Applied(row.run.wake_seq, status=row.run.status)


def _retry(tx: Transaction, row: Row) -> None:
    run = row.run
    check_run_move(run.status, RunStatus.QUEUED, operator=True)
    tx.tables.add_note(row, tx.now, f"retried: it was {run.status}" + (f" ({run.error.message})" if run.error else ""))
    fresh = replace(
        run,
        epoch=run.epoch + 1,
        generation=run.generation + 1,
        output=None,
        error=None,
        finished_at=None,
        first_claimed_at=None,
        cancel_requested=False,
        losses=0,
    )
    tx.tables.queue(row, fresh, tx.echo)
