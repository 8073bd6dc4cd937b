"""Every statement of the SQL storages, in SQLAlchemy Core over `tables`.

A storage runs them as text: `python -m trivium_storage_sql.compiling sqlite` writes the module that holds it, and a
test compares the two. So opening a store and committing to it import no SQLAlchemy (0.4 s), and nothing is compiled
while a program runs. The names here are those of the constants there; parameters are positional, in the order in which
they stand in the text.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from trivium.model.inbox import OF_ONE_GENERATION
from trivium.model.runs import SUSPECT_LOSSES
from trivium.model.states import TERMINAL_RUNS, RunStatus, StepStatus, WaitReason
from trivium_storage_sql.dialects import Flavor
from trivium_storage_sql.tables import (
    blob_refs,
    blobs,
    definitions,
    effects,
    holdings,
    inbox,
    journal,
    meta,
    needs,
    notes,
    runs,
    signal_ids,
    trash,
    waits,
    workers,
)

ZERO: ColumnElement[Any] = literal_column("0")
ONE: ColumnElement[Any] = literal_column("1")
TWO: ColumnElement[Any] = literal_column("2")
SUSPECT: ColumnElement[Any] = literal_column(str(SUSPECT_LOSSES))


def is_(column: ColumnElement[Any], word: RunStatus | StepStatus | WaitReason) -> ColumnElement[bool]:
    """Compare with a word that stands in the text, so that a partial index may be used."""
    return column == literal_column(f"'{word}'")


def ended(status: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a run's status is terminal."""
    return status.in_([literal_column(f"'{word}'") for word in sorted(TERMINAL_RUNS)])


def _p(name: str) -> Any:
    return bindparam(name)


def _insert(table: Table) -> Executable:
    return insert(table).values({column.name: bindparam(column.name) for column in table.columns})


def statements(flavor: Flavor) -> dict[str, Executable]:
    """All of them by name."""
    return {
        **_schema(),
        **_states(flavor),
        **_starts(flavor),
        **_journal(flavor),
        **_waits(flavor),
        **_limits(flavor),
        **_claims(flavor),
        **_liveness(),
        **_reads(flavor),
        **_pruning(flavor),
    }


def filters(flavor: Flavor) -> dict[str, ColumnElement[bool]]:
    """The parts of `RunFilter`, each a condition that is put behind `RUNS_WHERE`."""
    return {
        "statuses": runs.c.status.in_(flavor.members("statuses")),
        "kind": runs.c.kind == _p("kind"),
        "name": runs.c.name == _p("name"),
        "parent_id": runs.c.parent_id == _p("parent_id"),
        "root_id": runs.c.root_id == _p("root_id"),
        "key": runs.c.key == _p("key"),
        "target": runs.c.target == _p("target"),
        "id_prefix": and_(runs.c.id >= _p("prefix"), runs.c.id < _p("behind_prefix")),
        "label": flavor.has_label(runs.c.labels),
        "before": runs.c.id < _p("before"),
    }


def _schema() -> dict[str, Executable]:
    return {
        "SCHEMA_READ": select(meta.c.value).where(meta.c.name == literal_column("'schema'")),
        "SCHEMA_WRITE": update(meta).values(value=_p("value")).where(meta.c.name == literal_column("'schema'")),
    }


def _states(flavor: Flavor) -> dict[str, Executable]:
    fence = select(
        runs.c.id,
        runs.c.status,
        runs.c.epoch,
        runs.c.generation,
        runs.c.wake_seq,
        runs.c.losses,
        runs.c.owner,
        runs.c.parent_id,
        runs.c.root_id,
        runs.c.wait_reason,
        runs.c.due_at,
        runs.c.cancel_requested,
        runs.c.first_claimed_at,
        runs.c.limits,
    )
    below = _below()
    return {
        "FENCE": fence.where(runs.c.id == _p("run_id")),
        "FENCES": select(flavor.together(fence.selected_columns)).where(runs.c.id.in_(flavor.members("run_ids"))),
        "BELOW": select(below.c.id).order_by(below.c.id),
        "RUN_WAKE": update(runs).ordered_values((runs.c.wake_seq, _p("wake"))).where(runs.c.id == _p("run_id")),
        "RUN_STATE": update(runs)
        .ordered_values(
            (runs.c.status, _p("new_status")),
            (runs.c.wait_reason, _p("reason")),
            (runs.c.wake_seq, _p("wake")),
            (runs.c.losses, _p("lost")),
            (runs.c.owner, _p("new_owner")),
            (runs.c.due_at, _p("due")),
            (runs.c.cancel_requested, _p("cancel")),
        )
        .where(runs.c.id == _p("run_id")),
        "RUN_END": update(runs)
        .ordered_values(
            (runs.c.status, _p("new_status")),
            (runs.c.epoch, _p("new_epoch")),
            (runs.c.wake_seq, _p("wake")),
            (runs.c.losses, _p("lost")),
            (runs.c.cancel_requested, _p("cancel")),
            (runs.c.output, _p("result")),
            (runs.c.error, _p("failure")),
            (runs.c.finished_at, _p("now")),
            (runs.c.wait_reason, null()),
            (runs.c.owner, null()),
            (runs.c.due_at, null()),
        )
        .where(runs.c.id == _p("run_id")),
        "RUN_RETRY": update(runs)
        .ordered_values(
            (runs.c.status, literal_column("'queued'")),
            (runs.c.epoch, runs.c.epoch + ONE),
            (runs.c.generation, runs.c.generation + ONE),
            (runs.c.losses, ZERO),
            (runs.c.cancel_requested, ZERO),
            (runs.c.output, null()),
            (runs.c.error, null()),
            (runs.c.first_claimed_at, null()),
            (runs.c.finished_at, null()),
        )
        .where(runs.c.id == _p("run_id")),
    }


def _below() -> CTE:
    """The runs below the one that is passed as `run_id`."""
    below = select(runs.c.id).where(runs.c.parent_id == _p("run_id")).cte("below", recursive=True)
    return below.union(select(runs.c.id).where(runs.c.parent_id == below.c.id))


def _starts(flavor: Flavor) -> dict[str, Executable]:
    return {
        "RUN_INSERT": _insert(runs),
        "RUN_BY_KEY": select(runs.c.id, runs.c.inputs).where(runs.c.target == _p("target"), runs.c.key == _p("key")),
        "TOP_PRIORITY": select(runs.c.priority)
        .where(is_(runs.c.status, RunStatus.QUEUED), runs.c.queue == _p("queue"))
        .order_by(runs.c.priority.desc())
        .limit(ONE)
        .offset(ZERO),
        "START_OF": select(runs.c.target, runs.c.key, runs.c.inputs).where(runs.c.id == _p("run_id")),
        "PLACE_OF": select(runs.c.queue, runs.c.priority).where(runs.c.id == _p("run_id")),
        "END_OF": select(runs.c.priority, runs.c.error).where(runs.c.id == _p("run_id")),
        "DEFINITION_KNOWN": select(ONE).select_from(definitions).where(definitions.c.id == _p("definition_id")),
        "DEFINITION_ADD": flavor.add(definitions),
        "NEEDS_ADD": flavor.add(needs),
    }


def _journal(flavor: Flavor) -> dict[str, Executable]:
    last_note = select(_p("run_id"), func.coalesce(func.max(notes.c.seq), ZERO) + ONE, _p("at"), _p("text")).where(
        notes.c.run_id == _p("same_run_id")
    )
    return {
        "ENTRY_PUT": flavor.put(journal),
        "ITEM_ADD": _insert(inbox),
        "ITEM_TAKE": delete(inbox).where(inbox.c.run_id == _p("run_id"), inbox.c.seq == _p("seq")),
        "INBOX_CLEAR": delete(inbox).where(inbox.c.run_id == _p("run_id")),
        "INBOX_CLEAR_BUT_SIGNALS": delete(inbox).where(
            inbox.c.run_id == _p("run_id"),
            inbox.c.kind.in_([literal_column(f"'{kind}'") for kind in sorted(OF_ONE_GENERATION)]),
        ),
        "SIGNAL_ID_KNOWN": select(ONE)
        .select_from(signal_ids)
        .where(signal_ids.c.run_id == _p("run_id"), signal_ids.c.id == _p("signal_id")),
        "SIGNAL_ID_ADD": _insert(signal_ids),
        "NOTE_ADD": insert(notes).from_select([column.name for column in notes.columns], last_note),
        "EFFECT_PUT": flavor.put(effects),
        "EFFECT_DELETE": delete(effects).where(effects.c.scope == _p("scope"), effects.c.key == _p("key")),
        "BLOB_ADD": flavor.add(blobs),
        "BLOB_REF_ADD": flavor.add(blob_refs),
    }


def _waits(flavor: Flavor) -> dict[str, Executable]:
    touched = (
        select(waits.c.run_id, waits.c.number)
        .where(waits.c.child_id.in_(flavor.members("children")))
        .distinct()
        .subquery("touched")
    )
    return {
        # The parent is compared by the caller: as a condition it would lead through all of the parent's children.
        "UNENDED": select(flavor.together([runs.c.id, runs.c.parent_id])).where(
            runs.c.id.in_(flavor.members("children")), ~ended(runs.c.status)
        ),
        "WAIT_ADD": _insert(waits),
        "WAITS_FOR": select(flavor.together(touched.columns)).select_from(touched),
        "WAITS_OVER": delete(waits).where(waits.c.child_id.in_(flavor.members("children"))),
        "WAITS_LEFT": select(ONE)
        .select_from(waits)
        .where(waits.c.run_id == _p("run_id"), waits.c.number == _p("number"))
        .limit(ONE)
        .offset(ZERO),
        "WAITS_DROP": delete(waits).where(waits.c.run_id.in_(flavor.members("run_ids"))),
    }


def _limits(flavor: Flavor) -> dict[str, Executable]:
    up = (
        select(runs.c.id, runs.c.parent_id, ZERO.label("distance"))
        .where(runs.c.id == _p("parent_id"))
        .cte("up", recursive=True)
    )
    up = up.union_all(select(runs.c.id, runs.c.parent_id, up.c.distance + ONE).where(runs.c.id == up.c.parent_id))
    below = _below()
    return {
        "HOLDING_ADD": _insert(holdings),
        "HOLDINGS_OF": select(holdings.c.key, holdings.c.limit, holdings.c.holder, holdings.c.waiting).where(
            holdings.c.run_id == _p("run_id")
        ),
        "HELD": select(func.count(holdings.c.holder.distinct())).where(
            holdings.c.key == _p("key"), holdings.c.holder.is_not(None)
        ),
        "HELD_ABOVE": select(holdings.c.holder)
        .select_from(up.join(holdings, and_(holdings.c.run_id == up.c.id, holdings.c.key == _p("key"))))
        .where(holdings.c.holder.is_not(None))
        .order_by(up.c.distance)
        .limit(ONE)
        .offset(ZERO),
        "HOLDING_TAKE": update(holdings)
        .ordered_values((holdings.c.holder, _p("new_holder")), (holdings.c.waiting, ZERO))
        .where(holdings.c.key == _p("key"), holdings.c.run_id == _p("run_id")),
        "HOLDINGS_WAIT": update(holdings).values(waiting=_p("wait")).where(holdings.c.run_id == _p("run_id")),
        "HOLDING_UNSHARE": update(holdings)
        .values(holder=null())
        .where(holdings.c.key == _p("key"), holdings.c.holder == _p("old_holder")),
        "HOLDINGS_DROP": delete(holdings).where(holdings.c.run_id == _p("run_id")),
        "OFFERED": select(
            holdings.c.key,
            runs.c.id,
            runs.c.parent_id,
            runs.c.needs_id,
            runs.c.queue,
            runs.c.root_id,
            runs.c.losses,
        )
        .select_from(holdings.join(runs, runs.c.id == holdings.c.run_id))
        .where(holdings.c.waiting == TWO)
        .order_by(holdings.c.key),
        "SLOT_CANDIDATES": select(
            holdings.c.limit,
            runs.c.id,
            runs.c.parent_id,
            runs.c.needs_id,
            runs.c.queue,
            runs.c.root_id,
            runs.c.losses,
        )
        .select_from(holdings.join(runs, runs.c.id == holdings.c.run_id))
        .where(holdings.c.waiting == ONE, holdings.c.key == _p("key"), runs.c.needs_id.in_(flavor.members("serves")))
        .order_by(holdings.c.rank, holdings.c.run_id),
        "SLOT_WAITERS_BELOW": select(holdings.c.run_id)
        .select_from(below.join(holdings, and_(holdings.c.run_id == below.c.id, holdings.c.key == _p("key"))))
        .where(holdings.c.waiting == ONE)
        .order_by(holdings.c.run_id),
        "NEXT_LIMIT": select(holdings.c.limit)
        .where(holdings.c.waiting == ONE, holdings.c.key == _p("key"), holdings.c.limit > _p("held"))
        .order_by(holdings.c.limit)
        .limit(ONE)
        .offset(ZERO),
        "SLOT_WAITERS": select(holdings.c.rank, holdings.c.run_id)
        .where(holdings.c.waiting == ONE, holdings.c.key == _p("key"), holdings.c.limit == _p("same"))
        .order_by(holdings.c.rank, holdings.c.run_id),
    }


def _claims(flavor: Flavor) -> dict[str, Executable]:
    queued = is_(runs.c.status, RunStatus.QUEUED)
    served = runs.c.needs_id.in_(flavor.members("serves"))
    by_rank = (runs.c.priority.desc(), runs.c.id)
    candidates = select(*runs.columns).where(queued, runs.c.losses < SUSPECT, served)
    due = and_(is_(runs.c.status, RunStatus.WAITING), runs.c.due_at.is_not(None))
    return {
        "NEXT_DUE": select(runs.c.due_at).where(due).order_by(runs.c.due_at).limit(ONE).offset(ZERO),
        "WAKE_DUE": update(runs)
        .ordered_values(
            (runs.c.status, literal_column("'queued'")), (runs.c.wait_reason, null()), (runs.c.due_at, null())
        )
        .where(due, runs.c.due_at <= _p("now"))
        .returning(runs.c.id),
        "CANDIDATES": candidates.order_by(*by_rank).limit(_p("many")).offset(ZERO),
        "CANDIDATES_OF_QUEUE": candidates.where(runs.c.queue == _p("queue"))
        .order_by(*by_rank)
        .limit(_p("many"))
        .offset(ZERO),
        "CANDIDATES_OF_ROOTS": _of_roots(flavor, in_queues=True),
        "CANDIDATES_OF_ROOTS_IN_ANY_QUEUE": _of_roots(flavor, in_queues=False),
        "SUSPECTS": select(*runs.columns).where(queued, runs.c.losses >= SUSPECT, served).order_by(*by_rank),
        "RUN_CLAIM": update(runs)
        .ordered_values(
            (runs.c.status, literal_column("'running'")),
            (runs.c.owner, _p("worker_id")),
            (runs.c.epoch, runs.c.epoch + ONE),
            (runs.c.wait_reason, null()),
            (runs.c.due_at, null()),
            (runs.c.first_claimed_at, func.coalesce(runs.c.first_claimed_at, _p("now"))),
        )
        .where(runs.c.id == _p("run_id")),
        "RUN_NO_SLOT": update(runs)
        .ordered_values((runs.c.status, literal_column("'waiting'")), (runs.c.wait_reason, literal_column("'slot'")))
        .where(runs.c.id == _p("run_id")),
        "RUN_SLOT_FREE": update(runs)
        .ordered_values((runs.c.status, literal_column("'queued'")), (runs.c.wait_reason, null()))
        .where(runs.c.id == _p("run_id")),
        "ENTRIES_THAT_COUNT": select(*_behind_run_id(journal))
        .where(
            journal.c.run_id == _p("run_id"),
            or_(
                journal.c.generation == _p("current"),
                is_(journal.c.status, StepStatus.COMPLETED),
                journal.c.child_id.is_not(None),
            ),
        )
        .order_by(journal.c.seq),
    }


def _of_roots(flavor: Flavor, *, in_queues: bool) -> Executable:
    """The first candidates of several trees. As many of each are read as are wanted of all, in the order of the index
    that leads to them; over all trees at once, everything that is queued there would be sorted, or worse, everything
    that ever ran in them looked at.
    """
    root = flavor.each_of("roots")
    first = runs.alias("first")
    of_one = (
        select(first.c.id)
        .where(
            first.c.root_id == root.c.value,
            is_(first.c.status, RunStatus.QUEUED),
            first.c.losses < SUSPECT,
            first.c.needs_id.in_(flavor.members("serves")),
            *([first.c.queue.in_(flavor.members("queues"))] if in_queues else []),
        )
        .order_by(first.c.priority.desc(), first.c.id)
        .limit(_p("many"))
        .offset(ZERO)
        .correlate(root)
    )
    return (
        select(*runs.columns)
        .select_from(root.join(runs, runs.c.id.in_(of_one)))
        .order_by(runs.c.priority.desc(), runs.c.id)
        .limit(_p("same_many"))
        .offset(ZERO)
    )


def _liveness() -> dict[str, Executable]:
    owned = select(func.count()).select_from(runs).where(runs.c.owner == workers.c.id).scalar_subquery()
    back: tuple[tuple[ColumnElement[Any], Any], ...] = (
        (runs.c.status, literal_column("'queued'")),
        (runs.c.owner, null()),
    )
    return {
        "WORKER_ADD": _insert(workers),
        "WORKER_BEAT": update(workers)
        .ordered_values((workers.c.beat, workers.c.beat + ONE), (workers.c.beat_at, _p("now")))
        .where(workers.c.id == _p("worker_id")),
        "WORKER_READ_BEAT": select(workers.c.beat).where(workers.c.id == _p("worker_id")),
        "WORKER_OF": select(workers.c.beat, workers.c.name).where(workers.c.id == _p("worker_id")),
        "WORKER_DELETE": delete(workers).where(workers.c.id == _p("worker_id")),
        "WORKERS": select(*workers.columns, owned.label("owned")).order_by(workers.c.started_at, workers.c.id),
        "RUNS_HAND_BACK": update(runs)
        .ordered_values(*back)
        .where(runs.c.owner == _p("worker_id"))
        .returning(runs.c.id),
        "RUNS_TAKE_AWAY": update(runs)
        .ordered_values(*back, (runs.c.epoch, runs.c.epoch + ONE), (runs.c.losses, runs.c.losses + ONE))
        .where(runs.c.owner == _p("worker_id"))
        .returning(runs.c.id, runs.c.losses),
    }


def _reads(flavor: Flavor) -> dict[str, Executable]:
    entries = (
        select(*_behind_run_id(journal))
        .where(journal.c.run_id == _p("run_id"), journal.c.seq > _p("after"))
        .order_by(journal.c.seq)
    )
    return {
        "BLOB_READ": select(blobs.c.body).where(blobs.c.hash == _p("hash")),
        "RUN_READ": select(*runs.columns).where(runs.c.id == _p("run_id")),
        "RUNS_WHERE": select(*runs.columns),
        "STATUSES": select(runs.c.id, runs.c.status).where(runs.c.id.in_(flavor.members("run_ids"))),
        "ENTRIES": entries.limit(_p("many")).offset(ZERO),
        "WAKE_SEQ": select(runs.c.wake_seq).where(runs.c.id == _p("run_id")),
        "INBOX": select(*inbox.columns).where(inbox.c.run_id == _p("run_id")).order_by(inbox.c.seq),
        "OWNED": select(runs.c.id, runs.c.epoch, runs.c.wake_seq).where(runs.c.owner == _p("worker_id")),
        "DEFINITION": select(*definitions.columns, needs.c.names)
        .join(needs, needs.c.id == definitions.c.needs_id)
        .where(definitions.c.id == _p("definition_id")),
        "NEEDS": select(*needs.columns),
        "EFFECT": select(*effects.columns).where(effects.c.scope == _p("scope"), effects.c.key == _p("key")),
        "NOTES": select(notes.c.seq, notes.c.at, notes.c.text)
        .where(notes.c.run_id == _p("run_id"))
        .order_by(notes.c.seq),
    }


def _pruning(flavor: Flavor) -> dict[str, Executable]:
    tree = runs.alias("tree")
    unended = exists().where(tree.c.root_id == runs.c.id, ~ended(tree.c.status))
    old_roots = (
        select(runs.c.id)
        .where(
            runs.c.finished_at.is_not(None), runs.c.id == runs.c.root_id, runs.c.finished_at < _p("before"), ~unended
        )
        .order_by(runs.c.finished_at)
    )
    some_entries = (
        select(journal.c.seq)
        .where(journal.c.run_id == _p("run_id"))
        .order_by(journal.c.seq)
        .limit(ONE)
        .offset(_p("many"))
        .scalar_subquery()
    )
    roots = flavor.members("roots")
    doomed = select(runs.c.id).where(runs.c.root_id.in_(roots))
    left = runs.alias("remaining")
    last_of_definition = and_(
        definitions.c.id.in_(select(runs.c.definition_id).where(runs.c.root_id.in_(roots))),
        ~exists().where(left.c.definition_id == definitions.c.id, left.c.root_id.not_in(roots)),
    )
    goes = or_(
        blob_refs.c.holder.in_(doomed),
        blob_refs.c.holder.in_(select(literal_column("'effect:'").concat(runs.c.id)).where(runs.c.root_id.in_(roots))),
        blob_refs.c.holder.in_(
            select(literal_column("'definition:'").concat(definitions.c.id)).where(last_of_definition)
        ),
    )
    stays = blob_refs.alias("stays")
    stays_goes = or_(
        stays.c.holder.in_(doomed),
        stays.c.holder.in_(select(literal_column("'effect:'").concat(runs.c.id)).where(runs.c.root_id.in_(roots))),
        stays.c.holder.in_(select(literal_column("'definition:'").concat(definitions.c.id)).where(last_of_definition)),
    )
    return {
        "OLD_ROOTS": old_roots.limit(_p("many")).offset(ZERO),
        "COUNT_RUNS": select(func.count()).select_from(runs).where(runs.c.root_id.in_(roots)),
        "COUNT_ENTRIES": select(func.count()).select_from(journal).where(journal.c.run_id.in_(doomed)),
        "COUNT_BLOBS": select(func.count(blob_refs.c.hash.distinct())).where(
            goes, ~exists().where(stays.c.hash == blob_refs.c.hash, ~stays_goes)
        ),
        "TRASH_ADD": flavor.add(trash),
        "IS_DOOMED": select(ONE).select_from(trash).where(trash.c.run_id == _p("root_id")),
        "SOME_OF_TREE": select(runs.c.id, runs.c.definition_id)
        .where(runs.c.root_id == _p("root"), runs.c.id != _p("same_root"))
        .limit(_p("many"))
        .offset(ZERO),
        "RUN_DELETE": delete(runs).where(runs.c.id == _p("run_id")),
        "RUN_DELETE_LAST": delete(runs).where(runs.c.id == _p("run_id")).returning(runs.c.definition_id),
        "TRASH": select(trash.c.run_id)
        .where(~exists().where(runs.c.id == trash.c.run_id))
        .limit(_p("many"))
        .offset(ZERO),
        "TRASH_TAKE": delete(trash).where(trash.c.run_id == _p("run_id")),
        "ENTRIES_DELETE": delete(journal).where(
            journal.c.run_id == _p("run_id"),
            journal.c.seq < func.coalesce(some_entries, literal_column("9223372036854775807")),
        ),
        "SIGNAL_IDS_DELETE": delete(signal_ids).where(signal_ids.c.run_id == _p("run_id")),
        "NOTES_DELETE": delete(notes).where(notes.c.run_id == _p("run_id")),
        "EFFECTS_DELETE": delete(effects).where(effects.c.scope == _p("scope")),
        "BLOB_REFS_DELETE": delete(blob_refs).where(blob_refs.c.holder == _p("holder")).returning(blob_refs.c.hash),
        "BLOB_DELETE": delete(blobs).where(
            blobs.c.hash == _p("hash"), ~exists().where(blob_refs.c.hash == blobs.c.hash)
        ),
        "DEFINITION_DELETE": delete(definitions).where(
            definitions.c.id == _p("definition_id"), ~exists().where(runs.c.definition_id == definitions.c.id)
        ),
        "NEEDS_DELETE": delete(needs).where(needs.c.id.not_in(select(definitions.c.needs_id))),
    }


def _behind_run_id(table: Table) -> list[ColumnElement[Any]]:
    return [column for column in table.columns if column.name != "run_id"]
