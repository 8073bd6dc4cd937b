"""The commit: a batch of units, each with its own fence and its own result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from trivium.clock import Micros
from trivium.errors import TriviumError
from trivium.ids import NeedsId, RunId, WorkerId
from trivium.json import NULL, JsonText
from trivium.model.effects import Effect, EffectChange, EffectStatus
from trivium.model.failure import Failure
from trivium.model.inbox import Item
from trivium.model.journal import Entry
from trivium.model.runs import Cause, Definition, NewRun, Run
from trivium.model.states import RunStatus, WaitReason

# --- what is asked -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Park:
    """The run leaves memory: `waiting`, without an owner, until a signal, a cancel, a time or children wake it."""

    reason: WaitReason
    due_at: Micros | None = None
    children: tuple[frozenset[RunId], ...] = ()
    """Groups of the run's own children: the end that empties one of them, as the last of its children to end, wakes the
    run. Other ends only come into its inbox, and without groups none of them wakes it. What has ended already, or is no
    child of the run, is left out; with a group that is empty then the run is `queued` at once."""


@dataclass(frozen=True, slots=True)
class Release:
    """The owner hands the run back, as it shuts down: `queued`, without an owner."""


@dataclass(frozen=True, slots=True)
class End:
    """The run's last state."""

    status: RunStatus
    output: JsonText | None = None
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to a channel, part of the unit that publishes it. Only storages that declare `messages` take it."""

    channel: str
    payload: JsonText
    key: str | None = None
    headers: JsonText = NULL
    id: str | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal to a run. `id` deduplicates: a second one with the same id to the same run is accepted and dropped."""

    run_id: RunId
    name: str
    payload: JsonText = NULL
    id: str | None = None
    cause: Cause | None = None


@dataclass(slots=True, kw_only=True)
class RunUnit:
    """What the owner of a run writes, all of it or nothing.

    It is applied only where the stored epoch is `epoch` and the run is `running`. With `expect_wake`, also only where
    nothing new came into the inbox (`wake_seq` is still that number); `Park` always needs it.
    """

    run_id: RunId
    epoch: int
    entries: Sequence[Entry] = ()
    consumed: Sequence[int] = ()
    """Inbox items (by `seq`) that these entries take in; they are deleted."""
    starts: Sequence[NewRun] = ()
    signals: Sequence[NewSignal] = ()
    messages: Sequence[NewMessage] = ()
    effects: Sequence[EffectChange] = ()
    notes: Sequence[str] = ()
    """Lines for the run's history (warnings and decisions that a person may want to know)."""
    expect_wake: int | None = None
    then: Park | Release | End | None = None

    @property
    def shows_progress(self) -> bool:
        """Whether the run got on, and is no crash loop. That an effect was intended, or is to be tried again, does not
        show it: a call that kills its worker is intended anew each time."""
        return (
            not self.effects
            or bool(self.entries or self.consumed or self.starts or self.signals or self.messages or self.then)
            or any(change.status is EffectStatus.CONFIRMED for change in self.effects)
        )


@dataclass(frozen=True, slots=True)
class StartUnit:
    """Start a run from outside."""

    run: NewRun


@dataclass(frozen=True, slots=True)
class SignalUnit:
    """Signal a run from outside."""

    signal: NewSignal


@dataclass(frozen=True, slots=True)
class CancelUnit:
    """Cancel a run and the runs that it started. Without an owner it ends at once, else its owner is asked to."""

    run_id: RunId
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryUnit:
    """An operator's retry of a failed or cancelled run, with the failed and cancelled runs below it."""

    run_id: RunId
    claim_by: WorkerId | None = None


Unit: TypeAlias = RunUnit | StartUnit | SignalUnit | CancelUnit | RetryUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Which runs a worker wants."""

    worker_id: WorkerId
    limit: int
    serves: frozenset[NeedsId]
    """The interned sets of needs that it can meet."""
    queues: frozenset[str] | None = None
    """None: every queue."""
    roots: frozenset[RunId] | None = None
    """None: every tree; else only runs of these trees."""
    suspects: bool = False
    """Claim one suspect (a run that lost two owners since its last commit) and nothing else, instead of only others."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction: the units in order, then the claim, which sees what they did."""

    units: Sequence[Unit] = ()
    claim: ClaimRequest | None = None
    origin: WorkerId | None = None
    """Whose doorbell need not be rung: it gets `BatchResult.ring`."""


# --- what comes back -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The run of a start: a new one, or, for a key that was used before, the one that stands."""

    run_id: RunId
    existed: bool = False
    claimed: bool = False
    """It was inserted as claimed by `NewRun.claim_by`, under epoch 1."""
    status: RunStatus = RunStatus.QUEUED


@dataclass(frozen=True, slots=True)
class Applied:
    """The unit is durable."""

    wake_seq: int = 0
    """The run's (the unit's, the started, the signalled one's), as stored: larger than what the owner has seen means
    that its inbox has something new."""
    started: Sequence[Started] = ()
    status: RunStatus | None = None
    """For a cancel, a retry and a unit with `then`: the run's status now (a cancel of an owned run leaves it
    `running`)."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The fence has another epoch: somebody else owns the run. Nothing was applied."""


@dataclass(frozen=True, slots=True)
class Woken:
    """Something came into the inbox that the owner had not seen. Nothing was applied."""

    wake_seq: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A verb of the unit cannot be: a key conflict, a terminal or missing target, an effect that stands. Nothing was
    applied."""

    error: TriviumError
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The database refused the data of this unit (the others were applied). Nothing of it was applied."""

    error: TriviumError


Result: TypeAlias = Applied | Stale | Woken | Refused | Broken


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run with everything that its driver needs to go on."""

    run: Run
    definition: Definition
    entries: Sequence[Entry]
    inbox: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Ring:
    """Why somebody is woken. `everything` says that rings may have been lost and all must be looked at."""

    work: bool = False
    """Runs may have become claimable."""
    inbox: frozenset[RunId] = frozenset()
    """Owned runs whose inbox has something new."""
    ended: frozenset[RunId] = frozenset()
    everything: bool = False

    def __or__(self, other: Ring) -> Ring:
        return Ring(
            self.work or other.work,
            self.inbox | other.inbox,
            self.ended | other.ended,
            self.everything or other.everything,
        )

    def __bool__(self) -> bool:
        return bool(self.work or self.inbox or self.ended or self.everything)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One result for each unit, in order, and the claimed runs."""

    results: Sequence[Result]
    claimed: Sequence[ClaimedRun] = ()
    next_due: Micros | None = None
    """When the next timer of a run that nobody owns is due; only with a claim."""
    suspects: bool = False
    """With a claim: a suspect is claimable that this request did not take."""
    ring: Ring = field(default_factory=Ring)
