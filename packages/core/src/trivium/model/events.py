"""What happens, as frozen records: for observers, `Run.events()` and progress.

An event is sent after the commit that made it true, once, by the worker that drives the run, and may be lost with it:
the stored journal and history are the truth. `StepStarted` alone is sent before anything of its step is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeAlias

from trivium.clock import Micros
from trivium.ids import RunId
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import Run
from trivium.model.states import RunStatus, StepStatus, WaitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """The base of all events."""

    run_id: RunId
    root_id: RunId
    at: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class RunClaimed(RunEvent):
    """A worker drives the run from here on. `epoch` 1 is its first time; `replayed` counts the journal entries it
    brought."""

    kind: str
    name: str
    epoch: int
    replayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(RunEvent):
    """An attempt of a step begins."""

    key: str
    name: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetrying(RunEvent):
    """An attempt failed; the next begins at `due_at`."""

    key: str
    name: str
    attempt: int
    error: Failure
    due_at: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded(RunEvent):
    """A journal entry has its last state."""

    key: str
    name: str
    kind: EntryKind
    status: StepStatus
    attempts: int
    error: Failure | None
    started_at: Micros | None
    finished_at: Micros | None

    @classmethod
    def of(cls, run: Run, entry: Entry, at: Micros) -> Self:
        """The event of a journal entry that has ended."""
        return cls(
            run_id=run.id,
            root_id=run.root_id,
            at=at,
            key=entry.key,
            name=entry.name,
            kind=entry.kind,
            status=entry.status,
            attempts=entry.attempts,
            error=entry.error,
            started_at=entry.started_at,
            finished_at=entry.finished_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParked(RunEvent):
    """The run left memory and waits."""

    reason: WaitReason
    due_at: Micros | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReleased(RunEvent):
    """The worker handed the run back, or lost it to another (`lost`)."""

    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(RunEvent):
    """The run's end is durable."""

    kind: str
    name: str
    status: RunStatus
    error: Failure | None


Event: TypeAlias = RunClaimed | StepStarted | StepRetrying | StepEnded | RunParked | RunReleased | RunEnded

Observer: TypeAlias = Callable[[Event], None]
"""Called on a thread of its own, one event at a time; what it raises is logged and changes nothing."""
