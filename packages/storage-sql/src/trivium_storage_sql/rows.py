"""Rows to records and records to rows. Column orders here are those of `tables`; a test holds them together.

Writers give plain `str` and `int` (a driver adapts a `StrEnum` slowly); readers take a function that turns a stored
column into its text (the blob rule).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from trivium.clock import Micros
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.json import JsonText, dumps, loads
from trivium.model.effects import Effect, EffectStatus
from trivium.model.failure import Failure
from trivium.model.inbox import Item, ItemKind
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import Cause, Definition, Limit, NewRun, Run
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.storage.port import Note, WorkerRecord

Record: TypeAlias = tuple[Any, ...]
"""A row as the driver gives it: its columns have the types that `tables` declares, which no checker can see."""
Resolve: TypeAlias = Callable[[str], str]

_run_statuses = {str(status): status for status in RunStatus}
_step_statuses = {str(status): status for status in StepStatus}
_wait_reasons: dict[str | None, WaitReason | None] = {None: None} | {str(reason): reason for reason in WaitReason}
_entry_kinds = {str(kind): kind for kind in EntryKind}
_word: dict[object, str] = {
    member: str(member)
    for words in (RunStatus, StepStatus, WaitReason, EntryKind, ItemKind, EffectStatus)
    for member in words
}


def word(member: RunStatus | StepStatus | WaitReason | EntryKind | ItemKind | EffectStatus) -> str:
    """The plain text of an enum's member."""
    return _word[member]


def _cause(run_id: str | None, step_key: str | None) -> Cause | None:
    return None if run_id is None else Cause(RunId(run_id), step_key)


# --- runs ----------------------------------------------------------------------------------------


def run_of(row: Record, resolve: Resolve) -> Run:
    """A whole row of `runs`."""
    (
        run_id, kind, name, target, definition_id, status, inputs, queue, priority, root_id, epoch, generation,
        wake_seq, losses, created_at, key, wait_reason, output, error, owner, parent_id, cause_run, cause_step, labels,
        timeout, due_at, first_claimed_at, finished_at, cancel_requested, _needs_id, _limits,
    ) = row  # fmt: skip
    return Run(
        id=run_id,
        kind=kind,
        name=name,
        target=target,
        definition_id=definition_id,
        status=_run_statuses[status],
        inputs=JsonText(resolve(inputs)),
        queue=queue,
        priority=priority,
        root_id=root_id,
        epoch=epoch,
        generation=generation,
        wake_seq=wake_seq,
        losses=losses,
        created_at=created_at,
        key=key,
        wait_reason=_wait_reasons[wait_reason],
        output=None if output is None else JsonText(resolve(output)),
        error=None if error is None else Failure.from_text(error),
        owner=owner,
        parent_id=parent_id,
        cause=_cause(cause_run, cause_step),
        labels={} if labels is None else labels_of(labels),
        timeout=timeout,
        due_at=due_at,
        first_claimed_at=first_claimed_at,
        finished_at=finished_at,
        cancel_requested=bool(cancel_requested),
    )


def labels_of(text: str) -> dict[str, str]:
    """The labels of a run, from their column."""
    found = loads(text)
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, Mapping) else {}


def new_run_row(
    run: NewRun,
    *,
    inputs: str,
    status: RunStatus,
    wait_reason: WaitReason | None,
    due_at: Micros | None,
    owner: WorkerId | None,
    now: Micros,
) -> Record:
    """The row of a run that is started; with an owner, as claimed under epoch 1. `inputs` is what the column holds."""
    definition, cause, claimed = run.definition, run.cause, owner is not None
    return (
        run.id, definition.kind, definition.name, run.target, definition.id, _word[status], inputs, run.queue,
        run.priority, run.root_id or run.id, int(claimed), 0, 0, 0, now, run.key,
        None if wait_reason is None else _word[wait_reason], None, None, owner, run.parent_id,
        None if cause is None else cause.run_id, None if cause is None else cause.step_key,
        dumps(dict(run.labels), what="labels") if run.labels else None, run.timeout, due_at,
        now if claimed else None, None, 0, definition.needs_id, limits_text(run.limits),
    )  # fmt: skip


def limits_text(limits: tuple[Limit, ...]) -> str | None:
    """The `limits` column."""
    return dumps([[limit.key, limit.limit] for limit in limits], what="limits") if limits else None


def limits_of(text: str | None) -> tuple[Limit, ...]:
    """The limits of a run, from their column."""
    found = loads(text) if text is not None else []
    pairs = found if isinstance(found, list) else []
    return tuple(Limit(str(key), int(limit)) for key, limit in pairs)


# --- journal, inbox, effects ---------------------------------------------------------------------


def entry_row(run_id: RunId, entry: Entry, output: str | None) -> Record:
    """The row of an entry; `output` is as the column holds it."""
    error, reason = entry.error, entry.wait_reason
    return (
        run_id, entry.seq, entry.key, _word[entry.kind], entry.name, _word[entry.status], entry.generation,
        entry.attempts, entry.input_hash, output, None if error is None else error.to_text(),
        None if reason is None else _word[reason], entry.due_at, entry.child_id, entry.started_at, entry.finished_at,
    )  # fmt: skip


def entry_of(row: Record, resolve: Resolve) -> Entry:
    """A row of `journal`, without its `run_id`."""
    (
        seq, key, kind, name, status, generation, attempts, input_hash, output, error, wait_reason, due_at, child_id,
        started_at, finished_at,
    ) = row  # fmt: skip
    return Entry(
        seq=seq,
        key=key,
        kind=_entry_kinds[kind],
        name=name,
        status=_step_statuses[status],
        generation=generation,
        attempts=attempts,
        input_hash=input_hash,
        output=output if output is None or output[0] != "@" else JsonText(resolve(output)),
        error=None if error is None else Failure.from_text(error),
        wait_reason=_wait_reasons[wait_reason],
        due_at=due_at,
        child_id=child_id,
        started_at=started_at,
        finished_at=finished_at,
    )


def item_row(
    run_id: RunId, seq: int, kind: ItemKind, name: str, payload: str, cause: Cause | None, created_at: Micros
) -> Record:
    """The row of an inbox item; `payload` is as the column holds it."""
    return (
        run_id, seq, _word[kind], name, payload, None if cause is None else cause.run_id,
        None if cause is None else cause.step_key, created_at,
    )  # fmt: skip


def item_of(row: Record, resolve: Resolve) -> Item:
    """A whole row of `inbox`."""
    run_id, seq, kind, name, payload, cause_run, cause_step, created_at = row
    return Item(
        seq=seq,
        run_id=run_id,
        kind=ItemKind(kind),
        name=name,
        payload=JsonText(resolve(payload)),
        cause=_cause(cause_run, cause_step),
        created_at=created_at,
    )


def effect_of(row: Record, resolve: Resolve) -> Effect:
    """A whole row of `effects`."""
    scope, key, status, run_id, epoch, step_key, output, changed_at = row
    return Effect(
        scope=scope,
        key=key,
        status=EffectStatus(status),
        run_id=run_id,
        epoch=epoch,
        step_key=step_key,
        output=None if output is None else JsonText(resolve(output)),
        changed_at=changed_at,
    )


# --- the rest ------------------------------------------------------------------------------------


def names_text(names: frozenset[str]) -> str:
    """A set of names as a column holds it."""
    return dumps(sorted(names), what="needs")


def names_of(text: str) -> frozenset[str]:
    """The set of names of a column."""
    found = loads(text)
    return frozenset(str(name) for name in found) if isinstance(found, list) else frozenset()


def definition_of(row: Record, needed: str, resolve: Resolve) -> Definition:
    """A whole row of `definitions`; `needed` is the `names` column of its needs."""
    definition_id, kind, name, body, _needs_id = row
    return Definition(DefinitionId(definition_id), kind, name, JsonText(resolve(body)), names_of(needed))


def needs_of(row: Record) -> tuple[NeedsId, frozenset[str]]:
    """A whole row of `needs`."""
    return NeedsId(row[0]), names_of(row[1])


def worker_row(worker: WorkerRecord, now: Micros) -> Record:
    """The row of a worker that begins now."""
    queues = None if worker.queues is None else dumps(list(worker.queues), what="queues")
    return (worker.id, worker.name, worker.host, worker.pid, queues, worker.concurrency, now, 0, now)


def worker_of(row: Record, *, gone: bool) -> WorkerRecord:
    """A whole row of `workers`, followed by the number of runs that it owns."""
    worker_id, name, host, pid, queues, concurrency, started_at, beat, beat_at, owned = row
    found = None if queues is None else loads(queues)
    return WorkerRecord(
        id=WorkerId(worker_id),
        name=name,
        host=host,
        pid=pid,
        queues=tuple(str(queue) for queue in found) if isinstance(found, list) else None,
        concurrency=concurrency,
        started_at=started_at,
        beat=beat,
        beat_at=beat_at,
        gone=gone,
        runs=owned,
    )


def note_of(row: Record) -> Note:
    """`seq`, `at` and `text` of a note."""
    return Note(*row)
