"""What each unit of a batch does.

A verb that cannot be raises `CannotBe`. Units come in two sorts. Most can only be refused by their first verb, before
they changed anything. Those that could be refused later (two keyed starts, a start and a signal) run in a savepoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar, assert_never

from trivium.errors import Conflict, MoveNotAllowed, NoChannels, NotFound, RunIsTerminal
from trivium.ids import RunId
from trivium.model.commit import (
    Applied,
    CancelUnit,
    End,
    NewSignal,
    Park,
    Release,
    Result,
    RetryUnit,
    RunUnit,
    SignalUnit,
    Stale,
    StartUnit,
    Unit,
    Woken,
)
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.inbox import ItemKind
from trivium.model.states import RunStatus
from trivium_storage_sql.rows import effect_of, entry_row, word
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.ends import cancel_tree, end
from trivium_storage_sqlite.refusal import CannotBe
from trivium_storage_sqlite.retries import retry
from trivium_storage_sqlite.starts import start
from trivium_storage_sqlite.work import RUNNING, TERMINAL, WAITING, Row, Work

_T = TypeVar("_T")

STALE: Final = Stale()
APPLIED: Final = Applied()
_SHORT: Final = 16 * 1024
"""Text of so many characters has at most 64 KB, in whatever script."""


def run_ids(units: Sequence[Unit]) -> set[RunId]:
    """The runs that the units are about, for one look at all of them."""
    wanted: set[RunId] = set()
    for unit in units:
        if isinstance(unit, RunUnit):
            wanted.add(unit.run_id)
            if unit.signals or unit.starts:
                wanted.update(signal.run_id for signal in unit.signals)
                wanted.update(new.id for new in unit.starts)
        elif isinstance(unit, SignalUnit):
            wanted.add(unit.signal.run_id)
        elif isinstance(unit, StartUnit):
            wanted.add(unit.run.id)
        else:
            wanted.add(unit.run_id)
    return wanted


def apply(work: Work, unit: Unit) -> Result:
    """Apply one unit, or leave nothing of it."""
    try:
        if isinstance(unit, RunUnit):
            if len(unit.signals) + len(unit.effects) + len(unit.starts) > 1:
                return _in_savepoint(work, lambda: _run_unit(work, unit))
            return _run_unit(work, unit)
        if isinstance(unit, StartUnit):
            started = start(work, unit.run)
            seen = work.row(started.run_id) if started.existed else None
            return Applied(0 if seen is None else seen.wake_seq, (started,))
        if isinstance(unit, SignalUnit):
            return Applied(wake_seq=_signal(work, unit.signal).wake_seq)
        if isinstance(unit, CancelUnit):
            return _cancel_unit(work, unit)
        if isinstance(unit, RetryUnit):
            return _retry_unit(work, unit)
    except CannotBe as refusal:
        return refusal.refused
    assert_never(unit)


def _in_savepoint(work: Work, act: Callable[[], _T]) -> _T:
    work.flush()  # what earlier units wrote must not go with this one
    echo = work.echo
    work.echo = echo.copy()
    work.connection.execute("SAVEPOINT unit")
    try:
        result = act()
        work.flush()
    except BaseException:
        work.connection.execute("ROLLBACK TO unit")
        work.connection.execute("RELEASE unit")
        work.forget()
        work.echo = echo
        raise
    work.connection.execute("RELEASE unit")
    return result


# --- the owner's own -----------------------------------------------------------------------------


def _run_unit(work: Work, unit: RunUnit) -> Result:
    run_id = unit.run_id
    row = work.row(run_id)
    if row is None or row.status != RUNNING or row.epoch != unit.epoch:
        return STALE
    if unit.expect_wake is not None and unit.expect_wake != row.wake_seq:
        return Woken(row.wake_seq)
    then = unit.then
    if then is not None or unit.messages:
        _check(unit)
    before = row.wake_seq
    started = [start(work, new) for new in unit.starts] if unit.starts else ()
    for signal in unit.signals:
        _signal(work, signal)
    for change in unit.effects:
        _change_effect(work, unit, change)

    # From here on nothing can be refused.
    for entry in unit.entries:
        output = entry.output
        if output is not None and len(output) > _SHORT:
            work.entries.append(entry_row(run_id, entry, work.stored(output, run_id)))
        else:
            work.entries.append(entry_row(run_id, entry, output))
    for seq in unit.consumed:
        work.consumed.append((run_id, seq))
    for text in unit.notes:
        work.note(run_id, text)
    if row.losses and unit.shows_progress:
        row.losses = 0
        work.changed(row)
    if then is not None:
        _then(work, row, then, woken=row.wake_seq > before)
        return Applied(row.wake_seq, started, RunStatus(row.status))
    if not started and not row.wake_seq:
        return APPLIED
    return Applied(row.wake_seq, started)


def _check(unit: RunUnit) -> None:
    if unit.messages:
        raise CannotBe(NoChannels())
    if isinstance(unit.then, Park) and unit.expect_wake is None:
        raise CannotBe(Conflict(f"run {unit.run_id} cannot park without the wake_seq that its owner has seen"))
    if isinstance(unit.then, End) and not unit.then.status.terminal:
        raise CannotBe(MoveNotAllowed("the run", RunStatus.RUNNING, unit.then.status))


def _then(work: Work, row: Row, then: Park | Release | End, *, woken: bool) -> None:
    if isinstance(then, End):
        end(work, row, then)
    elif isinstance(then, Release) or woken:  # woken: the unit signalled its own run, which has something to do at once
        work.queue(row)
    else:
        _park(work, row, then)


def _park(work: Work, row: Row, park: Park) -> None:
    groups = _unended(work, row, park.children)
    if not all(groups):  # what it waits for was there before it parked
        work.queue(row)
    else:
        work.waits.add(row.id, groups)
        row.status = WAITING
        row.owner = None
        row.wait_reason = word(park.reason)
        row.due_at = park.due_at
        work.changed(row)


def _unended(work: Work, row: Row, groups: Sequence[frozenset[RunId]]) -> list[list[RunId]]:
    """The groups, but for what is no child of the run or has ended by now."""
    left: set[RunId] = set()
    unknown: list[RunId] = []
    for child in set[RunId]().union(*groups):
        found = work.rows.get(child)
        if found is None:
            unknown.append(child)
        elif found.parent_id == row.id and found.status not in TERMINAL:
            left.add(child)
    if unknown:
        left |= work.waits.unended(row.id, unknown)
    return [[child for child in group if child in left] for group in groups]


def _change_effect(work: Work, unit: RunUnit, change: EffectChange) -> None:
    place = (change.scope, change.key)
    record = work.connection.execute(sql.EFFECT, place).fetchone()
    stands = None if record is None else effect_of(record, work.resolve)
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
    if change.status is None:
        work.connection.execute(sql.EFFECT_DELETE, place)
        return
    output = None if change.output is None else work.stored(change.output, f"effect:{change.scope}")
    work.connection.execute(
        sql.EFFECT_PUT,
        (*place, word(change.status), unit.run_id, unit.epoch, change.step_key, output, work.now),
    )


# --- from outside --------------------------------------------------------------------------------


def _signal(work: Work, signal: NewSignal) -> Row:
    row = work.row(signal.run_id)
    if row is None:
        raise CannotBe(NotFound("run", signal.run_id))
    if signal.id is not None:
        place = (signal.run_id, signal.id)
        if work.connection.execute(sql.SIGNAL_ID_KNOWN, place).fetchone() is not None:
            return row
    if row.status in TERMINAL:
        raise CannotBe(RunIsTerminal(row.id, row.status))
    if signal.id is not None:
        work.connection.execute(sql.SIGNAL_ID_ADD, (signal.run_id, signal.id))
    work.add_item(row, ItemKind.SIGNAL, signal.name, signal.payload, signal.cause)
    return row


def _existing(work: Work, run_id: RunId) -> Row:
    row = work.row(run_id)
    if row is None:
        raise CannotBe(NotFound("run", run_id))
    return row


def _cancel_unit(work: Work, unit: CancelUnit) -> Applied:
    row = _existing(work, unit.run_id)
    if row.status in TERMINAL:
        raise CannotBe(RunIsTerminal(row.id, row.status))
    cancel_tree(work, row, unit.reason)
    return Applied(row.wake_seq, status=RunStatus(row.status))


def _retry_unit(work: Work, unit: RetryUnit) -> Applied:
    row = _existing(work, unit.run_id)
    if row.status not in ("failed", "cancelled"):
        raise CannotBe(Conflict(f"run {row.id} is {row.status}: only failed and cancelled runs are retried"))
    if work.connection.execute(sql.IS_DOOMED, (row.root_id,)).fetchone() is not None:
        raise CannotBe(NotFound("run", unit.run_id, hint="it is being pruned"))
    retry(work, row, unit.claim_by)
    return Applied(row.wake_seq, status=RunStatus(row.status))
