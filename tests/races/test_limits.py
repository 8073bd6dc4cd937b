"""A limit counts runs that were admitted and have not ended, whatever became of their workers."""

import pytest

from trivium.model.runs import Limit
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.faults import pause_at

on_sqlite = pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)


def start_two(hand, traces, *steps):
    """Two runs of one limit, of which one may be driven at a time."""
    inputs = {"file": str(traces), "steps": list(steps)}
    return [hand.start("script:marks_alone", inputs) for _ in range(2)]


def is_waiting_for_its_slot(hand, run_id):
    run = hand.run(run_id)
    return (run.status, run.wait_reason) == (RunStatus.WAITING, WaitReason.SLOT)


@on_sqlite
def test_a_limit_is_held_over_the_death_of_its_holder(seat, hand, process, traces, mark):
    holder, waiter = start_two(hand, traces, "a")
    process("kill@engine.after_claim").wait_killed()
    claimed = hand.claim()
    waited = is_waiting_for_its_slot(hand, waiter)

    seat = seat(mark)
    ends = [seat.end(holder), seat.end(waiter)]

    assert claimed == []
    assert waited
    assert [end.status for end in ends] == [RunStatus.COMPLETED, RunStatus.COMPLETED]
    assert hand.run(holder).losses == 0
    assert traces.read_text().split() == ["a", "a"]


@on_sqlite
def test_a_holder_that_died_before_its_end_was_durable_still_holds(seat, hand, process, traces):
    holder, waiter = start_two(hand, traces)
    process("kill@storage.commit.inside#2").wait_killed()

    assert hand.claim() == []
    assert hand.status(holder) is RunStatus.RUNNING
    assert is_waiting_for_its_slot(hand, waiter)


@on_sqlite
def test_a_holder_that_died_right_after_its_end_has_let_the_next_one_in(hand, process, traces):
    holder, waiter = start_two(hand, traces)
    process("kill@storage.commit.after#2").wait_killed()

    assert hand.status(holder) is RunStatus.COMPLETED
    assert hand.status(waiter) is RunStatus.QUEUED
    assert [run.id for run in hand.claim()] == [waiter]


def test_two_claimers_never_admit_more_than_the_limit(hand, scripts, threads):
    @scripts(limits=(Limit("door", 1),))
    async def limited(context):
        return 1

    other = hand.worker("other")
    runs = [hand.start(limited), hand.start(limited)]
    with pause_at("storage.commit.before", 1) as first, pause_at("storage.commit.before", 2) as second:
        claims = [threads.submit(hand.claim, worker, limit=1) for worker in (hand.me, other)]
        first.wait_reached()
        second.wait_reached()
        first.resume()
        second.resume()
        got = [claim.result() for claim in claims]

    assert sorted(map(len, got)) == [0, 1]
    assert sorted(hand.status(run_id) for run_id in runs) == [RunStatus.RUNNING, RunStatus.WAITING]
