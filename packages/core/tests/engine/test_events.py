"""Events: their order, who hears them, and listeners that misbehave."""

import threading

import anyio
import anyio.lowlevel
import anyio.to_thread

from trivium.model.events import (
    RunClaimed,
    RunEnded,
    RunParked,
    RunReleased,
    StepEnded,
    StepRetrying,
    StepStarted,
)
from trivium.model.policies import Retry
from trivium.model.states import RunStatus, StepStatus
from trivium.registry import action
from trivium.testing import calls_counted


@action
async def one() -> int:
    return 1


async def steps(context):
    await context.wait("go")
    for key in ("a", "b", "c"):
        await context.step(key, one)
    return "done"


async def test_what_happens_is_told_in_its_order(world):
    @action(retry=Retry(max_attempts=2, initial=10, jitter=False))
    async def flaky(context_attempt: int = 0) -> None:
        if not failed:
            failed.append(1)
            raise ValueError("not yet")

    failed: list[int] = []

    async def main(context):
        await context.step("k", flaky)
        await context.wait("go")

    async with world.app(flaky, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        world.clock.advance(10)
        await app.heard(RunParked, run, nth=2)
        await run.signal("go")
        await app.heard(RunEnded, run)
        told = [type(event) for event in app.seen]

    assert told == [
        RunClaimed,
        StepStarted,
        StepRetrying,
        RunParked,
        RunClaimed,
        StepStarted,
        StepEnded,
        RunParked,
        RunClaimed,
        StepEnded,
        RunEnded,
    ]


async def test_a_run_s_events_come_live_and_end_with_its_end(world):
    told = []

    async with world.app(one) as app:
        run = await app.start(steps)
        await app.idle(run)
        async with anyio.create_task_group() as tasks:

            async def follow():
                async for event in run.events():
                    told.append(event)

            tasks.start_soon(follow)
            await app.until(lambda: len(app.engine.bus._subscriptions) == 2)
            await run.signal("go")

    ends = [event.key for event in told if isinstance(event, StepEnded)]
    assert ends == ["wait:go", "a", "b", "c"]
    assert isinstance(told[-1], RunEnded)
    assert told[-1].status is RunStatus.COMPLETED


async def test_events_of_the_runs_below_come_too(world):
    async def child(context):
        return await context.step("below", one)

    async def main(context):
        await context.wait("go")
        return await (await context.start(child)).result()

    told = []

    async with world.app(one) as app:
        run = await app.start(main)
        await app.idle(run)
        async with anyio.create_task_group() as tasks:

            async def follow():
                async for event in run.events():
                    told.append(event)

            tasks.start_soon(follow)
            await app.until(lambda: len(app.engine.bus._subscriptions) == 2)
            await run.signal("go")

    assert [event.key for event in told if isinstance(event, StepEnded)] == ["wait:go", "below", "child:script:child"]
    assert [event.run_id == run.id for event in told if isinstance(event, RunEnded)] == [False, True]


async def test_events_of_a_run_that_is_driven_elsewhere_are_read_from_the_store_each_once(world):
    told = []

    async with world.app(one) as app, world.app(worker=False) as client:
        run = await app.start(steps)
        await app.idle(run)
        async with anyio.create_task_group() as tasks:

            async def follow():
                async for event in (await client.get(run.id)).events():
                    told.append(event)

            tasks.start_soon(follow)
            await run.signal("go")

    assert [(event.key, event.status) for event in told if isinstance(event, StepEnded)] == [
        ("wait:go", StepStatus.COMPLETED),
        ("a", StepStatus.COMPLETED),
        ("b", StepStatus.COMPLETED),
        ("c", StepStatus.COMPLETED),
    ]
    assert isinstance(told[-1], RunEnded)


async def test_the_events_of_a_run_that_has_ended_end(world):
    async with world.app(one) as app:
        run = await app.start(steps)
        await run.signal("go")
        await run.result()
        told = [event async for event in run.events()]

    assert isinstance(told[-1], RunEnded)
    assert len([event for event in told if isinstance(event, StepEnded)]) == 4


async def test_nothing_is_told_twice_and_a_listener_may_leave(world):
    async with world.app(one) as app:
        run = await app.start(steps)
        events = run.events()
        async with anyio.create_task_group() as tasks:

            async def first_only():
                async for _ in events:
                    break
                await events.aclose()

            tasks.start_soon(first_only)
            await app.idle(run)
            await run.signal("go")
        assert await run.result() == "done"


async def test_observers_get_every_event_on_a_thread_of_their_own(world):
    seen = []
    ended = threading.Event()

    def observer(event):
        seen.append((type(event), threading.current_thread().name))
        if isinstance(event, RunEnded):
            ended.set()

    async with world.app(one, observers=[observer]) as app:
        run = await app.start(steps)
        await run.signal("go")
        await run.result()
        await anyio.to_thread.run_sync(ended.wait, 30)

    assert {name for _, name in seen} == {"trivium-observers"}
    assert [kind for kind, _ in seen][-1] is RunEnded


async def test_an_observer_that_raises_disturbs_nobody(world, caplog):
    seen = []
    ended = threading.Event()

    def wrong(event):
        raise ValueError("an observer's own")

    def well(event):
        seen.append(type(event))
        if isinstance(event, RunEnded):
            ended.set()

    async with world.app(one, observers=[wrong, well]) as app:
        run = await app.start(steps)
        await run.signal("go")
        assert await run.result() == "done"
        await anyio.to_thread.run_sync(ended.wait, 30)

    assert RunEnded in seen
    assert "an observer's own" in caplog.text


async def test_an_observer_that_exits_disturbs_nobody(world):
    seen = []
    ended = threading.Event()

    def exits(event):
        raise SystemExit

    def well(event):
        seen.append(type(event))
        if isinstance(event, RunEnded):
            ended.set()

    async with world.app(one, observers=[exits, well]) as app:
        run = await app.start(steps)
        await run.signal("go")
        assert await run.result() == "done"
        assert await anyio.to_thread.run_sync(ended.wait, 30)


async def test_an_observer_that_blocks_holds_up_nobody(world):
    release = threading.Event()

    def slow(event):
        release.wait(30)

    async with world.app(one, observers=[slow]) as app:
        run = await app.start(steps)
        await run.signal("go")
        assert await run.result() == "done"
        release.set()


async def test_a_lost_run_is_told_as_lost(world):
    async with world.app() as app:
        run = await app.start(steps)
        await app.idle(run)
        app.engine.worker.driven[run.id].lose()
        assert (await app.heard(RunReleased, run)).lost is True


async def test_who_follows_a_run_that_is_driven_here_waits_without_looking_again_and_again(world):
    async def follow(run):
        async for _ in run.events():
            pass

    async def calls_of_some_turns():
        with calls_counted() as calls:
            for _ in range(200):
                await anyio.lowlevel.checkpoint()
        return calls.count

    async with world.app(one, park_after=1000) as app, anyio.create_task_group() as tasks:
        run = await app.start(steps)
        await app.idle(run)
        alone = await calls_of_some_turns()
        tasks.start_soon(follow, run)
        await calls_of_some_turns()  # the first look is over
        followed = await calls_of_some_turns()
        await run.signal("go")

    assert followed < 2 * alone


async def test_the_events_of_a_run_that_ends_while_nobody_drives_it_end_too(world):
    told = []

    async with world.app(one, park_after=0) as app:
        run = await app.start(steps)
        await app.heard(RunParked, run)
        async with anyio.create_task_group() as tasks:

            async def follow():
                async for event in run.events():
                    told.append(event)

            tasks.start_soon(follow)
            await app.until(lambda: len(app.engine.bus._subscriptions) == 2)
            await run.cancel()

    assert [type(event) for event in told] == [RunEnded]
    assert told[0].status is RunStatus.CANCELLED
