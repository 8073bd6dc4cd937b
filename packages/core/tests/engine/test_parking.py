"""Runs that only wait leave memory, and come back where they were."""

import anyio
import pytest

from trivium import StepContext
from trivium.errors import Parked, RunFailed
from trivium.json import dumps
from trivium.model.commit import Batch, NewSignal, SignalUnit
from trivium.model.events import RunClaimed, RunEnded, RunParked, RunReleased
from trivium.model.inbox import ItemKind
from trivium.model.policies import Retry
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.registry import action
from trivium.testing import pause_at


@action
async def one() -> int:
    return 1


async def test_a_run_that_only_waits_is_parked_after_the_grace(world):
    async def main(context):
        return await context.wait("go")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        assert await run.status() is RunStatus.RUNNING
        world.clock.advance(1.0)
        told = await app.heard(RunParked, run)
        stored = await run.run()
        assert run.id not in app.engine.worker.driven

    assert told.reason is WaitReason.SIGNAL
    assert (stored.status, stored.wait_reason, stored.owner) == (RunStatus.WAITING, WaitReason.SIGNAL, None)


async def test_a_signal_within_the_grace_is_answered_in_place(world):
    async def main(context):
        return await context.wait("go")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        world.clock.advance(0.9)
        await run.signal("go", 1)
        assert await run.result() == 1
        await app.heard(RunEnded, run)
        assert [type(event) for event in app.seen if isinstance(event, (RunClaimed, RunParked))] == [RunClaimed]


async def test_a_run_with_a_step_under_way_is_not_parked(world):
    release = anyio.Event()

    @action
    async def holds() -> None:
        await release.wait()

    async def main(context):
        await context.gather(lambda: context.step("k", holds), lambda: context.wait("go"))

    async with world.app(holds, park_after=0) as app:
        run = await app.start(main)
        await app.until(lambda: run.id in app.engine.worker.driven)
        world.clock.advance(100)
        drive = app.engine.worker.driven[run.id]
        assert not drive.idle
        release.set()
        await app.heard(RunParked, run)
        await run.signal("go")
        await run.result()


async def test_a_parked_run_stores_what_it_waits_for(world):
    async def main(context):
        await context.gather(lambda: context.wait("go", timeout=50), lambda: context.sleep(20))

    async with world.app(park_after=0) as app:
        start = world.clock.now()
        run = await app.start(main)
        told = await app.heard(RunParked, run)
        journal = await app.journal(run)

    assert told.due_at == start + 20_000_000
    assert {key: (entry.status, entry.wait_reason) for key, entry in journal.items()} == {
        "wait:go": (StepStatus.WAITING, WaitReason.SIGNAL),
        "sleep:sleep": (StepStatus.WAITING, WaitReason.TIMER),
    }


async def test_a_run_is_driven_again_from_its_top_and_goes_on_where_it_was(world):
    tops = []

    async def main(context):
        tops.append(context.run_id)
        first = await context.step("a", one)
        answer = await context.wait("go")
        return [first, answer, await context.step("b", one)]

    async with world.app(one, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("go", "now")
        assert await run.result() == [1, "now", 1]
        claimed = await app.heard(RunClaimed, run, nth=2)

    assert len(tops) == 2
    assert (claimed.epoch, claimed.replayed) == (2, 2)


async def test_a_signal_that_was_delivered_when_the_grace_is_over_keeps_the_run_in_memory(world):
    async def main(context):
        return await context.wait("go")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        drive = app.engine.worker.driven[run.id]
        signal = SignalUnit(NewSignal(run.id, "go", dumps(1)))
        await anyio.to_thread.run_sync(app.storage.commit, Batch([signal], origin=app.engine.worker_id))
        wake_seq, items = await anyio.to_thread.run_sync(app.storage.inbox, run.id)
        # One turn of the event loop, in which the item comes and the timer of the grace fires.
        drive.deliver(wake_seq, items)
        drive._try_park()
        assert await run.result() == 1


async def test_what_came_while_the_park_was_under_way_keeps_the_run_in_memory(world):
    async def main(context):
        return await context.wait("go")

    async with world.app() as app, world.app(worker=False) as other:
        run = await app.start(main)
        await app.idle(run)
        with pause_at("engine.before_commit") as pause:
            world.clock.advance(1.0)
            await anyio.to_thread.run_sync(pause.wait_reached)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon((await other.get(run.id)).signal, "go", 1)
            pause.resume()
            assert await run.result() == 1
        await app.heard(RunEnded, run)
        assert not [event for event in app.seen if isinstance(event, RunParked)]


async def test_the_finally_of_a_driver_runs_at_a_park_and_verbs_in_it_raise(world):
    raised: list[Parked] = []

    async def main(context):
        try:
            await context.wait("go")
        finally:
            if not raised:
                for verb in (
                    lambda: context.step("no", one),
                    lambda: context.sleep(0),
                    lambda: context.wait("no"),
                    lambda: context.start("script:main"),
                    lambda: context.signal(context.run_id, "no"),
                    lambda: context.gather(lambda: context.sleep(0)),
                    lambda: context.once("no", lambda: 1),
                ):
                    try:
                        await verb()
                    except Parked as error:
                        raised.append(error)
        return "done"

    async with world.app(one, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("go")
        assert await run.result() == "done"
        journal = await app.journal(run)

    assert len(raised) == 7
    assert set(journal) == {"wait:go"}


async def test_what_a_driver_returns_or_raises_while_it_is_unwound_is_dropped(world):
    async def main(context):
        try:
            return await context.wait("go")
        except Parked:
            raise RuntimeError("swallowed it") from None

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("go", 1)
        assert await run.result() == 1


async def test_a_driver_that_raises_parked_by_itself_fails(world):
    async def main(context):
        raise Parked

    async with world.app() as app:
        with pytest.raises(RunFailed) as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-4012"


async def test_an_action_that_raises_parked_by_itself_fails(world):
    @action
    async def leaves() -> None:
        raise Parked

    async def main(context):
        await context.step("k", leaves)

    async with world.app(leaves) as app:
        with pytest.raises(RunFailed) as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-4012"


async def test_a_verb_in_a_task_that_the_context_did_not_make_pins_the_run_with_a_note(world):
    async def main(context):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.wait, "go")
        return "done"

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.until(lambda: bool(app.engine.worker.driven[run.id].openings.notes))
        world.clock.advance(100)
        await run.signal("go")
        assert await run.result() == "done"
        notes = await app.notes(run)
        assert not [event for event in app.seen if isinstance(event, RunParked)]

    assert [note for note in notes if "a task that the context did not make" in note]


async def test_a_retry_in_a_task_that_the_context_did_not_make_pins_the_run_too(world):
    release = anyio.Event()

    @action(retry=Retry(max_attempts=2, initial=50, jitter=False))
    async def flaky(context: StepContext, n: int) -> int:
        if context.attempt == 1:
            raise ValueError("not yet")
        return n

    async def main(context):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: context.step("k", flaky, n=1))
            await release.wait()
        return "done"

    async with world.app(flaky, park_after=0) as app:
        run = await app.start(main)
        await app.until(lambda: bool(app.engine.worker.driven[run.id].openings.notes))
        world.clock.advance(50)
        release.set()
        assert await run.result() == "done"
        assert not [event for event in app.seen if isinstance(event, RunParked)]


async def test_a_pinned_run_is_handed_back_at_a_shutdown(world):
    async def main(context):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.wait, "go")
        return "done"

    async with world.app() as app:
        run = await app.start(main)
        await app.until(lambda: bool(app.engine.worker.driven[run.id].openings.notes))
        await app.app.stop()
        assert await run.status() is RunStatus.QUEUED
        await app.heard(RunReleased, run)
    async with world.app() as app:
        run = await app.get(run.id)
        await run.signal("go")
        assert await run.result() == "done"


async def test_an_item_of_the_inbox_of_a_parked_run_stays_until_it_is_consumed(world):
    async def main(context):
        await context.wait("a")
        return await context.wait("b")

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("b", 2)
        await app.heard(RunParked, run, nth=2)
        _, items = await anyio.to_thread.run_sync(app.storage.inbox, run.id)
        await run.signal("a", 1)
        assert await run.result() == 2

    assert [(item.kind, item.name) for item in items] == [(ItemKind.SIGNAL, "b")]


async def test_a_gather_in_a_task_that_the_context_did_not_make_pins_the_run_too(world):
    release = anyio.Event()

    async def main(context):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.gather, lambda: context.wait("go"))
            await release.wait()
        return "done"

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.until(lambda: bool(app.engine.worker.driven[run.id].openings))
        assert not app.engine.worker.driven[run.id].idle
        release.set()
        await run.signal("go")
        assert await run.result() == "done"
