"""Ends and cancels: what an end does to the run's parent, to its limits, and to the runs below."""

from __future__ import annotations

from typing import Final

from trivium.json import dumps
from trivium.model.commit import End
from trivium.model.failure import Failure
from trivium.model.inbox import ItemKind, child_end
from trivium.model.runs import Cause
from trivium.model.states import FailureKind, RunStatus
from trivium_storage_sql.rows import word
from trivium_storage_sqlite.limits import let_go
from trivium_storage_sqlite.work import QUEUED, TERMINAL, WAITING, Row, Work

_VERBS: Final = {RunStatus.FAILED: "failed", RunStatus.CANCELLED: "was cancelled"}


def end(work: Work, row: Row, final: End) -> None:
    """End a run; if it failed or was cancelled, cancel what it started."""
    _finish(work, row, final)
    if final.status is not RunStatus.COMPLETED:
        _cancel_below(work, row, f"run {row.id}, which is above it, {_VERBS[final.status]}")


def cancel_tree(work: Work, row: Row, reason: str) -> None:
    """Cancel a run and everything below it."""
    _cancel(work, row, reason)
    _cancel_below(work, row, reason)


def _finish(work: Work, row: Row, final: End) -> None:
    """An end, but for the runs below."""
    if row.status == QUEUED:
        work.requeued = True
    work.leaves_park(row)
    row.status = word(final.status)
    row.owner = row.wait_reason = row.due_at = None
    row.touched = 0  # its end writes all of it
    output = None if final.output is None else work.stored(final.output, row.id)
    work.ends.append((row, output, None if final.error is None else final.error.to_text()))
    work.echo.ended.add(row.id)
    work.echo.queued.discard(row.id)
    if row.wake_seq:
        (work.cleared if final.status is RunStatus.COMPLETED else work.cleared_but_signals).append((row.id,))
    if row.limits is not None:
        let_go(work, row)
    parent = None if row.parent_id is None else work.row(row.parent_id)
    if parent is not None and parent.status not in TERMINAL:
        payload = child_end(final.status, final.output, final.error)
        work.add_item(parent, ItemKind.CHILD_END, row.id, payload, Cause(row.id), wakes=False)
        if parent.status == WAITING:
            work.waits.child_ended(row.id)
            work.requeued = True


def _cancel_below(work: Work, row: Row, reason: str) -> None:
    for found in work.below(row):  # from the top down: parents have ended when their children do
        if found.status not in TERMINAL:
            _cancel(work, found, reason)


def _cancel(work: Work, row: Row, reason: str) -> None:
    """Cancel one run that has not ended."""
    if row.owner is None:
        work.note(row.id, f"cancelled: {reason}" if reason else "cancelled")
        row.epoch += 1
        failure = Failure(code="TRV-4002", message=reason or "cancelled", kind=FailureKind.CANCELLED)
        _finish(work, row, End(RunStatus.CANCELLED, error=failure))
    elif not row.cancel_requested:
        work.note(row.id, f"cancel requested: {reason}" if reason else "cancel requested")
        row.cancel_requested = 1
        work.changed(row)
        work.add_item(row, ItemKind.CANCEL, "", dumps(reason), None)
