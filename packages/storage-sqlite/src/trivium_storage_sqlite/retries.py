"""An operator's retry: a run that failed or was cancelled, and those below it, are queued again."""

from __future__ import annotations

from trivium.ids import WorkerId
from trivium.model.failure import Failure
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.limits import enter_again
from trivium_storage_sqlite.starts import may_claim_at_once
from trivium_storage_sqlite.work import RUNNING, Row, Work


def retry(work: Work, row: Row, claim_by: WorkerId | None) -> None:
    """Retry a run and the failed and cancelled runs below it; claim it alone, if it is wished and may be."""
    work.flush()  # an end in this batch must stand before it is taken back
    again = {row.id}
    top = work.connection.execute(sql.PLACE_OF, (row.id,)).fetchone()
    below = work.below(row)
    _retry(work, row)
    for found in below:  # from the top down
        if found.parent_id in again and found.status in ("failed", "cancelled"):
            again.add(found.id)
            _retry(work, found)
    work.flush()
    if claim_by is not None and row.limits is None and may_claim_at_once(work, claim_by, *top):
        work.connection.execute(sql.RUN_CLAIM, (claim_by, work.now, row.id))
        row.status, row.owner, row.first_claimed_at = RUNNING, claim_by, work.now
        row.epoch += 1
        work.echo.queued.discard(row.id)
        work.retried.append(row.id)


def _retry(work: Work, row: Row) -> None:
    priority, error = work.connection.execute(sql.END_OF, (row.id,)).fetchone()
    why = "" if error is None else f" ({Failure.from_text(error).message})"
    work.note(row.id, f"retried: it was {row.status}{why}")
    work.connection.execute(sql.RUN_RETRY, (row.id,))
    row.epoch += 1
    row.generation += 1
    row.losses = row.cancel_requested = 0
    row.first_claimed_at = None
    if row.limits is not None:
        enter_again(work, row, priority)
    work.queue(row)
