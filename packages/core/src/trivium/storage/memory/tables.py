"""The rows of the in-memory storage, their indexes, and the undo log that lets a refused unit leave nothing behind.

A run's place in the indexes follows from its record alone, so all of them are kept right in one place: `Tables.put`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from trivium.clock import Micros
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.json import NULL, JsonText
from trivium.model.effects import Effect
from trivium.model.inbox import Item, ItemKind
from trivium.model.journal import Entry
from trivium.model.runs import SUSPECT_LOSSES, Cause, Definition, Limit, NewRun, Run
from trivium.model.states import RunStatus, WaitReason
from trivium.storage.memory.bells import Echo
from trivium.storage.memory.queues import Place, Queue
from trivium.storage.port import Note, WorkerRecord

K = TypeVar("K")
Bucket: TypeAlias = tuple[str, NeedsId]
"""A queue's name and what its runs need: a request serves all of it or nothing."""


@dataclass(slots=True)
class Row:
    """A run and all that belongs to it."""

    run: Run
    needs: NeedsId
    limits: tuple[Limit, ...]
    journal: dict[int, Entry] = field(default_factory=dict)
    inbox: dict[int, Item] = field(default_factory=dict)
    waits: dict[RunId, list[set[RunId]]] = field(default_factory=dict)
    """By child that a parked run waits for: the groups that it is in."""
    signal_ids: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)

    @property
    def bucket(self) -> Bucket:
        return (self.run.queue, self.needs)

    @property
    def place(self) -> Place:
        return (-self.run.priority, self.run.id)

    @property
    def suspect(self) -> bool:
        return self.run.losses >= SUSPECT_LOSSES

    def entries(self) -> list[Entry]:
        return [entry for _, entry in sorted(self.journal.items())]


class Tables:
    """Everything that the store holds. Guarded by the store's lock."""

    def __init__(self) -> None:
        self.rows: dict[RunId, Row] = {}
        self.definitions: dict[DefinitionId, Definition] = {}
        self.needs: dict[NeedsId, frozenset[str]] = {}
        self.effects: dict[tuple[str, str], Effect] = {}
        self.workers: dict[WorkerId, WorkerRecord] = {}

        self.keys: dict[tuple[str, str], RunId] = {}
        self.children: dict[RunId, set[RunId]] = {}
        self.trees: dict[RunId, set[RunId]] = {}
        self.owned: dict[WorkerId, set[RunId]] = {}
        self.holders: dict[str, set[RunId]] = {}
        self.slot_waiters: dict[str, set[RunId]] = {}
        self.suspects: set[RunId] = set()
        self.queues: defaultdict[Bucket, Queue] = defaultdict(Queue)
        self.queues_of_trees: defaultdict[RunId, defaultdict[Bucket, Queue]] = defaultdict(lambda: defaultdict(Queue))
        self.timers = Queue()

        self._undo: list[Callable[[], object]] = []

    # --- all of a unit or nothing ----------------------------------------------------------------

    def keep(self) -> None:
        """What was changed stays."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Take back what was changed since the last `keep`, by the methods that say so."""
        while self._undo:
            self._undo.pop()()

    # --- runs ------------------------------------------------------------------------------------

    def insert(self, new: NewRun, run: Run) -> Row:
        """Add a run, its definition and its needs. Can be rolled back."""
        row = Row(run, new.definition.needs_id, new.limits)
        fresh = new.definition.id not in self.definitions
        fresh_needs = row.needs not in self.needs
        self.definitions.setdefault(new.definition.id, new.definition)
        self.needs.setdefault(row.needs, new.definition.needs)
        self.rows[run.id] = row
        _add(self.trees, run.root_id, run.id)
        if run.parent_id is not None:
            _add(self.children, run.parent_id, run.id)
        if run.key is not None:
            self.keys[run.target, run.key] = run.id
        self._index(row)

        def undo() -> None:
            self.delete(row)
            if fresh:
                del self.definitions[run.definition_id]
            if fresh_needs:
                del self.needs[row.needs]

        self._undo.append(undo)
        return row

    def put(self, row: Row, run: Run) -> None:
        """Replace a run's record. Can be rolled back."""
        old = row.run
        self._replace(row, run)
        self._undo.append(lambda: self._replace(row, old))

    def queue(self, row: Row, run: Run, echo: Echo) -> None:
        """Replace a run's record with `run`, made claimable. Can be rolled back."""
        if row.waits:
            self.wait_for(row, ())
        self.put(row, replace(run, status=RunStatus.QUEUED, owner=None, wait_reason=None, due_at=None))
        echo.queued.add(run.id)

    def delete(self, row: Row) -> None:
        """Forget a run and all that belongs to it, but not its definition."""
        run = row.run
        self._unindex(row)
        del self.rows[run.id]
        _drop(self.trees, run.root_id, run.id)
        if run.parent_id is not None:
            _drop(self.children, run.parent_id, run.id)
        if run.key is not None:
            del self.keys[run.target, run.key]

    def _replace(self, row: Row, run: Run) -> None:
        self._unindex(row)
        row.run = run
        self._index(row)

    def _index(self, row: Row) -> None:
        run = row.run
        if run.owner is not None:
            _add(self.owned, run.owner, run.id)
        elif run.status is RunStatus.QUEUED:
            if row.suspect:
                self.suspects.add(run.id)
            else:
                self.queues[row.bucket].add(row.place)
                self.queues_of_trees[run.root_id][row.bucket].add(row.place)
        elif run.status is RunStatus.WAITING:
            if run.due_at is not None:
                self.timers.add((run.due_at, run.id))
            if run.wait_reason is WaitReason.SLOT:
                for limit in row.limits:
                    _add(self.slot_waiters, limit.key, run.id)

    def _unindex(self, row: Row) -> None:
        run = row.run
        if run.owner is not None:
            _drop(self.owned, run.owner, run.id)
        elif run.status is RunStatus.QUEUED:
            if row.suspect:
                self.suspects.discard(run.id)
            else:
                self._leave_queue(row)
        elif run.status is RunStatus.WAITING:
            if run.due_at is not None:
                self.timers.discard(run.id)
            if run.wait_reason is WaitReason.SLOT:
                for limit in row.limits:
                    _drop(self.slot_waiters, limit.key, run.id)

    def _leave_queue(self, row: Row) -> None:
        self.queues[row.bucket].discard(row.run.id)
        if not self.queues[row.bucket]:
            del self.queues[row.bucket]
        tree = self.queues_of_trees[row.run.root_id]
        tree[row.bucket].discard(row.run.id)
        if not tree[row.bucket]:
            del tree[row.bucket]
        if not tree:
            del self.queues_of_trees[row.run.root_id]

    # --- what belongs to a run -------------------------------------------------------------------

    def add_item(
        self,
        row: Row,
        echo: Echo,
        now: Micros,
        kind: ItemKind,
        name: str,
        payload: JsonText = NULL,
        cause: Cause | None = None,
        *,
        wakes: bool = True,
    ) -> None:
        """Put something into a run's inbox, raise its `wake_seq`, and wake it. Can be rolled back."""
        seq = row.run.wake_seq + 1
        run = replace(row.run, wake_seq=seq)
        row.inbox[seq] = Item(
            seq=seq, run_id=run.id, kind=kind, name=name, payload=payload, cause=cause, created_at=now
        )
        self._undo.append(lambda: row.inbox.pop(seq))
        if wakes and run.status is RunStatus.WAITING and run.first_claimed_at is not None:
            self.queue(row, run, echo)
        else:
            self.put(row, run)
        if run.owner is not None:
            echo.inbox[run.owner].add(run.id)

    def wait_for(self, row: Row, groups: Iterable[set[RunId]]) -> None:
        """Wait for these groups of children, and for no others any more. Can be rolled back."""
        old = row.waits
        row.waits = {}
        for group in groups:
            for child in group:
                row.waits.setdefault(child, []).append(group)
        self._undo.append(lambda: self._set_waits(row, old))

    def _set_waits(self, row: Row, waits: dict[RunId, list[set[RunId]]]) -> None:
        row.waits = waits

    def empties_group(self, row: Row, child: RunId) -> bool:
        """Take an ended child out of the groups that a run waits for; whether one is empty now. Not rolled back: only
        what is sure to be applied says so."""
        groups = row.waits.pop(child, ())
        for group in groups:
            group.discard(child)
        return not all(groups)

    def remember_signal(self, row: Row, signal_id: str) -> None:
        """Know this id again. Can be rolled back."""
        row.signal_ids.add(signal_id)
        self._undo.append(lambda: row.signal_ids.discard(signal_id))

    def put_effect(self, scope: str, key: str, effect: Effect | None) -> None:
        """Replace a row of the effect ledger, or remove it. Can be rolled back."""
        old = self.effects.get((scope, key))
        self._set_effect(scope, key, effect)
        self._undo.append(lambda: self._set_effect(scope, key, old))

    def _set_effect(self, scope: str, key: str, effect: Effect | None) -> None:
        if effect is None:
            self.effects.pop((scope, key), None)
        else:
            self.effects[scope, key] = effect

    def add_note(self, row: Row, now: Micros, text: str) -> None:
        """Add a line to a run's history. Not rolled back: only what is sure to be applied says so."""
        row.notes.append(Note(len(row.notes) + 1, now, text))

    # --- families --------------------------------------------------------------------------------

    def children_of(self, run_id: RunId) -> list[Row]:
        """By id."""
        return [self.rows[child] for child in sorted(self.children.get(run_id, ()))]

    def ancestors_of(self, run: Run) -> Iterator[Row]:
        """From the parent up."""
        parent = run.parent_id
        while parent is not None and (row := self.rows.get(parent)) is not None:
            yield row
            parent = row.run.parent_id

    # --- holdings --------------------------------------------------------------------------------

    def hold(self, row: Row, key: str) -> None:
        """Give a run a holding of a limit's key."""
        _add(self.holders, key, row.run.id)

    def let_go(self, row: Row) -> list[str]:
        """Take all holdings of a run; the keys that it held."""
        freed = [limit.key for limit in row.limits if row.run.id in self.holders.get(limit.key, ())]
        for key in set(freed):
            _drop(self.holders, key, row.run.id)
        return freed


def _add(index: dict[K, set[RunId]], key: K, run_id: RunId) -> None:
    index.setdefault(key, set()).add(run_id)


def _drop(index: dict[K, set[RunId]], key: K, run_id: RunId) -> None:
    """Take a run out of an index, and the key with its last one."""
    members = index.get(key)
    if members is not None:
        members.discard(run_id)
        if not members:
            del index[key]
