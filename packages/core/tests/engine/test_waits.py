"""Sleeps, waits and signals."""

import pytest

from trivium.errors import RunFailed, RunIsTerminal, UsageError, WaitTimeout
from trivium.model.events import RunParked, StepEnded
from trivium.model.journal import EntryKind
from trivium.model.states import FailureKind, StepStatus, WaitReason


async def test_a_sleep_ends_when_its_time_has_come_and_not_before(world):
    async def main(context):
        await context.sleep("10s")
        return "awake"

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        world.clock.advance(0.9)
        await app.idle(run)
        assert app.engine.worker.driven[run.id].idle
        world.clock.advance(9.1)
        assert await run.result() == "awake"


async def test_a_sleep_until_a_moment_that_has_passed_ends_at_once(world):
    async def main(context):
        await context.sleep(until=context.now() - 1)
        await context.sleep(0)
        return "awake"

    async with world.app() as app:
        run = await app.start(main)
        assert await run.result() == "awake"
        journal = await app.journal(run)

    assert {key: entry.status for key, entry in journal.items()} == {
        "sleep:sleep": StepStatus.COMPLETED,
        "sleep:sleep#2": StepStatus.COMPLETED,
    }


async def test_a_sleep_wants_either_a_duration_or_a_moment(world):
    async def main(context):
        await context.sleep()

    async with world.app() as app:
        with pytest.raises(RunFailed, match="either a duration or until") as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == UsageError.code


async def test_a_sleep_that_was_parked_goes_on_with_what_is_left_of_it(world):
    async def main(context):
        await context.sleep(100)
        return "awake"

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run, reason=WaitReason.TIMER)
        world.clock.advance(60)
        assert not (await run.status()).terminal
    async with world.app(park_after=0) as app:
        run = await app.get(run.id)
        world.clock.advance(40)
        assert await run.result() == "awake"


async def test_a_signal_ends_a_wait_and_its_payload_is_the_result(world):
    async def main(context):
        return await context.wait("answer")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        await run.signal("answer", {"n": 42})
        assert await run.result() == {"n": 42}
        entry = (await app.journal(run))["wait:answer"]

    assert (entry.kind, entry.status, entry.wait_reason) == (EntryKind.WAIT, StepStatus.COMPLETED, None)


async def test_signals_that_come_before_the_wait_are_kept_in_their_order(world):
    async def main(context):
        await context.wait("go")
        return [await context.wait("n"), await context.wait("n"), await context.wait("n")]

    async with world.app() as app:
        run = await app.start(main)
        for n in (1, 2, 3):
            await run.signal("n", n)
        await run.signal("go")
        assert await run.result() == [1, 2, 3]


async def test_a_signal_of_another_name_wakes_nobody_and_is_kept(world):
    async def main(context):
        first = await context.wait("a")
        return [first, await context.wait("b")]

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        await run.signal("b", 2)
        await run.signal("a", 1)
        assert await run.result() == [1, 2]


async def test_a_signal_with_an_id_counts_once(world):
    async def main(context):
        first = await context.wait("n")
        await context.wait("end")
        try:
            return [first, await context.wait("n", timeout=5)]
        except WaitTimeout:
            return [first]

    async with world.app() as app:
        run = await app.start(main)
        await run.signal("n", 1, id="once")
        await run.signal("n", 1, id="once")
        await run.signal("end")
        await app.heard(StepEnded, run, key="wait:end")
        await app.idle(run)
        world.clock.advance(5)
        assert await run.result() == [1]


async def test_two_waits_for_one_name_take_two_signals(world):
    async def main(context):
        return sorted(await context.gather(lambda: context.wait("n"), lambda: context.wait("n")))

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        await run.signal("n", 1)
        await run.signal("n", 2)
        assert await run.result() == [1, 2]


async def test_a_wait_that_runs_out_raises_and_is_recorded_as_a_timeout(world):
    async def main(context):
        await context.wait("answer", timeout="1h")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        world.clock.advance(0.5)
        await app.idle(run)
        world.clock.advance(3600)
        with pytest.raises(RunFailed, match="timed out") as failed:
            await run.result()
        entry = (await app.journal(run))["wait:answer"]

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.TIMEOUT, WaitTimeout.code)
    assert entry.status is StepStatus.FAILED
    assert entry.error is not None
    assert entry.error.kind is FailureKind.TIMEOUT


async def test_a_wait_that_ran_out_does_so_again_when_the_run_is_driven_again(world):
    async def main(context):
        try:
            await context.wait("answer", timeout=5)
        except WaitTimeout:
            return ["nothing", await context.wait("answer")]
        return None

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        world.clock.advance(5)
        await app.heard(StepEnded, run, status=StepStatus.FAILED)
        await app.heard(RunParked, run, nth=2)
        await run.signal("answer", "late")
        assert await run.result() == ["nothing", "late"]


async def test_a_signal_that_was_committed_before_the_timeout_wins_also_where_both_are_seen_at_once(world):
    async def main(context):
        return await context.wait("answer", timeout=5)

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
    async with world.app(worker=False) as client:
        world.clock.advance(10)
        await (await client.get(run.id)).signal("answer", "in time, since nobody said otherwise")
    async with world.app() as app:
        assert await (await app.get(run.id)).result() == "in time, since nobody said otherwise"


async def test_a_signal_to_a_run_that_has_ended_is_a_conflict(world):
    async def main(context):
        return None

    async with world.app() as app:
        run = await app.start(main)
        await run.result()
        with pytest.raises(RunIsTerminal):
            await run.signal("answer")


async def test_a_run_signals_another_one_once_however_often_it_is_driven(world):
    async def receiver(context):
        first = await context.wait("n")
        await context.wait("end")
        try:
            return [first, await context.wait("n", timeout=1)]
        except WaitTimeout:
            return [first]

    async def sender(context):
        await context.signal(context.inputs, "n", 7)
        await context.sleep(10)
        return "sent"

    async with world.app(park_after=0) as app:
        receiving = await app.start(receiver)
        sending = await app.start(sender, receiving.id)
        await app.heard(RunParked, sending)
        world.clock.advance(10)
        assert await sending.result() == "sent"
        await receiving.signal("end")
        await app.heard(StepEnded, receiving, key="wait:end")
        await app.until(lambda: receiving.id not in app.engine.worker.driven)
        world.clock.advance(1)
        assert await receiving.result() == [7]


async def test_a_signal_to_nobody_is_raised_to_the_driver(world):
    async def main(context):
        await context.signal("no-such-run", "n")

    async with world.app() as app:
        with pytest.raises(RunFailed, match="no-such-run") as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-2001"


async def test_verbs_under_an_explicit_key_are_found_under_it(world):
    async def main(context):
        await context.options(key="nap").sleep(0)
        return await context.options(key="ask").wait("answer")

    async with world.app() as app:
        run = await app.start(main)
        await run.signal("answer", 1)
        assert await run.result() == 1
        assert set(await app.journal(run)) == {"nap", "ask"}
