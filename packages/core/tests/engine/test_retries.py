"""Retries of steps: the policy, the delays, and what a park, a crash or a takeover leaves of them."""

import anyio
import anyio.to_thread
import pytest

from trivium import Retry, StepContext
from trivium.errors import RunFailed, StoreError
from trivium.model.events import RunClaimed, RunParked, StepEnded, StepRetrying, StepStarted
from trivium.model.states import FailureKind, StepStatus, WaitReason
from trivium.registry import action
from trivium.testing import raise_at

FLAT = Retry(max_attempts=5, backoff="fixed", initial=10, jitter=False)


@action
async def fails(context: StepContext) -> None:
    raise ValueError(f"attempt {context.attempt}")


async def flaky_run(context):
    return await context.step("k", "flaky")


def flaky(until: int, *, asynchronous: bool = True):
    """An action that fails before its attempt `until`, and lists the attempts."""
    attempts: list[int] = []

    def work(context: StepContext) -> int:
        attempts.append(context.attempt)
        if context.attempt < until:
            raise ValueError("not yet")
        return context.attempt

    async def work_async(context: StepContext) -> int:
        return work(context)

    return action(name="flaky", retry=FLAT)(work_async if asynchronous else work), attempts


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "def"])
async def test_a_failed_attempt_is_made_again_after_its_delay(world, asynchronous):
    function, attempts = flaky(3, asynchronous=asynchronous)

    async with world.app(function) as app:
        run = await app.start(flaky_run)
        first = await app.heard(StepRetrying, run)
        await app.idle(run)
        world.clock.advance(10)
        second = await app.heard(StepRetrying, run, nth=2)
        await app.idle(run)
        world.clock.advance(10)
        assert await run.result() == 3
        entry = (await app.journal(run))["k"]

    assert attempts == [1, 2, 3]
    assert second.due_at - first.due_at == 10_000_000
    assert (entry.status, entry.attempts, entry.error) == (StepStatus.COMPLETED, 3, None)


async def test_a_step_that_has_no_attempt_left_failed_with_its_last_error(world):
    async def main(context):
        await context.options(retry=Retry(max_attempts=3, initial=0)).step("k", fails)

    async with world.app(fails) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed, match="attempt 3"):
            await run.result()
        entry = (await app.journal(run))["k"]
        assert [event.attempt for event in app.seen if isinstance(event, StepStarted)] == []
        await app.heard(StepEnded, run)
        assert [event.attempt for event in app.seen if isinstance(event, StepStarted)] == [1, 2, 3]

    assert (entry.status, entry.attempts) == (StepStatus.FAILED, 3)


async def test_the_policy_names_what_is_retried(world):
    async def main(context):
        retry = Retry(max_attempts=3, initial=0, on=("TimeoutError",))
        await context.options(retry=retry).step("k", fails)

    async with world.app(fails) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed, match="attempt 1"):
            await run.result()


async def test_an_exponential_delay_doubles_and_stops_at_its_maximum(world):
    async def main(context):
        retry = Retry(max_attempts=5, initial=10, maximum=30, jitter=False)
        await context.options(retry=retry).step("k", fails)

    async with world.app(fails) as app:
        run = await app.start(main)
        delays = []
        for nth in range(1, 5):
            told = await app.heard(StepRetrying, run, nth=nth)
            delays.append((told.due_at - world.clock.now()) / 1_000_000)
            await app.idle(run)
            world.clock.advance(delays[-1])
        with pytest.raises(RunFailed):
            await run.result()

    assert delays == [10, 20, 30, 30]


async def test_a_long_delay_parks_the_run_and_survives_its_worker(world):
    function, attempts = flaky(2)

    async with world.app(function, park_after=0) as app:
        run = await app.start(flaky_run)
        told = await app.heard(RunParked, run)
        entry = (await app.journal(run))["k"]
    world.clock.advance(10)
    async with world.app(function) as app:
        assert await (await app.get(run.id)).result() == 2

    assert told.reason is WaitReason.RETRY
    assert (entry.status, entry.wait_reason, entry.attempts, entry.due_at) == (
        StepStatus.WAITING,
        WaitReason.RETRY,
        1,
        told.due_at,
    )
    assert attempts == [1, 2]


async def test_a_retry_whose_worker_stopped_waits_out_its_delay_elsewhere(world):
    function, attempts = flaky(2)

    async with world.app(function) as app:
        run = await app.start(flaky_run)
        await app.heard(StepRetrying, run)
        await app.idle(run)
        world.clock.advance(0.5)
    async with world.app(function) as app:
        run = await app.get(run.id)
        await app.heard(RunClaimed, run)
        await app.idle(run)
        assert attempts == [1]
        world.clock.advance(9.5)
        assert await run.result() == 2

    assert attempts == [1, 2]


async def test_attempts_that_failed_count_over_a_takeover_and_the_one_that_was_cut_off_does_not(world):
    attempts = []
    forever = anyio.Event()

    @action(name="flaky", retry=Retry(max_attempts=3, initial=0))
    async def stubborn(context: StepContext) -> int:
        attempts.append(context.attempt)
        if len(attempts) == 2:
            await forever.wait()
        raise ValueError("not ever")

    async with world.app(stubborn, shutdown_grace=0) as first:
        run = await first.start(flaky_run)
        await first.until(lambda: len(attempts) == 2)
        (worker,) = await first.app.workers()
        first.engine.worker.driven[run.id].write_down_starts(world.clock.now())
        await anyio.to_thread.run_sync(first.storage.bury, worker.id, worker.beat)
        async with world.app(stubborn) as second:
            with pytest.raises(RunFailed):
                await (await second.get(run.id)).result()
            entry = (await second.journal(run))["k"]

    assert attempts == [1, 2, 2, 3]
    assert entry.attempts == 3


async def test_a_run_s_options_overrule_the_action_s_policy(world):
    function, attempts = flaky(3)

    async def main(context):
        await context.options(retry=Retry(max_attempts=1)).step("k", "flaky")

    async with world.app(function) as app:
        with pytest.raises(RunFailed):
            await (await app.start(main)).result()

    assert attempts == [1]


async def test_launched_steps_are_retried_and_park_alike(world):
    function, attempts = flaky(2)

    async with world.app(function, park_after=0) as app:
        run = await app.start(world.fan({"a": ("flaky", {}, []), "b": ("flaky", {}, [])}))
        await app.heard(RunParked, run, reason=WaitReason.RETRY)
        world.clock.advance(10)
        assert await run.result() == {"a": 2, "b": 2}

    assert sorted(attempts) == [1, 1, 2, 2]


async def test_a_step_at_most_once_that_was_cut_off_is_not_repeated(world):
    calls = []
    forever = anyio.Event()

    @action(delivery="at_most_once", retry=Retry(max_attempts=3, initial=0))
    async def fragile() -> None:
        calls.append(1)
        await forever.wait()

    async def main(context):
        await context.step("k", fragile)

    async with world.app(fragile, shutdown_grace=0) as first:
        run = await first.start(main)
        await first.until(lambda: bool(calls))
        assert (await first.journal(run))["k"].status is StepStatus.RUNNING
        (worker,) = await first.app.workers()
        await anyio.to_thread.run_sync(first.storage.bury, worker.id, worker.beat)
        async with world.app(fragile) as second:
            with pytest.raises(RunFailed, match="at_most_once") as failed:
                await (await second.get(run.id)).result()

    assert (failed.value.kind, calls) == (FailureKind.UNKNOWN, [1])


async def test_a_failed_attempt_that_could_not_be_stored_fails_the_worker_and_not_the_step(world):
    broken = []

    @action(retry=Retry(max_attempts=2, initial=0))
    async def breaks() -> None:
        fault = raise_at("engine.before_commit", StoreError("the disk is gone"))
        broken.append(fault)
        fault.__enter__()
        raise ValueError("not yet")

    async def main(context):
        await context.step("k", breaks)

    async def body():
        async with world.app(breaks) as app:
            await (await app.start(main)).result()

    with pytest.raises(StoreError, match="the disk is gone"):
        await body()
    broken[0].__exit__(None, None, None)
