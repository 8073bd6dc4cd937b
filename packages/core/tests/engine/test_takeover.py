"""Workers that die, or only look like it: fencing, takeover, reboots, and runs that kill their workers."""

from contextlib import ExitStack

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from trivium import StepContext
from trivium.errors import RunFailed
from trivium.ids import new_worker_id
from trivium.model.commit import Batch, ClaimRequest
from trivium.model.events import RunClaimed, RunEnded, RunReleased, StepStarted
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.registry import action
from trivium.storage.port import Storage, WorkerRecord
from trivium.testing import pause_at

QUICK = {"heartbeat_timeout": 0.5, "shutdown_grace": 0}
"""A beat every 50 ms, where a test is about the next one."""


async def waits(context):
    return await context.wait("go")


async def bury(app) -> None:
    """Take an app's worker for dead."""
    worker_id = app.engine.worker_id

    def act() -> None:
        for worker in app.storage.workers():
            if worker.id == worker_id:
                assert app.storage.bury(worker.id, worker.beat) >= 0

    await anyio.to_thread.run_sync(act)


async def test_a_worker_that_is_buried_while_it_lives_enters_again_and_takes_its_runs_up(world):
    async with world.app(**QUICK) as app:
        run = await app.start(waits)
        await app.idle(run)
        first = app.engine.worker_id
        await bury(app)
        await app.heard(RunReleased, run, lost=True)
        again = await app.heard(RunClaimed, run, nth=2)
        await run.signal("go", 1)
        assert await run.result() == 1
        assert app.engine.worker_id != first
        assert [worker.id for worker in await app.app.workers()] == [app.engine.worker_id]
        assert len(await app.notes(run)) == 1

    assert again.epoch >= 2


async def test_what_a_zombie_commits_changes_nothing_and_it_stops(world):
    release = anyio.Event()
    calls = []

    @action
    async def slow() -> int:
        calls.append(1)
        mine = len(calls)
        if mine == 1:
            await release.wait()
        return mine

    async def main(context):
        found = await context.step("k", slow)
        went_on.append(found)
        return found

    went_on: list[int] = []

    async with world.app(slow, **QUICK) as first:
        run = await first.start(main)
        await first.heard(StepStarted, run)
        with pause_at("engine.before_beat") as pause:
            await anyio.to_thread.run_sync(pause.wait_reached)
            await bury(first)
            async with world.app(slow) as second:
                assert await (await second.get(run.id)).result() == 2
                release.set()
                await first.heard(RunReleased, run, lost=True)
                journal = await second.journal(run)
                assert await (await second.get(run.id)).result() == 2

    assert journal["k"].output == "2"
    assert went_on == [2]


async def test_a_zombie_that_waits_is_stopped_by_its_next_beat(world):
    async with world.app(**QUICK) as first:
        run = await first.start(waits)
        await first.idle(run)
        async with world.app(only_started=True, **QUICK) as second:
            await second.app.drive(run.id)
            first.app.engine.worker._accepting = False  # so that the second gets it
            await bury(first)
            await second.heard(RunClaimed, run)
            await first.heard(RunReleased, run, lost=True)
            await (await second.get(run.id)).signal("go", 1)
            assert await (await second.get(run.id)).result() == 1
            assert run.id not in first.engine.worker.driven


async def test_a_worker_that_is_buried_while_it_stops_does_not_wait_for_its_steps(world):
    @action
    async def hangs() -> None:
        await anyio.sleep_forever()

    async def main(context):
        await context.step("k", hangs)

    async with world.app(hangs, heartbeat_timeout=0.5, shutdown_grace=1000) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.app.stop)
            await app.until(lambda: app.engine.worker.driven[run.id].stopping)
            await bury(app)
        assert await run.status() is RunStatus.QUEUED


async def test_a_dead_worker_s_runs_go_on_elsewhere_with_a_loss_until_they_make_progress(world):
    async with world.app(worker=False) as client:
        run = await client.start(waits)
        await lose(client.storage, run.id)
        assert (await run.run()).losses == 1
    async with world.app() as app:
        run = await app.get(run.id)
        await run.signal("go", 1)
        assert await run.result() == 1
        assert (await run.run()).losses == 0


def doomed(storage: Storage) -> WorkerRecord:
    """A worker that never beats."""
    return WorkerRecord(
        id=new_worker_id(),
        name="doomed",
        host="elsewhere",
        pid=0,
        queues=None,
        concurrency=1,
        started_at=storage.clock.now(),
        beat=0,
        beat_at=storage.clock.now(),
    )


async def lose(storage: Storage, run_id: str, *, suspects: bool = False) -> None:
    """Have a worker claim the run and die with it."""

    def act() -> None:
        worker = doomed(storage)
        with storage.presence(worker):
            serves = frozenset(storage.needs())
            request = ClaimRequest(worker_id=worker.id, limit=1, serves=serves, suspects=suspects)
            result = storage.commit(Batch(claim=request))
            assert [claimed.run.id for claimed in result.claimed] == [run_id]
            assert storage.bury(worker.id, 0) == 1

    await anyio.to_thread.run_sync(act)


async def test_a_run_that_lost_three_workers_fails_without_being_driven(world):
    driven = []

    async def main(context):
        driven.append(1)

    async with world.app(worker=False) as client:
        run = await client.start(main)
        await lose(client.storage, run.id)
        await lose(client.storage, run.id)
        await lose(client.storage, run.id, suspects=True)
    async with world.app() as app:
        with pytest.raises(RunFailed, match="3 workers died") as failed:
            await (await app.get(run.id)).result()

    assert (failed.value.kind, failed.value.failure_code, driven) == (FailureKind.LOST_WORKER, "TRV-4008", [])


async def test_a_suspect_is_driven_alone(world):
    beside = []
    suspected = anyio.Event()
    release = anyio.Event()

    async def neighbour(context):
        await context.step("k", "works", n=context.inputs)

    async def suspect(context):
        beside.append(set(app.engine.worker.driven) - {context.run_id})
        suspected.set()
        await context.step("k", "works", n=0)

    @action
    async def works(n: int) -> None:
        if n == 1:
            await release.wait()

    async with world.app(worker=False) as client:
        bad = await client.start(suspect)
        await lose(client.storage, bad.id)
        await lose(client.storage, bad.id)
        good = await client.start(neighbour, 1)
    async with world.app(works) as app:
        await app.heard(StepStarted, good)
        assert not suspected.is_set()
        release.set()
        bad = await app.get(bad.id)
        await bad.result()
        assert await (await app.start(neighbour, 2)).result() is None

    assert beside == [set()]


async def test_a_worker_that_leaves_counts_no_loss(world):
    async with world.app() as app:
        run = await app.start(waits)
        await app.idle(run)
    async with world.app(worker=False) as client:
        assert (await (await client.get(run.id)).run()).losses == 0


async def test_a_worker_that_never_beats_is_buried_by_another_that_counts_its_own_beats(world):
    async with world.app(worker=False) as client:
        run = await client.start(waits)
        with ExitStack() as stack:
            await hold(client.storage, stack)
            assert await run.status() is RunStatus.RUNNING
            async with world.app(**QUICK) as app:
                await app.heard(RunClaimed, run)
                await (await app.get(run.id)).signal("go", 1)
                assert await (await app.get(run.id)).result() == 1
                await app.heard(RunEnded, run)


async def hold(storage: Storage, stack: ExitStack) -> None:
    """Have a worker claim what there is, and hang."""

    def act() -> None:
        worker = doomed(storage)
        stack.enter_context(storage.presence(worker))
        request = ClaimRequest(worker_id=worker.id, limit=10, serves=frozenset(storage.needs()))
        assert storage.commit(Batch(claim=request)).claimed

    await anyio.to_thread.run_sync(act)


async def test_a_step_that_was_cut_off_by_a_takeover_runs_again_under_its_attempt_and_key(world):
    seen = []
    forever = anyio.Event()

    @action
    async def slow(context: StepContext) -> int:
        seen.append((context.attempt, context.idempotency_key))
        if len(seen) == 1:
            await forever.wait()
        return 1

    async def main(context):
        return await context.step("k", slow)

    async with world.app(slow, **QUICK) as app:
        run = await app.start(main)
        await app.heard(StepStarted, run)
        app.engine.worker.driven[run.id].write_down_starts(world.clock.now())
        await bury(app)
        assert await run.result() == 1
        entry = (await app.journal(run))["k"]

    assert seen[0] == seen[1]
    assert (entry.status, entry.attempts) == (StepStatus.COMPLETED, 1)


async def test_a_suspect_that_got_on_is_driven_beside_others(world):
    held = anyio.Event()

    @action
    async def fine() -> int:
        return 1

    async def suspect(context):
        await context.step("fine", fine)
        await held.wait()
        return "old"

    async def other(context):
        held.set()
        return "new"

    async with world.app(worker=False) as client:
        run = await client.start(suspect)
        for _ in range(2):
            await lose(client.storage, run.id)
        beside = await client.start(other)
    async with world.app(fine) as app:
        assert await (await app.get(beside.id)).result() == "new"
        assert await (await app.get(run.id)).result() == "old"
