"""Stopping: in order, in a hurry, and by a fault of the body."""

import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from trivium.errors import Conflict
from trivium.model.events import RunEnded, RunParked, RunReleased, StepEnded, StepStarted
from trivium.model.states import RunStatus, StepStatus
from trivium.registry import action


async def waits(context):
    return await context.wait("go")


def our_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("trivium-")}


async def test_steps_under_way_finish_and_the_run_goes_on_elsewhere_from_its_journal(world):
    calls = []
    release = anyio.Event()

    @action
    async def slow(n: int) -> int:
        calls.append(n)
        if n == 1:
            await release.wait()
        return n

    async def main(context):
        return [await context.step("a", slow, n=1), await context.step("b", slow, n=2)]

    async with world.app(slow) as first:
        run = await first.start(main)
        await first.heard(StepStarted, run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.app.stop)
            await first.until(lambda: first.engine.worker.driven[run.id].stopping)
            release.set()
        assert await run.status() is RunStatus.QUEUED
        assert {key: entry.status for key, entry in (await first.journal(run)).items()} == {"a": StepStatus.COMPLETED}
        await first.heard(RunReleased, run, lost=False)
    async with world.app(slow) as second:
        assert await (await second.get(run.id)).result() == [1, 2]
        assert (await (await second.get(run.id)).run()).losses == 0

    assert calls == [1, 2]


async def test_a_def_step_under_way_finishes_too(world):
    began, release = threading.Event(), threading.Event()
    calls = []

    @action
    def slow() -> int:
        calls.append(1)
        began.set()
        release.wait(30)
        return 1

    async def main(context):
        return await context.step("a", slow)

    async with world.app(slow) as first:
        run = await first.start(main)
        await anyio.to_thread.run_sync(began.wait, 5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.app.stop)
            await first.until(lambda: first.engine.worker.driven[run.id].stopping)
            release.set()
    async with world.app(slow) as second:
        assert await (await second.get(run.id)).result() == 1

    assert calls == [1]


async def test_a_step_that_outlasts_the_grace_is_cut_off_and_made_again(world):
    calls = []
    forever = anyio.Event()

    @action
    async def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            await forever.wait()
        return len(calls)

    async def main(context):
        return await context.step("a", slow)

    async with world.app(slow, shutdown_grace=0) as first:
        run = await first.start(main)
        await first.heard(StepStarted, run)
    async with world.app(slow) as second:
        run = await second.get(run.id)
        assert await run.result() == 2
        entry = (await second.journal(run))["a"]

    assert entry.attempts == 1


async def test_a_run_that_waits_in_memory_is_handed_back_at_once(world):
    async with world.app() as first:
        run = await first.start(waits)
        await first.idle(run)
        await first.app.stop()
        assert await run.status() is RunStatus.QUEUED
        assert (await first.journal(run))["wait:go"].status is StepStatus.WAITING
    async with world.app() as second:
        run = await second.get(run.id)
        await run.signal("go", 1)
        assert await run.result() == 1


async def test_launched_steps_finish_before_their_run_is_handed_back(world):
    release = anyio.Event()
    calls = []

    @action
    async def slow(n: int) -> int:
        calls.append(n)
        await release.wait()
        return n

    fan = world.fan({"a": ("slow", {"n": 1}, []), "b": ("slow", {"n": 2}, []), "c": ("slow", {"n": 3}, ["a", "b"])})
    async with world.app(slow) as first:
        run = await first.start(fan)
        await first.heard(StepStarted, run, nth=2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.app.stop)
            await first.until(lambda: first.engine.worker.driven[run.id].stopping)
            release.set()
        assert {key: entry.status for key, entry in (await first.journal(run)).items()} == {
            "a": StepStatus.COMPLETED,
            "b": StepStatus.COMPLETED,
        }
    async with world.app(slow) as second:
        assert await (await second.get(run.id)).result() == {"a": 1, "b": 2, "c": 3}

    assert sorted(calls) == [1, 2, 3]


async def test_a_stopped_app_may_be_asked_but_not_told(world):
    async with world.app() as app:
        run = await app.start(waits)
        await app.app.stop()
        await app.app.stop()
        assert await run.status() is RunStatus.QUEUED
        assert len(await app.app.runs()) == 1
        with pytest.raises(Conflict, match="stopped"):
            await run.signal("go")
        with pytest.raises(Conflict, match="stopped"):
            await app.start(waits)


async def test_who_waits_for_a_run_of_a_stopped_app_is_told_so(world):
    async with world.app() as app:
        run = await app.start(waits)
        await app.app.stop()
        with pytest.raises(Conflict, match="stopped"):
            await run.result()


async def test_who_waits_for_a_run_while_the_app_is_stopped_is_told_so(world):
    async with world.app() as app:
        run = await app.start(waits)
        told = []

        async def ask():
            try:
                await run.result()
            except Conflict as error:
                told.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await app.idle(run)
            await app.app.stop()

    assert len(told) == 1


async def test_no_thread_of_ours_is_left(world):
    @action
    def in_thread() -> int:
        return 1

    async def main(context):
        return await context.step("k", in_thread)

    before = our_threads()
    async with world.app(in_thread, observers=[lambda event: None]) as app:
        await (await app.start(main)).result()
        assert our_threads() - before
    with anyio.fail_after(30):
        while our_threads() - before:
            await anyio.lowlevel.checkpoint()


async def test_what_the_body_raises_comes_out_as_it_is(world):
    error = ValueError("the body's own")

    async def body():
        async with world.app() as app:
            await app.start(waits)
            raise error

    with pytest.raises(ValueError, match="the body's own") as raised:
        await body()

    assert raised.value is error


async def test_a_body_that_raises_leaves_its_runs_claimable(world):
    runs = []

    async def body():
        async with world.app() as app:
            run = await app.start(waits)
            runs.append(run)
            await app.idle(run)
            raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        await body()
    async with world.app() as app:
        run = await app.get(runs[0].id)
        await run.signal("go", 1)
        assert await run.result() == 1
        assert (await run.run()).losses == 0


async def test_a_body_that_is_cancelled_leaves_its_runs_claimable(world):
    calls = []

    @action
    async def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            await anyio.sleep_forever()
        return len(calls)

    async def main(context):
        return await context.step("k", slow)

    with anyio.CancelScope() as scope:
        async with world.app(slow) as app:
            run = await app.start(main)
            await app.heard(StepStarted, run)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    async with world.app(slow) as app:
        run = await app.get(run.id)
        assert await run.result() == 2
        assert (await run.run()).losses == 0


async def test_a_run_that_ends_while_its_worker_stops_has_ended(world):
    release = anyio.Event()

    @action
    async def last() -> int:
        await release.wait()
        return 1

    async with world.app(last) as app:
        run = await app.start(world.fan({"only": ("last", {}, [])}, fused=True))
        await app.heard(StepStarted, run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.app.stop)
            await app.until(lambda: app.engine.worker.driven[run.id].stopping)
            release.set()
        assert await run.result() == {"only": 1}
        await app.heard(RunEnded, run)
        assert not [event for event in app.seen if isinstance(event, RunReleased)]


async def test_a_parked_run_is_left_where_it_is(world):
    async with world.app(park_after=0) as app:
        run = await app.start(waits)
        await app.heard(RunParked, run)
        await app.app.stop()
        assert await run.status() is RunStatus.WAITING
        assert not [event for event in app.seen if isinstance(event, (RunReleased, StepEnded))]


async def test_a_run_with_a_thread_that_cannot_be_stopped_is_handed_back_when_that_has_ended(world):
    began, go_on = threading.Event(), threading.Event()

    @action
    def hangs() -> None:
        began.set()
        go_on.wait(60)

    async def main(context):
        return await context.step("hang", "hangs")

    async with world.app(hangs, shutdown_grace=0.0) as app:
        run = await app.start(main)
        await anyio.to_thread.run_sync(began.wait)
    async with world.app(worker=False) as client:
        left = client.storage.run(run.id)
        go_on.set()
        await client.until(lambda: client.storage.run(run.id).status is RunStatus.QUEUED)
        workers = await client.app.workers()

    assert (left.status, left.epoch) == (RunStatus.RUNNING, 1)
    assert workers == []


async def test_a_stop_that_is_begun_is_finished_and_who_comes_second_waits_for_it(world):
    release = anyio.Event()

    @action
    async def slow() -> None:
        await release.wait()

    async def main(context):
        await context.step("slow", slow)

    async def let_go():
        release.set()

    async with world.app(slow) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.app.stop)
            await app.until(lambda: app.engine.worker.driven[run.id].stopping)
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as others:
                    others.start_soon(app.app.stop)
                    others.start_soon(let_go)
                workers = await app.app.workers()
        assert await run.status() in (RunStatus.QUEUED, RunStatus.COMPLETED)

    assert workers == []
