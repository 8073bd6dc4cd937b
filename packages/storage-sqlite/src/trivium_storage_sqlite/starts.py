"""Starting runs, also claiming them at once for who started them."""

from __future__ import annotations

from trivium.errors import Conflict, KeyConflict
from trivium.ids import RunId, WorkerId
from trivium.model.commit import Started
from trivium.model.runs import Definition, NewRun
from trivium.model.states import RunStatus, WaitReason
from trivium_storage_sql.blobs import needs_blob, reference
from trivium_storage_sql.rows import names_text, new_run_row
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.limits import enter
from trivium_storage_sqlite.refusal import CannotBe
from trivium_storage_sqlite.work import Work


def start(work: Work, new: NewRun) -> Started:
    """Insert the run, or find the one that has its key.

    :raises CannotBe: the key belongs to a run with other inputs
    """
    stored = reference(new.inputs) if needs_blob(new.inputs) else new.inputs
    standing = _standing(work, new, stored)
    if standing is not None:
        return standing

    early = new.not_before is not None and new.not_before > work.now
    owner = new.claim_by
    if owner is not None and (early or new.limits or not may_claim_at_once(work, owner, new.queue, new.priority)):
        owner = None
    status = RunStatus.WAITING if early else RunStatus.QUEUED if owner is None else RunStatus.RUNNING
    if stored is not new.inputs:
        work.stored(new.inputs, new.id)
    _define(work, new.definition)
    record = new_run_row(
        new,
        inputs=stored,
        status=status,
        wait_reason=WaitReason.TIMER if early else None,
        due_at=new.not_before if early else None,
        owner=owner,
        now=work.now,
    )
    work.add_run(record)
    if new.limits:
        enter(work, new.id, new.limits, new.priority)
    if early:
        work.echo.timers = True
    elif owner is None:
        work.echo.queued.add(new.id)
        if new.queue in work.tops:
            work.tops[new.queue] = max(new.priority, work.tops[new.queue])
    return Started(new.id, claimed=owner is not None, status=status)


def _standing(work: Work, new: NewRun, stored: str) -> Started | None:
    """The run that this start was before: the one with its key, or with its id."""
    if new.key is not None:
        record = work.added_keys.get((new.target, new.key))
        if record is None:
            record = work.connection.execute(sql.RUN_BY_KEY, (new.target, new.key)).fetchone()
        if record is not None:
            run_id, inputs = record
            if inputs != stored:
                raise CannotBe(KeyConflict(new.key, run_id, "other inputs"))
            return _started_before(work, run_id)
    row = work.row(new.id)
    if row is None:
        return None
    work.write_added()
    target, key, inputs = work.connection.execute(sql.START_OF, (new.id,)).fetchone()
    if (target, key, inputs) != (new.target, new.key, stored):
        raise CannotBe(Conflict(f"run {new.id} exists, with another target, key or inputs"))
    return _started_before(work, new.id)


def _started_before(work: Work, run_id: RunId) -> Started:
    work.settle()  # a child's end in this batch may have queued it
    row = work.row(run_id)
    if row is None:  # pragma: no cover - it was found in this transaction
        raise LookupError(run_id)
    return Started(run_id, existed=True, status=RunStatus(row.status))


def may_claim_at_once(work: Work, worker_id: WorkerId, queue: str, priority: int) -> bool:
    """Whether nothing speaks against giving a run to this worker without a claim."""
    return work.is_worker(worker_id) and work.top(queue) <= priority


def _define(work: Work, definition: Definition) -> None:
    """Store the definition and its needs if they are new."""
    if definition.id in work.defined:
        return
    work.defined.add(definition.id)
    if work.connection.execute(sql.DEFINITION_KNOWN, (definition.id,)).fetchone() is not None:
        return
    body = work.stored(definition.body, f"definition:{definition.id}")
    needs_id = definition.needs_id
    work.connection.execute(sql.DEFINITION_ADD, (definition.id, definition.kind, definition.name, body, needs_id))
    work.connection.execute(sql.NEEDS_ADD, (needs_id, names_text(definition.needs)))
