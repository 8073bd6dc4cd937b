"""The reads of the port, each within one transaction of a reading connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial

from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.json import dumps
from trivium.model.effects import Effect
from trivium.model.inbox import Item
from trivium.model.journal import Entry
from trivium.model.runs import Definition, Run
from trivium.model.states import RunStatus
from trivium.storage.port import Note, RunFilter
from trivium_storage_sql.rows import definition_of, effect_of, entry_of, item_of, needs_of, note_of, run_of
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.work import resolve

_EVERY = -1
_BEHIND_ALL = "\U0010ffff"


def run(connection: sqlite3.Connection, run_id: RunId) -> Run | None:
    record = connection.execute(sql.RUN_READ, (run_id,)).fetchone()
    return None if record is None else run_of(record, partial(resolve, connection))


def runs(connection: sqlite3.Connection, wanted: RunFilter) -> Sequence[Run]:
    conditions: list[str] = []
    values: list[object] = []

    def only(part: str, *given: object) -> None:
        conditions.append(sql.RUN_FILTERS[part])
        values.extend(given)

    if wanted.statuses is not None:
        only("statuses", dumps(sorted(wanted.statuses)))
    for part in ("kind", "name", "parent_id", "root_id", "key", "target", "before"):
        value = getattr(wanted, part)
        if value is not None:
            only(part, value)
    if wanted.id_prefix:
        only("id_prefix", wanted.id_prefix, wanted.id_prefix + _BEHIND_ALL)
    for name, value in (wanted.labels or {}).items():
        only("label", name, value)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    records = connection.execute(f"{sql.RUNS_WHERE}{where} ORDER BY runs.id DESC LIMIT ?", (*values, wanted.limit))
    return [run_of(record, partial(resolve, connection)) for record in records.fetchall()]


def statuses(connection: sqlite3.Connection, run_ids: Sequence[RunId]) -> Mapping[RunId, RunStatus]:
    found = connection.execute(sql.STATUSES, (dumps(list(run_ids)),))
    return {run_id: RunStatus(status) for run_id, status in found}


def entries(connection: sqlite3.Connection, run_id: RunId, after: int, limit: int | None) -> Sequence[Entry]:
    records = connection.execute(sql.ENTRIES, (run_id, after, _EVERY if limit is None else limit))
    return [entry_of(record, partial(resolve, connection)) for record in records.fetchall()]


def inbox(connection: sqlite3.Connection, run_id: RunId) -> tuple[int, Sequence[Item]]:
    found = connection.execute(sql.WAKE_SEQ, (run_id,)).fetchone()
    if found is None:
        return 0, []
    records = connection.execute(sql.INBOX, (run_id,)).fetchall()
    return found[0], [item_of(record, partial(resolve, connection)) for record in records]


def owned(connection: sqlite3.Connection, worker_id: WorkerId) -> Mapping[RunId, tuple[int, int]]:
    return {run_id: (epoch, wake) for run_id, epoch, wake in connection.execute(sql.OWNED, (worker_id,))}


def definition(connection: sqlite3.Connection, definition_id: DefinitionId) -> Definition | None:
    found = connection.execute(sql.DEFINITION, (definition_id,)).fetchone()
    return None if found is None else definition_of(found[:-1], found[-1], partial(resolve, connection))


def needs(connection: sqlite3.Connection) -> Mapping[NeedsId, frozenset[str]]:
    return dict(needs_of(record) for record in connection.execute(sql.NEEDS))


def effect(connection: sqlite3.Connection, scope: str, key: str) -> Effect | None:
    found = connection.execute(sql.EFFECT, (scope, key)).fetchone()
    return None if found is None else effect_of(found, partial(resolve, connection))


def notes(connection: sqlite3.Connection, run_id: RunId) -> Sequence[Note]:
    return [note_of(record) for record in connection.execute(sql.NOTES, (run_id,))]
