"""Runs: the record that is queued, claimed, driven, parked and ended, and what is needed to start one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from trivium.clock import Micros
from trivium.ids import DefinitionId, NeedsId, RunId, WorkerId
from trivium.json import NULL, JsonText, JsonValue, digest, dumps
from trivium.model.failure import Failure
from trivium.model.states import RunStatus, WaitReason

DEFAULT_QUEUE = "default"
MAX_KEY_BYTES = 512
SUSPECT_LOSSES = 2
"""Owners that a run has lost in a row from which on it may be what kills them, and is claimed alone."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a run is pinned to: the compiled body, stored once under the hash of its content.

    `needs` names what a worker must have to drive it: `driver:KIND`, `action:NAME`, ...
    """

    id: DefinitionId
    kind: str
    name: str
    body: JsonText
    needs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, kind: str, name: str, body: JsonValue, needs: frozenset[str] = frozenset()) -> Definition:
        """The definition of this content; equal content has an equal id on every machine."""
        text = dumps(body, what="definition")
        wanted = needs | {f"driver:{kind}"}
        mark = digest("\0".join((kind, name, text, *sorted(wanted))))
        return cls(DefinitionId(mark), kind, name, text, wanted)

    @property
    def needs_id(self) -> NeedsId:
        return needs_id(self.needs)


def needs_id(needs: frozenset[str]) -> NeedsId:
    """The interned id of a set of needs."""
    return NeedsId(hashlib.sha256("\0".join(sorted(needs)).encode()).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Cause:
    """The run and the step that made a row."""

    run_id: RunId
    step_key: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `limit` runs that hold `key` at once, in the whole store; a run shares what an ancestor holds."""

    key: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be inserted.

    `key` makes the start idempotent: a run of the same target and key is returned instead of a second one, if `inputs`
    agree (under whatever definition it was pinned to), and is a conflict if they differ. `target` is what the key
    belongs to (`flow:NAME`).
    """

    id: RunId
    target: str
    definition: Definition
    inputs: JsonText = NULL
    key: str | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    root_id: RunId | None = None
    parent_id: RunId | None = None
    cause: Cause | None = None
    limits: tuple[Limit, ...] = ()
    timeout: Micros | None = None
    not_before: Micros | None = None
    claim_by: WorkerId | None = None
    """Insert it as already claimed by this worker, if that is present, and the run has no limits and is due, and no
    `queued` run of its queue has a higher priority; else it is inserted as if this were None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is stored."""

    id: RunId
    kind: str
    name: str
    target: str
    definition_id: DefinitionId
    status: RunStatus
    inputs: JsonText
    queue: str
    priority: int
    root_id: RunId
    epoch: int
    generation: int
    wake_seq: int
    """Raised by everybody who puts something into the run's inbox, never by its owner."""
    losses: int
    """Owners that died while they had it, since its last commit."""
    created_at: Micros
    key: str | None = None
    wait_reason: WaitReason | None = None
    output: JsonText | None = None
    error: Failure | None = None
    owner: WorkerId | None = None
    parent_id: RunId | None = None
    cause: Cause | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    timeout: Micros | None = None
    due_at: Micros | None = None
    first_claimed_at: Micros | None = None
    finished_at: Micros | None = None
    cancel_requested: bool = False

    @property
    def deadline(self) -> Micros | None:
        """When its timeout ends it: counted from the first claim, waiting included."""
        if self.timeout is None or self.first_claimed_at is None:
            return None
        return Micros(self.first_claimed_at + self.timeout)
