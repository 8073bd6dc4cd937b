"""A timeout is a compare: what was committed to the inbox before it wins."""

import pytest

from trivium import WaitTimeout
from trivium.errors import RunIsTerminal
from trivium.model.commit import Refused
from trivium.model.events import RunParked
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.testing.faults import pause_at


@pytest.fixture
def waits(scripts):
    """A script that waits ten seconds for `go`, and then, if it did not come, for as long as it takes."""

    @scripts()
    async def waits(context):
        try:
            return ["in time", await context.wait("go", timeout=10)]
        except WaitTimeout:
            return ["late", await context.wait("go")]

    return waits


def test_a_signal_that_was_committed_before_the_timeout_wins(clock, seat, hand, waits):
    seat = seat()
    run_id = seat.start(waits)
    seat.settle()
    with pause_at("engine.before_commit") as timeout:
        clock.advance(10)
        timeout.wait_reached()
        hand.signal(run_id, "go", 1)
        timeout.resume()

    assert seat.end(run_id).output == '["in time",1]'
    assert hand.entries(run_id)["wait:go"].status is StepStatus.COMPLETED


def test_a_signal_after_the_timeout_is_kept_for_the_next_wait(clock, seat, hand, waits):
    seat = seat()
    run_id = seat.start(waits)
    seat.settle()
    with pause_at("engine.after_commit") as timeout:
        clock.advance(10)
        timeout.wait_reached()
        hand.signal(run_id, "go", 1)
        timeout.resume()

    assert seat.end(run_id).output == '["late",1]'
    assert hand.entries(run_id)["wait:go"].status is StepStatus.FAILED


def test_a_signal_of_another_name_only_delays_the_timeout(clock, seat, hand, waits):
    seat = seat()
    run_id = seat.start(waits)
    seat.settle()
    with pause_at("engine.before_commit", 1) as timeout, pause_at("engine.after_commit", 2) as again:
        clock.advance(10)
        timeout.wait_reached()
        hand.signal(run_id, "other", 1)
        timeout.resume()
        again.wait_reached()
        status = hand.entries(run_id)["wait:go"].status
        again.resume()
    hand.signal(run_id, "go", 2)

    assert status is StepStatus.FAILED
    assert seat.end(run_id).output == '["late",2]'


def test_a_run_that_is_due_looks_into_its_inbox_before_it_times_out(clock, seat, hand, waits):
    first = seat(park_after=0.0)
    run_id = first.start(waits)
    first.seen.wait(RunParked, run_id)
    first.stop()
    clock.advance(10)
    hand.signal(run_id, "go", 1)

    second = seat()

    assert second.end(run_id).output == '["in time",1]'


def test_a_decision_that_was_committed_before_its_expiry_counts(clock, seat, scripts, hand):
    decides = decision(scripts)
    seat = seat()
    run_id = seat.start(decides)
    seat.settle()
    with pause_at("engine.before_commit") as expiry:
        clock.advance(60)
        expiry.wait_reached()
        hand.signal(run_id, "decision:1", "yes")
        expiry.resume()

    assert seat.end(run_id).output == '"yes"'


def test_a_decision_after_the_expiry_that_ended_the_run_is_refused(clock, seat, scripts, hand):
    decides = decision(scripts)
    seat = seat()
    run_id = seat.start(decides)
    seat.settle()
    with pause_at("engine.after_commit", 2) as end:
        clock.advance(60)
        end.wait_reached()
        answer = hand.signal(run_id, "decision:1", "yes")
        end.resume()
        ended = seat.end(run_id)

    assert isinstance(answer, Refused)
    assert isinstance(answer.error, RunIsTerminal)
    assert ended.status is RunStatus.FAILED
    assert ended.error.kind is FailureKind.TIMEOUT


def decision(scripts):
    @scripts()
    async def decides(context):
        return await context.wait("decision:1", timeout=60)

    return decides
