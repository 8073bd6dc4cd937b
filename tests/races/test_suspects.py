"""A run that kills its worker is found out, and nobody else is blamed."""

import pytest

from trivium.errors import Conflict
from trivium.model.commit import RetryUnit
from trivium.model.events import RunClaimed
from trivium.model.states import FailureKind, RunStatus

on_sqlite = pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)


@on_sqlite
def test_a_run_that_kills_three_workers_fails_and_its_neighbours_do_not(seat, hand, process, traces, mark):
    dies = hand.start("script:dies", {"file": str(traces)})
    neighbours = [hand.start("script:marks", {"file": str(traces), "steps": ["fine"]}) for _ in range(2)]
    losses = []
    for _ in range(3):
        process().wait_killed()
        for worker in hand.storage.workers():
            if worker.gone:
                hand.bury(worker.id)
        losses.append(hand.run(dies).losses)

    seat = seat(mark)
    end = seat.end(dies)
    others = [seat.end(run_id) for run_id in neighbours]

    assert losses == [1, 2, 3]
    assert (end.status, end.error.kind, end.error.code) == (RunStatus.FAILED, FailureKind.LOST_WORKER, "TRV-4008")
    assert [other.status for other in others] == [RunStatus.COMPLETED, RunStatus.COMPLETED]
    assert traces.read_text().split() == ["driven", "driven", "driven", "fine", "fine"]


@on_sqlite
def test_a_suspect_has_its_worker_for_itself(hand, process, traces):
    """The third worker is told of suspects and claims one alone: its neighbour is still queued when it dies."""
    dies = hand.start("script:dies", {"file": str(traces)})
    neighbour = hand.start("script:marks", {"file": str(traces), "steps": ["fine"]})
    for _ in range(2):
        mortal = hand.worker("mortal")
        hand.claim(mortal)
        hand.bury(mortal)

    process().wait_killed()

    assert [hand.status(run_id) for run_id in (dies, neighbour)] == [RunStatus.RUNNING, RunStatus.QUEUED]
    assert traces.read_text().split() == ["driven"]


def test_a_suspect_does_not_wait_for_a_worker_that_is_idle(seat, hand, scripts):
    @scripts()
    async def harmless(context):
        return 1

    run_id = hand.start(harmless)
    for _ in range(2):
        mortal = hand.worker("mortal")
        hand.claim(mortal)
        hand.bury(mortal)

    seat = seat()

    assert seat.end(run_id).output == "1"
    assert seat.sent(RunClaimed, run_id) == 1


def test_what_comes_while_a_suspect_is_driven_is_claimed_as_soon_as_it_is_gone(seat, hand, scripts, gate):
    def work() -> None:
        gate.pass_through()

    @scripts()
    async def harmless(context):
        await context.step("one", work)

    @scripts()
    async def other(context):
        return 1

    run_id = hand.start(harmless)
    for _ in range(2):
        mortal = hand.worker("mortal")
        hand.claim(mortal)
        hand.bury(mortal)
    seat = seat(work, waits_until_idle=False)
    gate.wait_reached()
    behind = hand.start(other)
    seat.settle()
    alone = hand.status(behind)
    gate.open()

    assert seat.end(run_id).status is RunStatus.COMPLETED
    assert seat.end(behind).output == "1"
    assert alone is RunStatus.QUEUED


def test_that_a_step_has_started_is_no_progress(seat, hand, scripts, gate):
    """A step that kills its worker after a second is written down as started; that must not clear its run."""

    def work() -> None:
        gate.pass_through()

    @scripts()
    async def one_step(context):
        await context.step("one", work)

    run_id = hand.start(one_step)
    mortal = hand.worker("mortal")
    hand.claim(mortal)
    hand.bury(mortal)
    seat = seat(work)
    gate.wait_reached()
    seat.portal.call(seat.app.engine.worker.driven[run_id].write_down_starts, 2**62)
    behind = seat.soon(seat.app.engine.commit, RetryUnit(run_id))
    refused = behind.exception()  # so everything that was submitted before it is durable
    losses = hand.run(run_id).losses
    gate.open()
    seat.end(run_id)

    assert isinstance(refused, Conflict)
    assert losses == 1
    assert hand.run(run_id).losses == 0
