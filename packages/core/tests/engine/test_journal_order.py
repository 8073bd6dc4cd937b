"""What has begun rides along with other commits; it never lands behind, and so on top of, what became of it.

In each of these the outcome is submitted and its commit is held, when something else writes down what is open.
"""

import anyio
import pytest

from trivium.errors import RunCancelled
from trivium.model.events import RunEnded
from trivium.model.states import StepStatus
from trivium.registry import action


async def test_a_tick_does_not_write_the_start_of_a_step_over_its_outcome(world, held):
    @action
    async def long() -> int:
        world.clock.advance(1)
        held.hold()
        return 1

    async def main(context):
        await context.step("k", long)
        return await context.wait("go")

    async with world.app(long) as app:
        run = await app.start(main)
        await held.reached()
        app.engine.worker.tick({})
        held.resume()
        await run.signal("go")
        await run.result()
        entry = (await app.journal(run))["k"]

    assert (entry.status, entry.output) == (StepStatus.COMPLETED, "1")


async def test_a_tick_does_not_write_a_wait_over_its_end(world, held):
    async def main(context):
        await context.wait("go")
        return await context.wait("end")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        world.clock.advance(0.9)
        await run.signal("go")
        held.hold()
        await held.reached()
        app.engine.worker.tick({})
        held.resume()
        await run.signal("end")
        await run.result()
        entry = (await app.journal(run))["wait:go"]

    assert entry.status is StepStatus.COMPLETED


async def test_a_run_that_is_handed_back_keeps_the_outcome_that_was_on_its_way(world, held):
    calls = []

    @action
    async def count() -> int:
        calls.append(1)
        held.hold()
        return len(calls)

    async def main(context):
        return [await context.step("k", count), await context.wait("go")]

    async with world.app(count) as first:
        run = await first.start(main)
        await held.reached()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.app.stop)
            await first.until(lambda: first.engine.worker.driven[run.id].stopping)
            held.resume()
        assert (await first.journal(run))["k"].status is StepStatus.COMPLETED
    async with world.app(count) as second:
        run = await second.get(run.id)
        await run.signal("go", 2)
        assert await run.result() == [1, 2]

    assert calls == [1]


async def test_launched_steps_keep_their_outcomes_when_the_run_is_handed_back(world, held):
    @action
    async def one() -> int:
        held.hold()
        return 1

    @action
    async def waits() -> None:
        await anyio.sleep_forever()

    async def main(context):
        context.launch("k", one, {})
        context.launch("l", waits, {})
        while True:
            await context.collect()

    async with world.app(one, waits, shutdown_grace=0) as app:
        run = await app.start(main)
        await held.reached()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.app.stop)
            await app.until(lambda: app.engine.worker.driven[run.id].stopping)
            held.resume()
        journal = await app.journal(run)

    assert (journal["k"].status, journal["l"].status) == (StepStatus.COMPLETED, StepStatus.RUNNING)


async def test_a_cancelled_run_keeps_the_outcome_that_was_on_its_way(world, held):
    @action
    async def one() -> int:
        held.hold()
        return 1

    async def main(context):
        await context.step("k", one)
        await context.wait("never")

    async with world.app(one) as app:
        run = await app.start(main)
        await held.reached()
        app.engine.worker.driven[run.id].cancel("enough")
        held.resume()
        with pytest.raises(RunCancelled):
            await run.result()
        await app.heard(RunEnded, run)
        entry = (await app.journal(run))["k"]

    assert entry.status is StepStatus.COMPLETED
