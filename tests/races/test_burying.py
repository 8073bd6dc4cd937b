"""A worker is buried by a compare on its beat; who lives or leaves in order loses nothing."""

import pytest

from trivium.engine.heart import Heart, Observer
from trivium.ids import new_worker_id
from trivium.model.events import RunReleased
from trivium.model.states import RunStatus, StepStatus
from trivium.testing.faults import pause_at


@pytest.fixture
def target(scripts):
    @scripts()
    async def target(context):
        return 1

    return target


def burier(storage) -> Heart:
    """The heart of an observer that has no patience: it has looked once, and finds whoever did not beat since stale."""

    def unused(*_: object) -> None:
        raise AssertionError("only looks around")

    heart = Heart(storage, new_worker_id(), interval=1, timeout=1, on_tick=unused, on_buried=unused, on_failure=unused)
    heart.look_around()
    return heart


def present(hand, worker) -> bool:
    return worker in [each.id for each in hand.storage.workers()]


def test_a_worker_that_beats_is_not_buried_by_an_older_look(hand, target, threads):
    victim = hand.me
    run_id = hand.start(target)
    hand.claim()
    with pause_at("engine.before_bury") as bury:
        looking = threads.submit(burier(hand.storage).look_around)
        bury.wait_reached()
        hand.storage.beat(victim)
        bury.resume()
        freed = looking.result()

    assert freed == 0
    assert present(hand, victim)
    assert (hand.status(run_id), hand.run(run_id).losses, hand.run(run_id).epoch) == (RunStatus.RUNNING, 0, 1)


def test_two_buriers_count_one_loss(hand, target, threads):
    run_id = hand.start(target)
    hand.claim()
    with pause_at("engine.before_bury", 1) as first, pause_at("engine.before_bury", 2) as second:
        looking = [threads.submit(burier(hand.storage).look_around) for _ in range(2)]
        first.wait_reached()
        second.wait_reached()
        first.resume()
        second.resume()
        freed = [look.result() for look in looking]

    assert sorted(freed) == [0, 1]
    assert (hand.status(run_id), hand.run(run_id).losses, hand.run(run_id).epoch) == (RunStatus.QUEUED, 1, 2)


def test_a_worker_that_leaves_in_order_counts_no_loss(seat, hand, scripts, threads):
    @scripts()
    async def waits(context):
        await context.wait("go")

    seat = seat()
    run_id = seat.start(waits)
    leaving = seat.worker_id
    with pause_at("engine.before_bury", 1) as bury, pause_at("engine.before_bury", 2) as other:
        looking = threads.submit(burier(hand.storage).look_around)
        bury.wait_reached()
        seat.stop()
        bury.resume()
        other.resume()
        looking.result()

    assert not present(hand, leaving)
    assert (hand.status(run_id), hand.run(run_id).losses) == (RunStatus.QUEUED, 0)


def test_a_worker_that_has_handed_its_runs_back_and_not_left_yet_may_be_buried_without_a_loss(seat, hand, scripts):
    @scripts()
    async def waits(context):
        await context.wait("go")

    seat = seat()
    run_id = seat.start(waits)
    with pause_at("engine.before_leave") as leave:
        stopping = seat.soon(seat.app.stop)
        leave.wait_reached()
        freed = hand.bury(seat.worker_id)
        leave.resume()
        stopping.result()

    assert freed == 0
    assert (hand.status(run_id), hand.run(run_id).losses) == (RunStatus.QUEUED, 0)


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
        before = hand.status(run_id)
        outcome.resume()
        stopping.result()

    assert before is RunStatus.RUNNING
    assert hand.status(run_id) is RunStatus.QUEUED
    assert hand.entries(run_id)["one"].status is StepStatus.COMPLETED
    assert seat.sent(RunReleased, run_id) == 1


def test_a_worker_that_was_buried_goes_on_as_a_new_one(seat, hand, scripts, target):
    """It was slow, not dead: its next beat says so, it drops its runs, and takes what it finds under a new id."""

    @scripts()
    async def waits(context):
        return await context.wait("go")

    seat = seat()
    run_id = seat.start(waits)
    old = seat.worker_id
    hand.bury(old)
    seat.beat()
    seat.seen.wait(RunReleased, run_id)
    hand.signal(run_id, "go", 1)
    end = seat.end(run_id)

    assert end.output == "1"
    assert seat.worker_id != old
    assert not present(hand, old)
    assert (hand.run(run_id).losses, hand.run(run_id).epoch) == (0, 3)


@pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)
def test_a_worker_that_is_told_to_stop_while_it_enters_again_leaves_nothing_behind(seat, hand):
    """The beat that tells it takes the lock first, then its old presence as it goes, then its new one."""
    seat = seat()
    hand.bury(seat.worker_id)
    with pause_at("sqlite.locked", 3) as entering:
        seat.beat_once()
        entering.wait_reached()
        stopping = seat.soon(seat.app.stop)
        seat.settle()
        entering.resume()
        stopping.result()
        left = [worker.id for worker in hand.storage.workers()]
    seat.close()

    assert left == [hand.me]
    assert [worker.id for worker in hand.storage.workers()] == [hand.me]


def test_a_claim_of_the_boot_before_does_not_keep_the_new_one_from_claiming(seat, hand, target):
    seat = seat()
    with pause_at("engine.before_claim") as claim:
        run_id = hand.start(target)
        claim.wait_reached()
        hand.bury(seat.worker_id)
        seat.beat_once()
        seat.wait_booted_again()
        claim.resume()
        end = seat.end(run_id)

    assert end.output == "1"
    assert (hand.run(run_id).epoch, hand.run(run_id).losses) == (1, 0)


def test_an_observer_counts_its_own_looks_and_not_the_time_between_them(hand):
    """While nobody could write, and while it was stopped itself, it looked at nobody."""
    observer = Observer(looks=3)
    verdicts = [observer.dead(hand.storage.workers()) for _ in range(4)]

    assert [[worker.id for worker in dead] for dead in verdicts] == [[], [], [], [hand.me]]
