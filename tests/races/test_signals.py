"""Signals are kept until somebody waits for them, each is consumed once, and who comes too late is told."""

import pytest

from trivium.errors import RunIsTerminal
from trivium.model.commit import Applied, Refused
from trivium.model.events import RunEnded
from trivium.model.states import RunStatus
from trivium.testing.faults import pause_at


def test_a_signal_before_the_wait_is_kept_for_it(seat, scripts, hand, gate):
    def work() -> None:
        gate.pass_through()

    @scripts()
    async def works_then_waits(context):
        await context.step("one", work)
        return await context.wait("go")

    seat = seat(work)
    run_id = seat.start(works_then_waits)
    gate.wait_reached()
    hand.signal(run_id, "go", "early")
    gate.open()

    assert seat.end(run_id).output == '"early"'
    assert hand.run(run_id).epoch == 1


def test_two_signals_of_one_name_are_taken_in_the_order_of_their_commits(seat, scripts, hand, gate):
    def work() -> None:
        gate.pass_through()

    @scripts()
    async def waits_twice(context):
        await context.step("one", work)
        return [await context.wait("go"), await context.wait("go")]

    seat = seat(work)
    run_id = seat.start(waits_twice)
    gate.wait_reached()
    hand.signal(run_id, "go", "first")
    hand.signal(run_id, "go", "second")
    gate.open()

    assert seat.end(run_id).output == '["first","second"]'


@pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)
def test_a_signal_that_its_consumer_died_over_is_consumed_once(seat, hand, process, traces, mark):
    run_id = hand.start("script:marks_then_waits", {"file": str(traces), "steps": []})
    hand.signal(run_id, "go", 1)
    process("kill@engine.before_commit#2").wait_killed()
    _, items = hand.storage.inbox(run_id)

    seat = seat(mark)

    assert seat.end(run_id).output == "1"
    assert len(items) == 1
    assert hand.entries(run_id)["wait:go"].output == "1"


@pytest.mark.parametrize("point", ["engine.before_end", "engine.before_commit"])
def test_a_signal_before_the_end_is_accepted_and_goes_with_the_run(seat, scripts, hand, point):
    @scripts()
    async def ends(context):
        return 1

    seat = seat()
    with pause_at(point, 1 if point == "engine.before_end" else 2) as end:
        run_id = seat.start(ends)
        end.wait_reached()
        result = hand.signal(run_id, "go")
        end.resume()
        ended = seat.end(run_id)

    assert isinstance(result, Applied)
    assert ended.status is RunStatus.COMPLETED
    assert hand.storage.inbox(run_id)[1] == []


def test_a_signal_after_the_end_is_a_conflict(seat, scripts, hand):
    @scripts()
    async def ends(context):
        return 1

    seat = seat()
    with pause_at("engine.after_commit", 2) as end:
        run_id = seat.start(ends)
        end.wait_reached()
        result = hand.signal(run_id, "go")
        end.resume()
        seat.seen.wait(RunEnded, run_id)

    assert isinstance(result, Refused)
    assert isinstance(result.error, RunIsTerminal)
