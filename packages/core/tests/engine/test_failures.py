"""What happens when the engine itself cannot go on: a store that fails, in each of its loops."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from typing_extensions import override

from trivium import Retry
from trivium.engine.runs import new_root
from trivium.errors import StoreBusy, StoreError, StoreUnreachable, WorkerFailed
from trivium.model.commit import Batch, BatchResult, Broken, End, Result, RunUnit, StartUnit
from trivium.model.events import RunEnded, StepStarted
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.registry import action
from trivium.storage.memory import MemoryStorage
from trivium.testing import raise_at


class Failing(MemoryStorage):
    """A store of which the operations that are named fail, from when they are named."""

    def __init__(self, url: str, clock: Any) -> None:
        super().__init__("memory:", clock)
        self.failing: dict[str, BaseException] = {}
        self.broken: Callable[[RunUnit], bool] = lambda unit: False
        self.held: dict[str, tuple[threading.Event, threading.Event]] = {}

    def _reach(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]

    def hold(self, name: str) -> tuple[threading.Event, threading.Event]:
        """Hold the next call of that operation behind its work: what it reached, and what lets it go on."""
        self.held[name] = found = (threading.Event(), threading.Event())
        return found

    def _hold(self, name: str) -> None:
        if name in self.held:
            reached, release = self.held.pop(name)
            reached.set()
            release.wait(30)

    @override
    def commit(self, batch: Batch) -> BatchResult:
        self._reach("commit")
        bad = [number for number, unit in enumerate(batch.units) if isinstance(unit, RunUnit) and self.broken(unit)]
        good = [unit for number, unit in enumerate(batch.units) if number not in bad]
        found = super().commit(Batch(good, batch.claim, batch.origin))
        results: list[Result] = list(found.results)
        for number in bad:
            results.insert(number, Broken(StoreError("the database refused this data")))
        return BatchResult(results, found.claimed, found.next_due, found.suspects, found.ring)

    @override
    def beat(self, worker_id: Any) -> bool:
        self._reach("beat")
        return super().beat(worker_id)

    @override
    def workers(self) -> Any:
        self._reach("workers")
        return super().workers()

    @override
    def owned(self, worker_id: Any) -> Any:
        self._reach("owned")
        return super().owned(worker_id)

    @override
    def needs(self) -> Any:
        self._reach("needs")
        found = super().needs()
        self._hold("needs")
        return found

    @override
    def inbox(self, run_id: Any) -> Any:
        self._reach("inbox")
        return super().inbox(run_id)

    @override
    def doorbell(self, owner: Any) -> Any:
        self._reach("doorbell")
        return super().doorbell(owner)

    @override
    @contextmanager
    def presence(self, worker: Any) -> Iterator[None]:
        self._reach("presence")
        self._hold("presence")
        with super().presence(worker):
            yield


QUICK = {"url": "broken:", "heartbeat_timeout": 0.5}


@pytest.fixture
def failing(world):
    found = Failing("memory:", world.clock)
    world.storage_factory = lambda url, clock: found
    return found


@action
async def one() -> int:
    return 1


async def waits(context):
    await context.wait("go")
    return await context.step("k", one)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("trivium-")]


async def no_threads() -> None:
    with anyio.fail_after(30):
        while our_threads():
            await anyio.lowlevel.checkpoint()


async def test_a_commit_that_fails_for_good_cancels_the_body_and_is_raised(world, failing):
    async def body():
        async with world.app(one, **QUICK) as app:
            run = await app.start(waits)
            failing.failing["commit"] = StoreUnreachable("the disk is gone")
            await run.signal("go")
            await anyio.sleep_forever()

    with pytest.raises(StoreUnreachable, match="the disk is gone"):
        await body()
    await no_threads()


@pytest.mark.parametrize("operation", ["beat", "workers", "owned", "needs", "inbox"])
async def test_an_operation_of_a_background_loop_that_fails_cancels_the_body_and_is_raised(world, failing, operation):
    error = StoreUnreachable("the disk is gone")

    async def body():
        async with world.app(one, **QUICK) as app:
            run = await app.start(waits)
            await app.idle(run)
            failing.failing[operation] = error
            await run.signal("go")
            app.engine.worker.look_for_work()
            await anyio.sleep_forever()

    with pytest.raises(StoreUnreachable) as raised:
        await body()

    assert raised.value is error
    await no_threads()


@pytest.mark.parametrize("operation", ["doorbell", "presence", "workers", "needs"])
async def test_a_store_that_fails_at_the_start_raises_its_error_and_leaves_nothing_behind(world, failing, operation):
    error = failing.failing[operation] = StoreUnreachable("the disk is gone")

    async def body():
        async with world.app(**QUICK):
            await anyio.sleep_forever()

    with pytest.raises(StoreUnreachable) as raised:
        await body()

    assert raised.value is error
    await no_threads()


async def test_an_error_that_is_not_ours_comes_as_a_failed_worker(world, failing):
    async def body():
        async with world.app(one, **QUICK) as app:
            run = await app.start(waits)
            failing.failing["commit"] = OSError("no space left on device")
            await run.signal("go")
            await anyio.sleep_forever()

    with pytest.raises(WorkerFailed, match="OSError") as raised:
        await body()

    assert isinstance(raised.value.__cause__, OSError)


async def test_who_waits_in_a_task_of_their_own_is_freed_too(world, failing):
    freed = anyio.Event()

    async def ask(run):
        try:
            await run.result()
        finally:
            freed.set()

    async with anyio.create_task_group() as outer:

        async def body():
            async with world.app(one, **QUICK) as app:
                run = await app.start(waits)
                outer.start_soon(ask_quietly, ask, run)
                await app.idle(run)
                failing.failing["commit"] = StoreUnreachable("the disk is gone")
                await run.signal("go")

        with pytest.raises(StoreError):
            await body()
        with anyio.fail_after(30):
            await freed.wait()


async def ask_quietly(ask, run):
    try:
        await ask(run)
    except Exception:
        return


async def test_an_app_that_is_stopped_while_its_worker_enters_again_leaves_nothing_behind(world, failing):
    async with world.app(**QUICK) as app:
        (worker,) = await app.app.workers()
        reached, release = failing.hold("presence")
        await anyio.to_thread.run_sync(failing.bury, worker.id, worker.beat)
        await anyio.to_thread.run_sync(reached.wait, 5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.app.stop)
            await app.until(lambda: app.engine._stopped)
            release.set()
        assert list(await app.app.workers()) == []
    await no_threads()


async def test_a_busy_store_is_asked_again(world, failing):
    async with world.app(one, **QUICK) as app:
        run = await app.start(waits)
        await app.idle(run)
        with raise_at("storage.commit.before", StoreBusy("somebody holds the lock")):
            await run.signal("go")
        assert await run.result() == 1


async def test_a_beat_that_finds_the_store_busy_is_left_out(world, failing):
    async with world.app(one, **QUICK) as app:
        run = await app.start(waits)
        await app.idle(run)
        failing.failing["beat"] = StoreBusy("somebody holds the lock")
        beats = (await app.app.workers())[0].beat
        del failing.failing["beat"]
        with anyio.fail_after(30):
            while (await app.app.workers())[0].beat <= beats + 1:
                await anyio.lowlevel.checkpoint()
        await run.signal("go")
        assert await run.result() == 1


async def test_a_run_whose_output_the_store_refuses_has_failed(world, failing):
    failing.broken = lambda unit: isinstance(unit.then, End) and unit.then.status is RunStatus.COMPLETED

    async def main(context):
        return 1

    async with world.app(**QUICK) as app:
        run = await app.start(main)
        assert (await run.wait()).status is RunStatus.FAILED


async def test_a_step_whose_outcome_the_store_refuses_has_failed_and_the_worker_goes_on(world, failing):
    failing.broken = lambda unit: any(
        entry.status is StepStatus.COMPLETED and entry.key == "k" for entry in unit.entries
    )

    async def main(context):
        return await context.step("k", one)

    async def well(context):
        return await context.step("l", one)

    async with world.app(one, **QUICK) as app:
        run = await app.start(main)
        ending = await run.wait()
        assert await (await app.start(well)).result() == 1

    assert ending.status is RunStatus.FAILED
    assert "refused this data" in ending.error.message


async def test_a_run_whose_retry_the_store_refuses_has_failed(world, failing):
    failing.broken = lambda unit: any(entry.wait_reason is WaitReason.RETRY for entry in unit.entries)

    @action(retry=Retry(max_attempts=2, initial=10))
    async def fails() -> None:
        raise ValueError("not yet")

    async def main(context):
        await context.step("k", fails)

    async with world.app(fails, **QUICK) as app:
        run = await app.start(main)
        await app.heard(RunEnded, run, status=RunStatus.FAILED)
        assert (await run.wait()).status is RunStatus.FAILED


async def test_a_run_whose_note_the_store_refuses_has_failed(world, failing):
    failing.broken = lambda unit: any(entry.status is StepStatus.RUNNING for entry in unit.entries)

    @action
    async def hangs() -> None:
        await anyio.sleep_forever()

    async def main(context):
        await context.step("k", hangs)

    async with world.app(hangs, **QUICK) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        app.engine.worker.driven[run.id].write_down_starts(world.clock.now())
        assert (await run.wait()).status is RunStatus.FAILED


async def test_a_definition_that_is_stored_while_the_worker_reads_them_is_not_missed(world, failing):
    async def main(context):
        return await context.step("k", one)

    async with world.app(one, url="broken:", heartbeat_timeout=1000) as app:
        prepared = app.app.prepare(main)
        reached, release = failing.hold("needs")
        app.engine.worker.look_for_work()
        await anyio.to_thread.run_sync(reached.wait, 5)
        # Another process starts a run of a kind that is new; its ring comes while the needs are read.
        new = new_root(prepared)
        await anyio.to_thread.run_sync(failing.commit, Batch([StartUnit(new)]))
        app.engine.worker.look_for_work()
        failing.failing["beat"] = StoreBusy("no second look helps here")
        release.set()
        assert await (await app.get(new.id)).result() == 1


async def test_a_driver_whose_proposal_raises_fails_its_run_and_not_the_worker(world):
    async def main(context):
        return await context.step("k", one)

    def undecided(outcome):
        raise ValueError("cannot decide")

    async with world.app(one) as app:
        run = await app.start(world.fan({"k": ("one", {}, []), "l": ("one", {}, [])}, propose=undecided))
        ending = await run.wait()
        assert await (await app.start(main)).result() == 1

    assert ending.status is RunStatus.FAILED
    assert "cannot decide" in ending.error.message
