"""A committed end wins over a cancel; a cancel that was committed first is never forgotten."""

import pytest

from trivium.errors import RunIsTerminal
from trivium.model.commit import Applied, Refused
from trivium.model.events import RunClaimed, RunParked
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.testing.faults import pause_at


@pytest.fixture
def ends(scripts):
    @scripts()
    async def ends(context):
        return 1

    return ends


@pytest.fixture
def waits(scripts):
    @scripts()
    async def waits(context):
        return await context.wait("go")

    return waits


def test_a_cancel_after_the_end_is_a_conflict(seat, hand, ends):
    seat = seat()
    with pause_at("engine.after_commit", 2) as end:
        run_id = seat.start(ends)
        end.wait_reached()
        result = hand.cancel(run_id)
        end.resume()

    assert isinstance(result, Refused)
    assert isinstance(result.error, RunIsTerminal)
    assert seat.end(run_id).status is RunStatus.COMPLETED


@pytest.mark.parametrize(("point", "nth"), [("engine.before_end", 1), ("engine.before_commit", 2)])
def test_an_end_that_was_under_way_wins_over_a_cancel(seat, hand, ends, point, nth):
    seat = seat()
    with pause_at(point, nth) as end:
        run_id = seat.start(ends)
        end.wait_reached()
        result = hand.cancel(run_id)
        end.resume()
        ended = seat.end(run_id)

    assert isinstance(result, Applied)
    assert result.status is RunStatus.RUNNING
    assert ended.status is RunStatus.COMPLETED
    assert hand.status(run_id) is RunStatus.COMPLETED


@pytest.mark.parametrize(("point", "nth"), [("engine.before_park", 1), ("engine.before_commit", 2)])
def test_a_cancel_before_the_park_is_seen_by_the_owner(seat, hand, waits, point, nth):
    seat = seat(park_after=0.0)
    with pause_at(point, nth) as park:
        run_id = seat.start(waits)
        park.wait_reached()
        hand.cancel(run_id)
        park.resume()
        ended = seat.end(run_id)

    assert ended.status is RunStatus.CANCELLED
    assert hand.run(run_id).epoch == 1
    assert seat.sent(RunParked, run_id) == 0


def test_a_cancel_after_the_park_ends_the_run_without_its_worker(seat, hand, waits):
    seat = seat(park_after=0.0)
    with pause_at("engine.after_commit", 2) as park:
        run_id = seat.start(waits)
        park.wait_reached()
        result = hand.cancel(run_id)
        park.resume()
        ended = seat.end(run_id)

    assert isinstance(result, Applied)
    assert result.status is RunStatus.CANCELLED
    assert ended.status is RunStatus.CANCELLED


def test_a_cancelled_run_is_not_claimed(seat, hand, ends):
    seat = seat()
    with pause_at("engine.before_claim") as claim, pause_at("engine.before_wait") as idle:
        run_id = hand.start(ends)
        claim.wait_reached()
        hand.cancel(run_id)
        claim.resume()
        idle.wait_reached()

    assert hand.status(run_id) is RunStatus.CANCELLED
    assert seat.sent(RunClaimed, run_id) == 0


def test_a_run_that_is_cancelled_right_after_its_claim_is_ended_by_its_owner(seat, hand, waits):
    seat = seat()
    with pause_at("engine.after_claim") as claim:
        run_id = hand.start(waits)
        claim.wait_reached()
        result = hand.cancel(run_id)
        claim.resume()
        ended = seat.end(run_id)

    assert isinstance(result, Applied)
    assert result.status is RunStatus.RUNNING
    assert ended.status is RunStatus.CANCELLED


@pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)
def test_a_cancel_outlives_the_owner_that_should_have_seen_it(seat, hand, process, traces, mark):
    run_id = hand.start("script:marks_then_waits", {"file": str(traces), "steps": ["a"]})
    owner = process("stop@engine.before_commit#2")
    owner.wait_stopped()
    result = hand.cancel(run_id, "changed my mind")
    owner.kill()

    seat = seat(mark)
    ended = seat.end(run_id)

    assert isinstance(result, Applied)
    assert (ended.status, ended.error.message) == (RunStatus.CANCELLED, "changed my mind")
    assert traces.read_text().split() == ["a"]


def test_a_child_started_while_its_tree_is_cancelled_is_cancelled_too(seat, scripts, hand, ends):
    @scripts()
    async def spawns(context):
        child = await context.options(queue="by hand").start(ends)
        return await child.result()

    seat = seat()
    with pause_at("engine.before_commit", 2) as start:
        run_id = seat.start(spawns)
        start.wait_reached()
        hand.cancel(run_id)
        start.resume()
        ended = seat.end(run_id)
    (child_id,) = [entry.child_id for entry in hand.entries(run_id).values()]

    assert ended.status is RunStatus.CANCELLED
    assert hand.status(child_id) is RunStatus.CANCELLED


def test_a_step_whose_outcome_is_in_hand_keeps_it_when_its_run_is_cancelled(seat, scripts, hand):
    def work() -> str:
        return "done"

    @scripts()
    async def one_step(context):
        await context.step("one", work)
        await context.wait("never")

    seat = seat(work)
    with pause_at("engine.before_commit", 2) as outcome, pause_at("engine.before_end") as end:
        run_id = seat.start(one_step)
        outcome.wait_reached()
        hand.cancel(run_id)
        end.wait_reached()
        end.resume()
        seat.settle()
        outcome.resume()
        ended = seat.end(run_id)

    assert ended.error.kind is FailureKind.CANCELLED
    assert hand.entries(run_id)["one"].status is StepStatus.COMPLETED
