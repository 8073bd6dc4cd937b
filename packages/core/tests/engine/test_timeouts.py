"""Timeouts of attempts, steps and runs, also of threads that cannot be stopped."""

import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from trivium import Retry, StepContext
from trivium.errors import RunFailed, WorkerFailed
from trivium.model.events import RunParked, StepEnded, StepRetrying, StepStarted
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.registry import action

SHORT = 0.02
"""Seconds of real time, where a thread is waited for."""


@action
async def hangs() -> None:
    await anyio.sleep_forever()


async def test_an_attempt_that_takes_too_long_is_a_failed_step(world):
    async def main(context):
        await context.options(timeout="30s").step("k", hangs)

    async with world.app(hangs) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        await world.clock.sleepers()
        world.clock.advance(30)
        with pytest.raises(RunFailed, match="30 s") as failed:
            await run.result()
        entry = (await app.journal(run))["k"]

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.TIMEOUT, "TRV-4009")
    assert entry.status is StepStatus.FAILED


async def test_an_attempt_that_ends_in_time_is_not_disturbed(world):
    @action(timeout=30)
    async def quick() -> int:
        return 1

    async def main(context):
        first = await context.step("k", quick)
        await context.wait("go")
        return first

    async with world.app(quick) as app:
        run = await app.start(main)
        await app.idle(run)
        world.clock.advance(0.9)
        await run.signal("go")
        assert await run.result() == 1


async def test_an_attempt_that_timed_out_is_retried(world):
    @action(timeout=30, retry=Retry(max_attempts=2, initial=0))
    async def slow_once(context: StepContext) -> int:
        if context.attempt == 1:
            await anyio.sleep_forever()
        return context.attempt

    async def main(context):
        return await context.step("k", slow_once)

    async with world.app(slow_once) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        await world.clock.sleepers()
        world.clock.advance(30)
        assert await run.result() == 2


@pytest.mark.parametrize("swallows", [True, False], ids=["swallows", "replaces"])
async def test_an_action_that_hides_its_cancellation_has_timed_out_all_the_same(world, swallows):
    @action(timeout=30)
    async def hides() -> int:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            if not swallows:
                raise ValueError("something else") from None
        return 1

    async def main(context):
        await context.step("k", hides)

    async with world.app(hides) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        await world.clock.sleepers()
        world.clock.advance(30)
        with pytest.raises(RunFailed) as failed:
            await run.result()

    assert failed.value.kind == FailureKind.TIMEOUT


async def test_a_step_s_total_timeout_counts_its_delays(world):
    @action(total_timeout=25, retry=Retry(max_attempts=9, backoff="fixed", initial=10, jitter=False))
    async def fails(context: StepContext) -> None:
        raise ValueError(f"attempt {context.attempt}")

    async def main(context):
        await context.step("k", fails)

    async with world.app(fails) as app:
        run = await app.start(main)
        for nth in (1, 2):
            await app.heard(StepRetrying, run, nth=nth)
            await app.idle(run)
            world.clock.advance(10)
        with pytest.raises(RunFailed, match="attempt 3"):
            await run.result()
        assert (await app.journal(run))["k"].attempts == 3


async def test_a_step_s_total_timeout_cuts_an_attempt_off(world):
    @action(total_timeout=25, timeout=20, retry=Retry(max_attempts=9, initial=0))
    async def slow(context: StepContext) -> None:
        await anyio.sleep_forever()

    async def main(context):
        await context.step("k", slow)

    async with world.app(slow) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        await world.clock.sleepers()
        world.clock.advance(20)
        await app.heard(StepStarted, run, nth=2)
        await world.clock.sleepers()
        world.clock.advance(5)
        with pytest.raises(RunFailed) as failed:
            await run.result()

    assert failed.value.kind == FailureKind.TIMEOUT


async def test_a_run_s_timeout_ends_it_with_what_was_under_way(world):
    async def main(context):
        await context.step("k", hangs)

    async with world.app(hangs) as app:
        run = await app.start(world.script(main, timeout=60))
        await app.heard(StepStarted, run)
        await world.clock.sleepers()
        world.clock.advance(60)
        with pytest.raises(RunFailed, match="60 s") as failed:
            await run.result()
        entry = (await app.journal(run))["k"]

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.TIMEOUT, "TRV-4009")
    assert entry.status is StepStatus.CANCELLED


async def test_a_parked_run_s_timeout_ends_it_without_driving_it(world):
    tops = []

    async def main(context):
        tops.append(1)
        await context.wait("go")

    async with world.app(park_after=0) as app:
        run = await app.start(world.script(main, timeout=60))
        await app.heard(RunParked, run)
        world.clock.advance(60)
        with pytest.raises(RunFailed) as failed:
            await run.result()

    assert (failed.value.kind, tops) == (FailureKind.TIMEOUT, [1])


async def test_a_retried_run_has_its_whole_timeout_again(world):
    async def main(context):
        return await context.wait("go")

    async with world.app(park_after=0) as app:
        run = await app.start(world.script(main, timeout=60))
        await app.heard(RunParked, run)
        world.clock.advance(60)
        with pytest.raises(RunFailed):
            await run.result()
        await run.retry()
        await app.heard(RunParked, run, nth=2)
        await run.signal("go", 1)
        assert await run.result() == 1


# --- threads ------------------------------------------------------------------------------------------


class Thread:
    """A `def` action that hangs at its first attempt, and what a test has in hand of it."""

    def __init__(self) -> None:
        self.cancelled: list[bool] = []
        self.release = threading.Event()
        self.running = 0
        self.most = 0

    def action(self, **options: Any) -> Callable[..., int]:
        def hang(context: StepContext) -> int:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                if context.attempt == 1:
                    self.release.wait(30)
                self.cancelled.append(context.cancelled)
                return context.attempt
            finally:
                self.running -= 1

        return action(**options)(hang)


@pytest.fixture
def thread():
    found = Thread()
    yield found
    found.release.set()


async def test_a_thread_that_times_out_is_told_and_its_result_is_dropped(world, thread):
    async def main(context):
        await context.step("k", "hang")

    async with world.app(thread.action(timeout=30)) as app:
        run = await app.start(main)
        await app.until(lambda: thread.running == 1)
        await world.clock.sleepers()
        world.clock.advance(30)
        await app.until(lambda: app.engine.worker.executors["thread"].stuck == 1)
        thread.release.set()
        with pytest.raises(RunFailed) as failed:
            await run.result()

    assert (failed.value.kind, thread.cancelled) == (FailureKind.TIMEOUT, [True])


async def test_the_next_attempt_waits_for_the_thread_of_the_last_one(world, thread):
    async def main(context):
        return await context.step("k", "hang")

    function = thread.action(timeout=30, retry=Retry(max_attempts=2, initial=0))
    async with world.app(function) as app:
        run = await app.start(main)
        await app.until(lambda: thread.running == 1)
        await world.clock.sleepers()
        world.clock.advance(30)
        await app.until(lambda: app.engine.worker.executors["thread"].stuck == 1)
        thread.release.set()
        assert await run.result() == 2

    assert thread.most == 1


async def test_a_thread_that_never_ends_fails_the_step_after_one_more_timeout(world, thread):
    async def main(context):
        await context.step("k", "hang")

    function = thread.action(timeout=SHORT, retry=Retry(max_attempts=5, initial=0))
    async with world.app(function) as app:
        run = await app.start(main)
        await app.until(lambda: thread.running == 1)
        await world.clock.sleepers()
        world.clock.advance(SHORT)
        with pytest.raises(RunFailed, match="still runs") as failed:
            await run.result()
        assert (await app.journal(run))["k"].attempts == 1

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.TIMEOUT, "TRV-4014")


async def test_with_overlap_the_next_attempt_does_not_wait_for_the_thread(world, thread):
    async def main(context):
        return await context.step("k", "hang")

    function = thread.action(timeout=30, overlap="allow", retry=Retry(max_attempts=2, initial=0))
    async with world.app(function) as app:
        run = await app.start(main)
        await app.until(lambda: thread.running == 1)
        await world.clock.sleepers()
        world.clock.advance(30)
        assert await run.result() == 2

    assert thread.most == 2


async def test_a_run_is_not_parked_while_a_thread_of_it_hangs(world, thread):
    async def main(context):
        try:
            await context.step("k", "hang")
        except Exception:
            return await context.wait("go")

    async with world.app(thread.action(timeout=SHORT), park_after=1) as app:
        run = await app.start(main)
        await app.until(lambda: thread.running == 1)
        await world.clock.sleepers()
        world.clock.advance(SHORT)
        await app.heard(StepEnded, run)
        await app.idle(run)
        drive = app.engine.worker.driven[run.id]
        world.clock.advance(1)
        await app.until(lambda: bool(drive.stuck_labels))
        assert await run.status() is RunStatus.RUNNING
        thread.release.set()
        await app.until(lambda: app.engine.worker.executors["thread"].stuck == 0)
        for _ in range(3):
            await world.clock.sleepers()
            world.clock.advance(1)
        await app.heard(RunParked, run)
        await run.signal("go", 1)
        assert await run.result() == 1


async def test_a_worker_whose_places_all_hang_says_so_and_ends(world, thread):
    async def main(context):
        await context.step("k", "hang")

    async def body():
        async with world.app(thread.action(timeout=SHORT), threads=1) as app:
            run = await app.start(main)
            await app.until(lambda: thread.running == 1)
            await world.clock.sleepers()
            world.clock.advance(SHORT)
            await app.heard(StepEnded, run)
            app.engine.worker.tick({})
            await anyio.sleep_forever()

    with pytest.raises(WorkerFailed, match="every place of executor 'thread'"):
        await body()


async def test_a_wait_for_a_free_thread_does_not_count(world, thread):
    @action(timeout=5)
    def quick() -> int:
        return 1

    async def main(context):
        return await context.gather(lambda: context.step("k", "hang"), lambda: context.step("l", quick))

    async with world.app(thread.action(), quick, threads=1) as app:
        run = await app.start(main)
        await app.until(lambda: thread.running == 1)
        world.clock.advance(100)
        thread.release.set()
        assert await run.result() == [1, 1]
