"""An operator's retry against what is still on its way from the generation before."""

from trivium.model.commit import Applied, End, RunUnit
from trivium.model.events import RunReleased
from trivium.model.failure import Failure
from trivium.model.states import RunStatus, StepStatus
from trivium.testing.faults import pause_at

FAILED = End(RunStatus.FAILED, error=Failure(code="TRV-4010", message="it broke"))


def test_a_retried_parent_takes_the_end_of_a_child_whose_item_is_gone(seat, scripts, hand):
    failing = [True]

    @scripts()
    async def below(context):
        raise AssertionError("driven by hand")

    @scripts()
    async def above(context):
        child = await context.options(queue="by hand").start(below)
        if failing:
            raise ValueError("the first time")
        return await child.result()

    seat = seat()
    with pause_at("engine.before_end") as end:
        run_id = seat.start(above)
        end.wait_reached()
        (child,) = hand.claim()
        end.resume()
        failed = seat.end(run_id)
    finished = hand.finish(child)
    failing.clear()
    retried = hand.retry(run_id)
    inbox = hand.storage.inbox(run_id)[1]

    assert failed.status is RunStatus.FAILED
    assert isinstance(finished, Applied)
    assert isinstance(retried, Applied)
    assert inbox == []
    assert seat.end(run_id).output == '"by hand"'
    assert hand.run(child.id).generation == 0


def test_what_a_zombie_of_the_generation_before_commits_is_stale(seat, scripts, hand):
    def work() -> str:
        return "of the zombie"

    @scripts()
    async def one_step(context):
        return await context.step("one", work)

    seat = seat(work)
    with pause_at("engine.before_commit", 2) as outcome:
        run_id = seat.start(one_step)
        outcome.wait_reached()
        taken = hand.take_over(run_id, seat.worker_id)
        hand.one(RunUnit(run_id=run_id, epoch=taken.epoch, then=FAILED))
        hand.retry(run_id)
        (again,) = hand.claim()
        outcome.resume()
        seat.seen.wait(RunReleased, run_id)

    assert (again.generation, again.epoch) == (1, taken.epoch + 2)
    assert hand.run(run_id) == again
    assert hand.entries(run_id) == {}


def test_a_step_that_completed_before_its_run_failed_does_not_run_again(seat, scripts, hand, gate):
    called = []

    def quick() -> str:
        called.append("quick")
        return "kept"

    @scripts()
    async def fails_once(context):
        kept = await context.step("one", quick)
        if hand.run(context.run_id).generation == 0:
            raise ValueError("the first time")
        return kept

    seat = seat(quick)
    run_id = seat.start(fails_once)
    first = seat.end(run_id)
    hand.retry(run_id)
    second = seat.end(run_id)

    assert first.status is RunStatus.FAILED
    assert (second.status, second.output) == (RunStatus.COMPLETED, '"kept"')
    assert called == ["quick"]
    assert hand.entries(run_id)["one"].status is StepStatus.COMPLETED
