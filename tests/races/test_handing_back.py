"""What is on its way to the store when its run is cut short."""

from trivium.model.events import RunReleased, StepEnded
from trivium.model.states import RunStatus, StepStatus
from trivium.testing.faults import pause_at


def look_a_second_time(seat, run_id) -> None:
    """What the once-a-second look does with a run that is driven: it writes down what has begun and not ended."""
    drive = seat.app.engine.worker.driven[run_id]
    seat.portal.call(drive.write_down_starts, 2**62)


def test_a_run_is_not_handed_back_before_its_last_outcome_is_durable(seat, scripts, hand, gate):
    def work() -> str:
        gate.pass_through()
        return "done"

    @scripts()
    async def one_step(context):
        await context.step("one", work)

    seat = seat(work)
    run_id = seat.start(one_step)
    gate.wait_reached()
    stopping = seat.soon(seat.app.stop)
    seat.settle()
    with pause_at("engine.before_commit") as outcome:
        gate.open()
        outcome.wait_reached()
        seat.settle()
        assert hand.status(run_id) is RunStatus.RUNNING
        outcome.resume()
        stopping.result()

    assert hand.status(run_id) is RunStatus.QUEUED
    assert hand.entries(run_id)["one"].status is StepStatus.COMPLETED
    assert seat.seen.count(RunReleased, run_id) == 1


def test_an_outcome_on_its_way_is_not_overwritten_by_the_second_look(seat, scripts, hand):
    def work() -> str:
        return "done"

    @scripts()
    async def one_step(context):
        await context.step("one", work)
        await context.wait("go")

    seat = seat(work)
    with pause_at("engine.before_commit", 2) as outcome:
        run_id = seat.start(one_step)
        outcome.wait_reached()
        look_a_second_time(seat, run_id)
        outcome.resume()
    seat.seen.wait(StepEnded, run_id)
    hand.signal(run_id, "go")
    seat.end(run_id)

    assert hand.entries(run_id)["one"].status is StepStatus.COMPLETED


def test_a_signal_taken_by_a_wait_is_not_given_back_by_the_second_look(seat, scripts, hand):
    @scripts()
    async def one_wait(context):
        return await context.wait("go")

    seat = seat()
    run_id = seat.start(one_wait)
    seat.settle()
    with pause_at("engine.before_commit") as outcome:
        hand.signal(run_id, "go", 1)
        outcome.wait_reached()
        look_a_second_time(seat, run_id)
        outcome.resume()

    assert seat.end(run_id).output == "1"
    assert hand.entries(run_id)["wait:go"].status is StepStatus.COMPLETED


def test_an_outcome_on_its_way_stands_when_its_run_is_cancelled(seat, scripts, hand):
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
    seat.end(run_id)

    assert hand.status(run_id) is RunStatus.CANCELLED
    assert hand.entries(run_id)["one"].status is StepStatus.COMPLETED
