"""The journal of a run: one entry for each thing it did, addressed by a stable key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trivium.clock import Micros
from trivium.ids import RunId
from trivium.json import JsonText
from trivium.model.failure import Failure
from trivium.model.states import StepStatus, WaitReason


class EntryKind(StrEnum):
    """Which verb of the context made an entry."""

    STEP = "step"
    CHILD = "child"
    SLEEP = "sleep"
    WAIT = "wait"
    PUBLISH = "publish"
    SIGNAL = "signal"
    EFFECT = "effect"


@dataclass(slots=True, kw_only=True)
class Entry:
    """One entry. Only the run's owner writes it, and only within its fence.

    Not frozen for speed alone (a frozen dataclass costs a microsecond more to make, and a run makes one a step): nobody
    changes an entry after it was handed to the committer.

    `seq` is its place in the journal: unique in the run, given by the owner; an entry committed again under its `seq`
    replaces what stood there. `generation` is the run's at that time: a retry of the run starts a new one, in which
    entries of older generations count only if they completed, or, for a child, were started.
    """

    seq: int
    key: str
    kind: EntryKind
    name: str
    status: StepStatus
    generation: int
    attempts: int = 0
    input_hash: str | None = None
    output: JsonText | None = None
    error: Failure | None = None
    wait_reason: WaitReason | None = None
    due_at: Micros | None = None
    child_id: RunId | None = None
    started_at: Micros | None = None
    finished_at: Micros | None = None
