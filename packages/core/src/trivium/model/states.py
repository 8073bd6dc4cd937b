"""The states of runs and steps, and the one table of moves between them. `docs/states.md` is checked against it."""

from __future__ import annotations

from enum import StrEnum

from trivium.errors import MoveNotAllowed


class RunStatus(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL_RUNS


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL_STEPS


class WaitReason(StrEnum):
    """What a waiting run or step waits for."""

    TIMER = "timer"
    RETRY = "retry"
    SIGNAL = "signal"
    APPROVAL = "approval"
    MESSAGE = "message"
    CHILD = "child"
    DEPENDENCY = "dependency"
    SLOT = "slot"
    BUDGET = "budget"
    PAUSED = "paused"


class FailureKind(StrEnum):
    """Why something failed."""

    ERROR = "error"
    TIMEOUT = "timeout"
    LOST_WORKER = "lost_worker"
    SCHEMA = "schema"
    CANCELLED = "cancelled"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    REJECTED = "rejected"


TERMINAL_RUNS = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
TERMINAL_STEPS = frozenset(
    {
        StepStatus.COMPLETED,
        StepStatus.FAILED,
        StepStatus.SKIPPED,
        StepStatus.CANCELLED,
        StepStatus.COMPENSATED,
    }
)

_R = RunStatus
RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    _R.PENDING: frozenset({_R.QUEUED, _R.CANCELLED}),
    _R.QUEUED: frozenset({_R.RUNNING, _R.WAITING, _R.CANCELLED}),
    _R.RUNNING: frozenset({_R.WAITING, _R.QUEUED, _R.COMPLETED, _R.FAILED, _R.CANCELLED}),
    _R.WAITING: frozenset({_R.QUEUED, _R.CANCELLED}),
    _R.COMPLETED: frozenset(),
    _R.FAILED: frozenset(),
    _R.CANCELLED: frozenset(),
}
"""What the engine may do: a terminal state never changes."""

OPERATOR_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    _R.FAILED: frozenset({_R.QUEUED}),
    _R.CANCELLED: frozenset({_R.QUEUED}),
}
"""What a person may do besides: a retry. It raises the epoch and the generation and is written to the history."""

_S = StepStatus
STEP_MOVES: dict[StepStatus, frozenset[StepStatus]] = {
    _S.PENDING: frozenset({_S.RUNNING, _S.SKIPPED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.RUNNING, _S.WAITING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.WAITING: frozenset({_S.RUNNING, _S.WAITING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.COMPLETED: frozenset({_S.COMPENSATED}),
    _S.FAILED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.COMPENSATED: frozenset(),
}
"""Running to running: the same step, executed again after a crash."""


def check_run_move(old: RunStatus, new: RunStatus, *, operator: bool = False) -> None:
    """Raise `MoveNotAllowed` unless the table has the move."""
    if new in RUN_MOVES[old] or (operator and new in OPERATOR_MOVES.get(old, ())):
        return
    raise MoveNotAllowed("the run", old, new)


def check_step_move(old: StepStatus, new: StepStatus) -> None:
    """Raise `MoveNotAllowed` unless the table has the move."""
    if new not in STEP_MOVES[old]:
        raise MoveNotAllowed("the step", old, new)
