"""Bells only make things fast; but between a look and the sleep behind it no ring is lost.

The heart does not beat here, so that nothing is found by the second look unless a test lets it come.
"""

import pytest

from trivium.ids import new_worker_id
from trivium.model.commit import Applied
from trivium.model.states import RunStatus
from trivium.testing.faults import pause_at

on_sqlite = pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)


@pytest.fixture
def target(scripts):
    @scripts()
    async def target(context):
        return 1

    return target


def test_a_run_started_before_an_idle_worker_waits_is_claimed_at_once(seat, hand, target):
    seat = seat()
    with pause_at("engine.before_wait") as idle:
        seat.portal.start_task_soon(seat.app.engine.worker.look_for_work)
        idle.wait_reached()
        run_id = hand.start(target)
        idle.resume()

    assert seat.end(run_id).output == "1"


def test_a_run_started_during_a_claim_is_claimed_next(seat, hand, target):
    seat = seat()
    with pause_at("engine.after_commit") as claim:
        seat.portal.start_task_soon(seat.app.engine.worker.look_for_work)
        claim.wait_reached()
        run_id = hand.start(target)
        seat.settle()
        claim.resume()

    assert seat.end(run_id).output == "1"


@pytest.mark.parametrize("store_and_backend", ["memory-asyncio", "memory-trio"], indirect=True)
def test_a_run_whose_definition_is_stored_during_a_look_is_claimed_by_the_next(store, seat, hand, target, gate):
    """The look has read which needs there are; the ring for a run of a new definition must lead to another."""
    seat = seat()
    store.memory.needs_gate = gate
    seat.portal.call(seat.app.engine.worker.look_for_work)
    gate.wait_reached()
    run_id = hand.start(target)
    seat.portal.call(seat.app.engine.worker.look_for_work)  # what its ring leads to
    gate.open()

    assert seat.end(run_id).output == "1"


@on_sqlite
def test_a_run_whose_ring_was_lost_is_found_by_the_second_look(seat, hand, process, target):
    seat = seat()
    process("kill@storage.commit.after", starts="script:marks_nothing").wait_killed()
    seat.settle()
    (run,) = [run for run in hand.runs() if run.name == "marks_nothing"]
    before = run.status
    seat.beat()

    assert before is RunStatus.QUEUED
    assert seat.end(run.id).status is RunStatus.COMPLETED


def test_a_full_bell_delays_no_sender_and_loses_no_run(hand, target):
    bell = hand.storage.doorbell(new_worker_id())
    try:
        runs = [hand.start(target) for _ in range(600)]  # more than a queue of datagrams holds
        heard = bell.wait(0)
    finally:
        bell.close()

    assert heard.work or heard.everything
    assert len(hand.claim(limit=1000)) == len(runs)


def test_an_inbox_rung_for_before_its_run_is_driven_is_looked_into(seat, hand, scripts):
    @scripts()
    async def waits(context):
        return await context.wait("go")

    seat = seat()
    with pause_at("engine.after_claim") as claim:
        run_id = hand.start(waits)
        claim.wait_reached()
        result = hand.signal(run_id, "go", 1)
        seat.settle()
        claim.resume()

    assert isinstance(result, Applied)
    assert seat.end(run_id).output == "1"
    assert hand.run(run_id).epoch == 1
