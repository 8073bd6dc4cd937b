"""The storage port: what the engine asks of a store, and what it may rely on.

Synchronous on purpose. The engine calls it from threads of its own (one that commits, one that beats, some that read), so
an implementation needs no async driver; it must be usable from several threads at once.

Rules for all methods: nothing is remembered between calls but what was committed; times are taken from the store's clock;
values are canonical JSON text and are given back to the letter; a method that finds nothing returns None or an empty
sequence; what cannot be reached raises `StoreUnreachable` or `StoreBusy`, and after those nothing was applied.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from trivium.clock import Clock, Micros
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.model.commit import Batch, BatchResult, Ring
from trivium.model.effects import Effect
from trivium.model.inbox import Item
from trivium.model.journal import Entry
from trivium.model.runs import Definition, Run
from trivium.model.states import RunStatus


class Capability(StrEnum):
    """What a storage declares beside the operations that all of them have. The contract suite goes by this."""

    DURABLE = "durable"
    """What was committed survives the death of the process."""
    SHARED = "shared"
    """Several processes may open the same URL and see each other's commits and doorbells."""
    MESSAGES = "messages"
    """`RunUnit.messages` are stored for channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker as others see it."""

    id: WorkerId
    name: str
    host: str
    pid: int
    queues: tuple[str, ...] | None
    concurrency: int
    started_at: Micros
    beat: int
    """Raised by every heartbeat. Stale means: it has not moved for the timeout on the observer's own clock."""
    beat_at: Micros
    gone: bool = False
    """Known to be dead by the store itself (on this machine, its process has ended)."""
    runs: int = 0
    """Runs that it owns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; newest first. Absent parts do not filter."""

    statuses: frozenset[RunStatus] | None = None
    kind: str | None = None
    name: str | None = None
    parent_id: RunId | None = None
    root_id: RunId | None = None
    key: str | None = None
    target: str | None = None
    id_prefix: str | None = None
    labels: Mapping[str, str] | None = None
    limit: int = 100
    before: RunId | None = None
    """Only runs with a smaller id: the page after this one."""


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a run's history."""

    seq: int
    at: Micros
    text: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pruning took away."""

    runs: int
    entries: int
    blobs: int


class Doorbell(ABC):
    """Wakes one process. From `Storage.doorbell`; usable from one waiting thread, `close` from any."""

    @abstractmethod
    def wait(self, timeout: float) -> Ring:
        """Block until rung, `timeout` seconds passed or the bell was closed; what was rung since the last call.

        Rings that come between two calls are kept and returned by the next. An empty `Ring` is a timeout.
        """

    @abstractmethod
    def close(self) -> None:
        """Unregister; a `wait` under way returns. May be called twice."""


class Storage(ABC):
    """A store. Opened by `open_storage(url)`; closed once, after all threads have left it."""

    url: str
    clock: Clock
    """Gives `now()` for everything that is stored."""

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What it declares."""

    @abstractmethod
    def open(self) -> None:
        """Connect, check versions, migrate under a lock. Called once, before anything else.

        :raises StoreUnreachable, StoreTooNew, StoreUnsupported:
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything. May be called twice."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the one write of the engine -------------------------------------------------------------

    @abstractmethod
    def commit(self, batch: Batch) -> BatchResult:
        """One transaction: apply the units in order, then claim; durable when it returns.

        Atomic a unit, and all applied units together: a reader sees all of them or none. A unit whose result is not
        `Applied` left nothing behind, and does not disturb the others. Fences, keys, limits and inboxes are read under the locks
        that guard them, never from before.

        **RunUnit.** Applied where the run is `running` under `epoch`; else `Stale`. `expect_wake` unequal to the stored `wake_seq`:
        `Woken`. Entries replace what stands under their (run, seq). Consumed items are deleted. Starts, signals and effects
        behave as below and in `EffectChange`; if one is refused, the whole unit is `Refused`. Applying a unit sets `losses` to 0.
        `Park` makes the run `waiting` without an owner, `Release` makes it `queued` without an owner, `End` is an end.

        **StartUnit / starts.** The run is inserted `queued` (or, with `claim_by`, `running` under epoch 1, see `NewRun`;
        with `not_before` in the future, `waiting` for `timer` with that `due_at`), its definition and needs if they are new. A run with the same (target, key) that exists is returned
        with `existed`, if its inputs are the same text; else `Refused(KeyConflict)`. Of two equal starts in one batch the
        second finds the first.

        **SignalUnit / signals.** A missing run: `Refused(NotFound)`. A terminal one: `Refused(RunIsTerminal)`. Else an inbox item, and `wake_seq` + 1; a run that
        waits without an owner becomes `queued`.

        **CancelUnit.** Missing and terminal as for signals (the target alone: terminal descendants are passed over). Without an owner (`pending`, `queued`, `waiting`): ended as `cancelled`,
        with error kind `cancelled`, epoch + 1. With an owner: `cancel_requested`, an inbox item, `wake_seq` + 1. The same for every run
        below it that is not terminal.

        **RetryUnit.** `Refused(Conflict)` unless failed or cancelled. Else `queued`, epoch + 1, generation + 1, error and times of the end cleared,
        losses 0, a note in the history; the same for every failed or cancelled run below it. With `claim_by`, it alone is claimed at once.

        **An end** is the same wherever it comes from: state, output or error and `finished_at` are set, the owner, the inbox, the limits'
        holdings go; a parent that is not terminal gets a `child_end` item and is woken as by a signal; runs that wait (`slot`) for a key
        that became free are `queued`; for `failed` and `cancelled`, the runs that it started and that have not ended are cancelled as by a `CancelUnit`.

        **Claim.** First, runs that wait without an owner and are due become `queued`. Then up to `limit` of the `queued` runs that the request
        serves, by priority (high first), then by id: owner, epoch + 1, `running`, `first_claimed_at` where unset. A run whose limit has no free holding
        becomes `waiting` for `slot` instead and does not count. Holdings are runs that were claimed and have not ended. Runs with two or more losses are
        suspects: left out unless `suspects`, then the first alone. Of the entries, those that count in the run's generation, by seq;
        of the inbox, everything, by seq.
        """

    @abstractmethod
    def prune(self, *, before: Micros, dry_run: bool = False) -> Pruned:
        """Delete whole trees whose root ended before `before` and in which no run is left unended, with their entries, inbox,
        history, keys, effects of their own scope, and the blobs and definitions that nothing refers to any more."""

    # --- liveness --------------------------------------------------------------------------------

    @abstractmethod
    def presence(self, worker: WorkerRecord) -> AbstractContextManager[None]:
        """While it is held, the worker stands among `workers()`, and on this machine its end, however it comes, shows as
        `gone` at once. On leaving, the worker's runs are handed back (`queued`, no loss counted) and its row goes."""

    @abstractmethod
    def beat(self, worker_id: WorkerId) -> bool:
        """Raise the worker's beat; False if somebody has buried it. Called about once a second, from a thread of its own."""

    @abstractmethod
    def workers(self) -> Sequence[WorkerRecord]:
        """All that have not been buried or left, oldest first."""

    @abstractmethod
    def bury(self, worker_id: WorkerId, beat: int) -> int:
        """Hand the runs of a dead worker back: `queued`, epoch + 1, losses + 1 each; the number of them.

        A compare: where the stored beat is not `beat` any more, or the worker is not there, nothing happens and it is 0.
        """

    # --- doorbells -------------------------------------------------------------------------------

    @abstractmethod
    def doorbell(self, owner: WorkerId) -> Doorbell:
        """Register a doorbell. After every commit the storage rings the bells (but that of `Batch.origin`): `work` all, when runs became
        claimable; `inbox` the owner's; `ended` all. Best effort: the engine looks for itself once a second."""

    # --- reads: each sees one committed state -----------------------------------------------------

    @abstractmethod
    def run(self, run_id: RunId) -> Run | None:
        """One run."""

    @abstractmethod
    def runs(self, wanted: RunFilter) -> Sequence[Run]:
        """Runs, newest first."""

    @abstractmethod
    def statuses(self, run_ids: Sequence[RunId]) -> Mapping[RunId, RunStatus]:
        """Of those that exist."""

    @abstractmethod
    def entries(self, run_id: RunId, *, after: int = -1, limit: int | None = None) -> Sequence[Entry]:
        """The journal by seq, from behind `after`: all generations."""

    @abstractmethod
    def inbox(self, run_id: RunId) -> tuple[int, Sequence[Item]]:
        """The run's `wake_seq` and its items by seq, from one committed state."""

    @abstractmethod
    def owned(self, worker_id: WorkerId) -> Mapping[RunId, tuple[int, int]]:
        """The (epoch, wake_seq) of every run that this worker owns."""

    @abstractmethod
    def definition(self, definition_id: DefinitionId) -> Definition | None:
        """One definition."""

    @abstractmethod
    def needs(self) -> Mapping[NeedsId, frozenset[str]]:
        """Every interned set of needs."""

    @abstractmethod
    def effect(self, scope: str, key: str) -> Effect | None:
        """One row of the effect ledger."""

    @abstractmethod
    def notes(self, run_id: RunId) -> Sequence[Note]:
        """The run's history, oldest first."""
