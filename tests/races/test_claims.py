"""A run has one driver: a claim is a transaction, and only one of them finds the run `queued`."""

import pytest

from trivium.errors import Conflict
from trivium.model.commit import Applied, End, NewSignal, Park, Refused, RetryUnit, RunUnit, SignalUnit
from trivium.model.events import RunClaimed
from trivium.model.failure import Failure
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.faults import pause_at


@pytest.fixture
def target(scripts):
    @scripts()
    async def target(context):
        return 1

    return target


@pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)
def test_of_two_claimers_one_gets_the_run(seat, hand, target):
    one, two = seat(), seat()
    with pause_at("engine.before_claim", 1) as first, pause_at("engine.before_claim", 2) as second:
        run_id = hand.start(target)
        first.wait_reached()
        second.wait_reached()
        first.resume()
        second.resume()
        hand.wait_ended(run_id)
    one.stop()
    two.stop()

    assert one.sent(RunClaimed, run_id) + two.sent(RunClaimed, run_id) == 1
    assert hand.run(run_id).epoch == 1


def test_of_two_claims_at_once_one_gets_the_run(store, hand, target, threads):
    other = hand.worker("other")
    run_id = hand.start(target)
    with pause_at("storage.commit.before", 1) as first, pause_at("storage.commit.before", 2) as second:
        claims = [threads.submit(hand.claim, hand.me), threads.submit(hand.claim, other)]
        first.wait_reached()
        second.wait_reached()
        first.resume()
        second.resume()
        got = [claim.result() for claim in claims]

    assert sorted(map(len, got)) == [0, 1]
    assert hand.run(run_id).epoch == 1


@pytest.mark.parametrize("signal_first", [True, False])
def test_a_run_that_is_woken_in_the_batch_of_its_park_has_one_driver(hand, target, signal_first):
    hand.start(target)
    (run,) = hand.claim()
    parks = RunUnit(run_id=run.id, epoch=run.epoch, expect_wake=0, then=Park(WaitReason.SIGNAL))
    wakes = SignalUnit(NewSignal(run.id, "go"))

    result = hand.commit(*((wakes, parks) if signal_first else (parks, wakes)), claim=hand.request())

    again = [claimed.run.epoch for claimed in result.claimed]
    assert again == ([] if signal_first else [2])
    assert hand.run(run.id).status is RunStatus.RUNNING
    assert [item.name for item in hand.storage.inbox(run.id)[1]] == ["go"]


def test_the_second_retry_of_a_run_is_a_conflict(hand, target):
    hand.start(target)
    (run,) = hand.claim()
    failed = End(RunStatus.FAILED, error=Failure(code="TRV-4010", message="it broke"))
    hand.one(RunUnit(run_id=run.id, epoch=run.epoch, then=failed))

    first, second = hand.commit(RetryUnit(run.id), RetryUnit(run.id)).results

    assert isinstance(first, Applied)
    assert isinstance(second, Refused)
    assert isinstance(second.error, Conflict)
    assert (hand.run(run.id).status, hand.run(run.id).generation) == (RunStatus.QUEUED, 1)


def test_a_claim_that_is_under_way_when_its_worker_stops_is_handed_back(seat, hand, scripts):
    called = []

    @scripts()
    async def waits(context):
        called.append("driven")
        await context.wait("go")

    seat = seat()
    with pause_at("engine.after_claim") as claim:
        run_id = hand.start(waits)
        claim.wait_reached()
        stopping = seat.soon(seat.app.stop)
        seat.settle()
        claim.resume()
        stopping.result()

    assert (hand.status(run_id), hand.run(run_id).losses) == (RunStatus.QUEUED, 0)
    assert called == []
