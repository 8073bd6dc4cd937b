"""The storage port: what the engine asks of a store, and what it may rely on.

Synchronous on purpose. The engine calls it from threads of its own (one that commits, one that beats, some that read),
so an implementation needs no async driver; it must be usable from several threads at once.

Rules for all methods: nothing is remembered between calls but what was committed; times are taken from the store's
clock; values are canonical JSON text and are given back to the letter; a method that finds nothing returns None or an
empty sequence; what cannot be reached raises `StoreUnreachable` or `StoreBusy`, and after those nothing was applied.
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
    """A store. Made by `open_storage(url)`, opened by `open` or `with`, closed once all threads have left it."""

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
        `Applied` left nothing behind, not even a ring, and does not disturb the others. Fences, keys, limits and
        inboxes are read under the locks that guard them, never from before.

        **Order.** The outcome is that of the units applied one after the other, each seeing what those before it left:
        a signal before a park in the same batch makes the park `Woken`; a second unit of a run that ended before it is
        `Stale`; a unit of a parent after its child's end finds the raised `wake_seq`. The batch has one time: `now`,
        `created_at`, `finished_at` and notes of all its units are the same instant.

        **What always holds.** A run has an owner exactly while it is `running`. `wait_reason` and `due_at` are set
        only while it is `waiting`. `wake_seq` never goes down; an inbox item's `seq` is the `wake_seq` that it made,
        so items behind the number that an owner has seen are new. The epoch never goes down.

        **RunUnit.** Applied where the run is `running` under `epoch`; else `Stale` (also where there is no such run).
        `expect_wake` unequal to the stored `wake_seq`: `Woken`. Entries replace what stands under their (run, seq).
        Consumed items are deleted; those that are not there are passed over. Starts, signals and effects are applied
        in this order and behave as below and in `EffectChange`, so a signal may go to a run that the same unit starts;
        the first that is refused makes the whole unit `Refused`. Messages, where the storage does not declare them:
        `Refused(NoChannels)`. Applying a unit that `shows_progress` sets `losses` to 0. Then `Park` makes the run
        `waiting` without an owner (without `expect_wake`: `Refused(Conflict)`), `Release` makes it `queued` without an
        owner under the same epoch, `End` is an end (to a state that is not terminal: `Refused(MoveNotAllowed)`). A
        unit that signals its own run gets an item like everybody; with `Park` it leaves the run `queued`, with `End`
        the item goes or stays as others do. Runs that the unit starts count as started before its `Park` or `End`.

        **Park for children.** Of each of `Park.children`'s groups, those count that are children of the run (by
        parent) and have not ended; if a group has none, the run does not park but becomes `queued`. Else they are
        waited for until the run is not `waiting` any more, by whatever. The end of one takes it out of its groups for
        good, also if it is retried. The cost of an end does not grow with the number of its siblings, but by the
        logarithm of an index.

        **StartUnit / starts.** The run is inserted `queued` (or, with `claim_by`, `running` under epoch 1, see
        `NewRun`; with `not_before` in the future, `waiting` for `timer` with that `due_at`) with epoch, generation and
        `wake_seq` 0, its definition and needs if they are new. Without a `root_id` it is its own root; a parent is not
        looked at. A run with the same (target, key) that exists, whatever its state and definition, is returned with
        `existed` if its inputs are the same text; else `Refused(KeyConflict)`. A run of the same id is the same start
        again: `existed` if target, key and inputs are the same, else `Refused(Conflict)`. Of two equal starts in one
        batch the second finds the first.

        **SignalUnit / signals.** A missing run: `Refused(NotFound)`. An `id` that the run has had before: accepted and
        dropped, even if the run has ended since. A terminal run: `Refused(RunIsTerminal)`. Else an inbox item, and
        `wake_seq` + 1; a run that is `waiting` and was claimed before (`first_claimed_at` is set) becomes `queued`;
        before its first claim the item is only buffered (its time or its slot has not come). Ids of signals are
        remembered until the run is pruned.

        **CancelUnit.** Missing and terminal as for signals (the target alone: terminal descendants are passed over).
        Without an owner (`pending`, `queued`, `waiting`): ended as `cancelled`, with error code `TRV-4002`, kind
        `cancelled` and the reason as message (`cancelled` where it is empty), epoch + 1. With an owner:
        `cancel_requested`, an inbox item (kind `cancel`, an empty name, the reason as JSON text), `wake_seq` + 1, a
        note in the history; where it was requested before, nothing more. Then the same for every run below it, by
        parent, that is not terminal, also below terminal ones: from the top down, siblings by id. `cancel_requested`
        stands until a retry; a run that loses its owner with it stays claimable, and its next owner ends it.

        **RetryUnit.** Missing: `Refused(NotFound)`. `Refused(Conflict)` unless failed or cancelled. Else `queued`,
        epoch + 1, generation + 1; output, error, `finished_at`, `first_claimed_at` (the timeout counts anew) and
        `cancel_requested` cleared, losses 0, a note in the history; the inbox stays as its end left it. The same for
        every failed or cancelled run below it that is reached through such runs alone (a completed run keeps what it
        made of its children). With `claim_by`, it alone is claimed at once under the conditions of `NewRun.claim_by`,
        with an epoch of its own as by any claim, and stands in `BatchResult.claimed`, before those of the batch's
        claim.

        **An end** is the same wherever it comes from: state, output or error and `finished_at` are set, the owner and
        the limits' holdings go. As `completed`, the whole inbox goes; as `failed` or `cancelled`, ends of children and
        cancels go, and signals stay for the run's next generation: they were accepted, and nobody took them. A parent
        that is not terminal gets a `child_end` item (`inbox.child_end` makes its payload; its cause is the child),
        and `wake_seq` + 1; where it is `waiting`, it becomes `queued` if this was the last child of one of the groups
        that it parked for, and only then. Runs that wait (`slot`) for a key of which a holding was freed are claimable
        again: `queued`, at the latest when a claim that serves them looks. For `failed` and `cancelled`, the runs below
        it that have not ended are cancelled as by a `CancelUnit`.

        **Claim.** First, `waiting` runs that are due (`due_at` at or before now), whoever serves them, become
        `queued`. Then up to `limit` of the `queued` runs that the request serves, by priority (high first), then by
        id: owner, epoch + 1, `running`, `first_claimed_at` where unset. Each time it is the first that its limits admit
        then. A worker without a presence (buried, left, never there) gets nothing, here and by `claim_by`: nobody would
        take over from it. Runs with two or more losses
        are suspects: left out unless `suspects`, then the first alone. Of the entries, those that count in the run's
        generation (of that generation, completed, or with a `child_id`), by seq; of the inbox, everything, by seq.

        **Limits.** A holding is a key and a run: taken by the claim that admits the run, kept through parks, releases
        and losses, gone with the run's end. A claim admits a run if, for each of its limits, it has the holding
        already, or an ancestor (by parent) has one under the same key (then it takes none), or fewer runs than its own
        `limit` hold the key; it takes all that it lacks or none. Else it becomes `waiting` for `slot` and does not
        count. Runs below the admitted one that wait (`slot`) for a key that it took, and lack no other, become
        `queued`: they share it, and it may wait for them. `claim_by` never admits a run that has limits.

        **Rings.** After the commit: `work` to all if a run became `queued` by the batch and still is, if a start waits
        for its time, or if a holding was freed that others wait for; `inbox` to the owner of a run for each item put
        into it; `ended` to all. The bells of `Batch.origin` are left out: it gets the same as `BatchResult.ring`.
        Without an origin that is what a bell without runs hears.

        **Fault points**, reached on the calling thread: `storage.commit.before` (nothing is locked),
        `storage.commit.inside` (all is applied, nothing can be seen or is durable) and `storage.commit.after`
        (durable, nobody is rung yet).
        """

    @abstractmethod
    def prune(self, *, before: Micros, dry_run: bool = False) -> Pruned:
        """Delete whole trees (by root) whose root ended before `before` and in which no run is left unended, with
        their entries, inbox, history, keys, effects of their own scope (a run's id), and the blobs, definitions
        and sets of needs that nothing refers to any more. `dry_run` counts and leaves everything. `blobs` is 0 where
        values are kept in place."""

    # --- liveness --------------------------------------------------------------------------------

    @abstractmethod
    def presence(self, worker: WorkerRecord) -> AbstractContextManager[None]:
        """While it is held, the worker stands among `workers()`, and on this machine its end, however it comes, shows
        as `gone` at once. On leaving, the worker's runs are handed back (`queued`, no loss counted) and its row goes;
        if it was buried, nothing is left to do.

        The storage fills in `started_at`, `beat` (0), `beat_at` and `runs`. An id that is present already:
        `Conflict`."""

    @abstractmethod
    def beat(self, worker_id: WorkerId) -> bool:
        """Raise the worker's beat and set `beat_at`; False if it is not there (any more). Called about once a second,
        from a thread of its own."""

    @abstractmethod
    def workers(self) -> Sequence[WorkerRecord]:
        """All that have not been buried or left, oldest first."""

    @abstractmethod
    def bury(self, worker_id: WorkerId, beat: int) -> int:
        """Hand the runs of a dead worker back: `queued`, epoch + 1, losses + 1 and a note in the history each; the
        number of them.

        Its row goes, also where it owned nothing. A compare: where the stored beat is not `beat` any more, or the
        worker is not there, nothing happens and it is 0.
        """

    # --- doorbells -------------------------------------------------------------------------------

    @abstractmethod
    def doorbell(self, owner: WorkerId) -> Doorbell:
        """Register a doorbell. After every commit the storage rings the bells (but that of `Batch.origin`): `work`
        all, when runs became claimable; `inbox` the owner's; `ended` all. Best effort: the engine looks for itself
        once a second."""

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
