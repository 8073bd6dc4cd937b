"""A run that only waits leaves memory; whatever comes at that moment wakes it, in memory or from the store."""

import anyio
import anyio.to_thread
import pytest

from trivium.json import NULL
from trivium.model.commit import Applied, End, Park, RunUnit, Woken
from trivium.model.events import RunClaimed, RunParked
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.faults import pause_at


@pytest.fixture
def waits(scripts):
    """A script that waits for one signal and returns it."""

    @scripts()
    async def waits(context):
        return await context.wait("go")

    return waits


def test_a_signal_that_was_committed_before_the_park_wakes_the_run_in_memory(seat, hand, waits):
    seat = seat(park_after=0.0)
    with pause_at("engine.before_park") as park:
        run_id = seat.start(waits)
        park.wait_reached()
        hand.signal(run_id, "go", 1)
        park.resume()
        end = seat.end(run_id)

    assert end.output == "1"
    assert hand.run(run_id).epoch == 1
    assert seat.sent(RunParked, run_id) == 0


def test_a_signal_that_overtakes_the_park_on_its_way_wakes_the_run_in_memory(seat, hand, waits):
    seat = seat(park_after=0.0)
    with pause_at("engine.before_commit", 2) as park:
        run_id = seat.start(waits)
        park.wait_reached()
        hand.signal(run_id, "go", 1)
        seat.settle()
        park.resume()
        end = seat.end(run_id)

    assert end.output == "1"
    assert hand.run(run_id).epoch == 1
    assert seat.sent(RunParked, run_id) == 0


def test_a_signal_that_was_committed_after_the_park_queues_the_run(seat, hand, waits):
    seat = seat(park_after=0.0)
    with pause_at("engine.after_commit", 2) as parked:
        run_id = seat.start(waits)
        parked.wait_reached()
        assert hand.status(run_id) is RunStatus.WAITING
        hand.signal(run_id, "go", 1)
        assert hand.status(run_id) is RunStatus.QUEUED
        parked.resume()
        end = seat.end(run_id)

    assert end.output == "1"
    assert hand.run(run_id).epoch == 2
    assert seat.sent(RunClaimed, run_id) == 2


def test_a_run_whose_signal_was_delivered_just_now_does_not_park(seat, hand, waits):
    """Its coroutine is about to go on. The number is that of the inbox, so the compare would let the park through."""
    seat = seat()
    run_id = seat.start(waits)
    drive = seat.app.engine.worker.driven[run_id]

    def deliver_and_park() -> None:
        hand.signal(run_id, "go", 1)
        drive.deliver(*hand.storage.inbox(run_id))
        drive._try_park()

    seat.portal.call(deliver_and_park)
    end = seat.end(run_id)

    assert end.output == "1"
    assert seat.sent(RunParked, run_id) == 0


def test_a_child_that_ends_before_its_parent_parks_wakes_it_in_memory(seat, scripts, hand):
    parent, child_of = parent_and_child(scripts)
    seat = seat(park_after=0.0)
    with pause_at("engine.before_park") as park:
        run_id = seat.start(parent)
        park.wait_reached()
        hand.finish(child_of(hand, run_id))
        park.resume()
        end = seat.end(run_id)

    assert end.output == '"by hand"'
    assert hand.run(run_id).epoch == 1


def test_a_child_that_ends_after_its_parent_parked_queues_it(seat, scripts, hand):
    parent, child_of = parent_and_child(scripts)
    seat = seat(park_after=0.0)
    run_id = seat.start(parent)
    seat.seen.wait(RunParked, run_id)
    hand.finish(child_of(hand, run_id))
    end = seat.end(run_id)

    assert end.output == '"by hand"'
    assert hand.run(run_id).epoch == 2


@pytest.mark.parametrize("end_first", [True, False])
def test_a_child_may_end_in_the_batch_in_which_its_parent_parks(hand, scripts, end_first):
    async def nothing(context):
        return None

    target = scripts()(nothing)
    hand.start(target)
    (parent,) = hand.claim()
    hand.start(target, parent_id=parent.id, root_id=parent.id)
    (child,) = hand.claim()
    ends = RunUnit(run_id=child.id, epoch=child.epoch, then=End(RunStatus.COMPLETED, output=NULL))
    parks = RunUnit(
        run_id=parent.id, epoch=parent.epoch, expect_wake=0, then=Park(WaitReason.CHILD, None, (frozenset([child.id]),))
    )

    results = hand.commit(*((ends, parks) if end_first else (parks, ends))).results

    parked = results[1 if end_first else 0]
    assert isinstance(parked, Woken if end_first else Applied)
    assert hand.status(parent.id) is (RunStatus.RUNNING if end_first else RunStatus.QUEUED)
    assert [item.name for item in hand.storage.inbox(parent.id)[1]] == [child.id]


def test_a_run_that_parks_while_its_worker_stops_stays_parked(seat, hand, waits):
    seat = seat(park_after=0.0)
    with pause_at("engine.before_commit", 2) as park:
        run_id = seat.start(waits)
        park.wait_reached()
        stopping = seat.soon(seat.app.stop)
        seat.settle()
        park.resume()
        stopping.result()

    assert hand.status(run_id) is RunStatus.WAITING


def test_a_step_in_a_task_of_its_own_keeps_the_run_in_memory(clock, seat, scripts, hand, gate):
    def work() -> str:
        gate.pass_through()
        return "done"

    @scripts()
    async def has_tasks_of_its_own(context):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.step, "one", work)
            return await context.wait("go")

    seat = seat(work, park_after=1.0)
    run_id = seat.start(has_tasks_of_its_own)
    gate.wait_reached()
    clock.advance(5)
    seat.settle()
    gate.open()
    hand.signal(run_id, "go", 1)

    assert seat.end(run_id).output == "1"
    assert gate.came == 1
    assert seat.sent(RunParked, run_id) == 0


def test_an_effect_in_a_task_of_its_own_keeps_the_run_in_memory(clock, seat, scripts, hand, gate):
    @scripts()
    async def has_tasks_of_its_own(context):
        async def pay() -> None:
            await anyio.to_thread.run_sync(gate.pass_through)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.once, "pay", pay)
            return await context.wait("go")

    seat = seat(park_after=1.0)
    run_id = seat.start(has_tasks_of_its_own)
    gate.wait_reached()
    clock.advance(5)
    seat.settle()
    gate.open()
    hand.signal(run_id, "go", 1)

    assert seat.end(run_id).output == "1"
    assert gate.came == 1
    assert seat.sent(RunParked, run_id) == 0


def parent_and_child(scripts):
    """A parent that waits for its child, which the hand drives: it has a queue of its own."""

    @scripts()
    async def below(context):
        raise AssertionError("driven by hand")

    @scripts()
    async def above(context):
        child = await context.options(queue="by hand").start(below)
        return await child.result()

    def child_of(hand, run_id):
        (child,) = [run for run in hand.claim() if run.parent_id == run_id]
        return child

    return above, child_of
