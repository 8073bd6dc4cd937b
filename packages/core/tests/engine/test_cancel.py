"""Cancelling runs: queued, parked, in memory, in a step."""

import threading

import anyio
import anyio.to_thread
import pytest

from trivium import StepContext
from trivium.errors import RunCancelled, RunFailed, RunIsTerminal
from trivium.model.events import RunEnded, RunParked, StepStarted
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.registry import action
from trivium.storage.port import RunFilter


@action
async def hangs() -> None:
    await anyio.sleep_forever()


async def waits(context):
    return await context.wait("go")


async def test_a_queued_run_is_cancelled_at_once(world):
    async with world.app(worker=False) as client:
        run = await client.start(waits)
        assert await run.cancel("not needed") is RunStatus.CANCELLED
        with pytest.raises(RunCancelled, match="not needed") as cancelled:
            await run.result()

    assert cancelled.value.kind == FailureKind.CANCELLED


async def test_a_parked_run_is_cancelled_at_once(world):
    async with world.app(park_after=0) as app:
        run = await app.start(waits)
        await app.heard(RunParked, run)
        assert await run.cancel() is RunStatus.CANCELLED
        with pytest.raises(RunCancelled):
            await run.result()


async def test_a_run_that_waits_in_memory_is_cancelled_by_its_owner(world):
    async with world.app() as app:
        run = await app.start(waits)
        await app.idle(run)
        assert await run.cancel("enough") is RunStatus.RUNNING
        with pytest.raises(RunCancelled, match="enough"):
            await run.result()
        told = await app.heard(RunEnded, run)
        entry = (await app.journal(run))["wait:go"]

    assert told.status is RunStatus.CANCELLED
    assert entry.status is StepStatus.CANCELLED


async def test_an_async_step_that_runs_is_cut_off(world):
    cut = []

    @action
    async def tidy() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cut.append(1)

    async def main(context):
        await context.step("k", tidy)

    async with world.app(tidy) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
        entry = (await app.journal(run))["k"]

    assert cut == [1]
    assert (entry.status, entry.finished_at is None) == (StepStatus.CANCELLED, False)


async def test_a_thread_is_told_and_nobody_waits_for_it(world):
    began, told, left = threading.Event(), threading.Event(), threading.Event()

    @action
    def looks(context: StepContext) -> None:
        began.set()
        told.wait(30)
        seen.append(context.cancelled)
        left.set()

    seen: list[bool] = []

    async def main(context):
        await context.step("k", looks)

    async with world.app(looks) as app:
        run = await app.start(main)
        await anyio.to_thread.run_sync(began.wait, 5)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
        told.set()
        await anyio.to_thread.run_sync(left.wait, 5)

    assert seen == [True]


async def test_launched_steps_are_cut_off_too(world):
    async with world.app(hangs) as app:
        run = await app.start(world.fan({"a": ("hangs", {}, []), "b": ("hangs", {}, [])}))
        await app.heard(StepStarted, run, nth=2)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
        journal = await app.journal(run)

    assert {entry.status for entry in journal.values()} == {StepStatus.CANCELLED}
    assert set(journal) == {"a", "b"}


async def test_a_step_that_completes_in_spite_of_the_cancel_does_not_complete_the_run(world):
    @action
    async def stubborn() -> int:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass
        return 1

    async def main(context):
        await context.step("k", stubborn)
        return await context.step("l", stubborn)

    async with world.app(stubborn) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
        assert "l" not in await app.journal(run)


async def test_a_completed_run_is_not_cancelled(world):
    async def main(context):
        return 1

    async with world.app() as app:
        run = await app.start(main)
        await run.result()
        with pytest.raises(RunIsTerminal):
            await run.cancel()
        assert await run.status() is RunStatus.COMPLETED


async def test_an_end_that_is_on_its_way_wins(world, held):
    async def main(context):
        held.hold()
        return 1

    async with world.app() as app, world.app(worker=False) as other:
        run = await app.start(main)
        await held.reached()
        app.engine.worker.driven[run.id].cancel("too late")
        held.resume()
        assert await run.result() == 1
        assert await (await other.get(run.id)).result() == 1


async def test_verbs_that_are_called_while_a_cancelled_driver_unwinds_do_nothing(world):
    called = []

    @action
    def in_thread() -> None:
        called.append("thread")

    @action
    async def inline() -> None:
        called.append("inline")

    async def main(context):
        try:
            await context.wait("go")
        finally:
            with anyio.CancelScope(shield=context.inputs):
                for verb in (lambda: context.step("a", in_thread), lambda: context.step("b", inline)):
                    try:
                        await verb()
                    except BaseException as error:
                        called.append(type(error).__name__)

    async with world.app(in_thread, inline) as app:
        for shielded in (False, True):
            run = await app.start(main, shielded)
            await app.idle(run)
            await run.cancel()
            with pytest.raises(RunCancelled):
                await run.result()
            assert set(await app.journal(run)) == {"wait:go"}

    assert not {"thread", "inline"} & set(called)
    assert len(called) == 4


async def test_what_a_cancelled_driver_raises_instead_changes_nothing(world):
    async def main(context):
        try:
            await context.wait("go")
        except BaseException:
            raise ValueError("swallowed it") from None

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()


async def test_a_run_that_was_cancelled_while_nobody_owned_it_is_not_driven(world):
    driven = []

    async def main(context):
        driven.append(1)

    async with world.app(worker=False) as client:
        run = await client.start(main)
        await run.cancel()
    async with world.app() as app:
        with pytest.raises(RunFailed):
            await (await app.get(run.id)).result()

    assert driven == []


async def test_a_cancelled_run_may_be_retried(world):
    async with world.app() as app:
        run = await app.start(waits)
        await app.idle(run)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
        await run.retry()
        await run.signal("go", 1)
        assert await run.result() == 1


async def test_a_child_that_is_being_started_when_its_parent_is_cancelled_ends_too(world, held):
    async def main(context):
        held.hold()
        await context.start(waits)

    async with world.app() as app, world.app(worker=False) as client:
        run = await app.start(main)
        await held.reached()
        await (await client.get(run.id)).cancel()
        await app.until(lambda: app.engine.worker.driven[run.id].cancelling)
        held.resume()
        await app.heard(RunEnded, run, status=RunStatus.CANCELLED)
        (child,) = await app.app.runs(RunFilter(parent_id=run.id))
        ended = await (await app.get(child.id)).wait()

    assert ended.status is RunStatus.CANCELLED
