"""The tables of moves."""

import itertools

import pytest

from trivium.errors import MoveNotAllowed
from trivium.model.states import (
    OPERATOR_MOVES,
    RUN_MOVES,
    STEP_MOVES,
    TERMINAL_RUNS,
    TERMINAL_STEPS,
    RunStatus,
    StepStatus,
    check_run_move,
    check_step_move,
)

RUN_PAIRS = list(itertools.product(RunStatus, RunStatus))
STEP_PAIRS = list(itertools.product(StepStatus, StepStatus))


def test_tables_have_every_state() -> None:
    assert set(RUN_MOVES) == set(RunStatus)
    assert set(STEP_MOVES) == set(StepStatus)


@pytest.mark.parametrize(("old", "new"), [pair for pair in RUN_PAIRS if pair[1] in RUN_MOVES[pair[0]]])
def test_run_moves_of_the_table_are_allowed(old: RunStatus, new: RunStatus) -> None:
    check_run_move(old, new)


@pytest.mark.parametrize(("old", "new"), [pair for pair in RUN_PAIRS if pair[1] not in RUN_MOVES[pair[0]]])
def test_other_run_moves_are_refused(old: RunStatus, new: RunStatus) -> None:
    with pytest.raises(MoveNotAllowed, match=f"{old} and cannot become {new}"):
        check_run_move(old, new)


@pytest.mark.parametrize(("old", "new"), [pair for pair in STEP_PAIRS if pair[1] in STEP_MOVES[pair[0]]])
def test_step_moves_of_the_table_are_allowed(old: StepStatus, new: StepStatus) -> None:
    check_step_move(old, new)


@pytest.mark.parametrize(("old", "new"), [pair for pair in STEP_PAIRS if pair[1] not in STEP_MOVES[pair[0]]])
def test_other_step_moves_are_refused(old: StepStatus, new: StepStatus) -> None:
    with pytest.raises(MoveNotAllowed, match=f"{old} and cannot become {new}"):
        check_step_move(old, new)


@pytest.mark.parametrize("status", RunStatus)
def test_terminal_runs_are_those_that_never_move(status: RunStatus) -> None:
    assert status.terminal == (not RUN_MOVES[status])
    assert status.terminal == (status in TERMINAL_RUNS)


@pytest.mark.parametrize("status", StepStatus)
def test_terminal_steps_move_at_most_to_compensated(status: StepStatus) -> None:
    assert status.terminal == (STEP_MOVES[status] <= {StepStatus.COMPENSATED})
    assert status.terminal == (status in TERMINAL_STEPS)


def test_operator_may_retry_what_failed_or_was_cancelled_and_nothing_else() -> None:
    check_run_move(RunStatus.FAILED, RunStatus.QUEUED, operator=True)
    check_run_move(RunStatus.CANCELLED, RunStatus.QUEUED, operator=True)

    assert set(OPERATOR_MOVES) == {RunStatus.FAILED, RunStatus.CANCELLED}
    with pytest.raises(MoveNotAllowed):
        check_run_move(RunStatus.COMPLETED, RunStatus.QUEUED, operator=True)


def test_every_run_can_be_reached_and_ended() -> None:
    reached = {RunStatus.PENDING, RunStatus.QUEUED}
    for _ in RunStatus:
        reached |= {new for old in reached for new in RUN_MOVES[old]}

    assert reached == set(RunStatus)
    assert all(RunStatus.CANCELLED in RUN_MOVES[status] for status in RunStatus if not status.terminal)
