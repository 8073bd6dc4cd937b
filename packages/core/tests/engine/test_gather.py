"""Concurrency inside a driver."""

import anyio
import pytest

from trivium.errors import RunFailed
from trivium.model.events import RunParked, StepEnded
from trivium.registry import action


@action
async def double(n: int) -> int:
    return 2 * n


async def test_the_results_stand_in_the_order_of_the_branches(world):
    async def main(context):
        async def branch(n):
            await context.wait(f"go{n}")
            return n

        return await context.gather(*(lambda n=n: branch(n) for n in range(3)))

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        for n in (2, 0, 1):
            await run.signal(f"go{n}")
        assert await run.result() == [0, 1, 2]


async def test_branches_run_beside_each_other(world):
    both = anyio.Event()
    here = []

    @action
    async def meets() -> None:
        here.append(1)
        if len(here) == 2:
            both.set()
        await both.wait()

    async def main(context):
        await context.gather(lambda: context.step("a", meets), lambda: context.step("b", meets))
        return "met"

    async with world.app(meets) as app:
        assert await (await app.start(main)).result() == "met"


async def test_nothing_to_gather_is_an_empty_list(world):
    async def main(context):
        return list(await context.gather())

    async with world.app() as app:
        assert await (await app.start(main)).result() == []


async def test_the_first_failure_by_order_is_raised_when_all_have_ended(world):
    ended = []

    async def main(context):
        async def fails(text):
            raise ValueError(text)

        async def well():
            await context.wait("go")
            ended.append("well")

        await context.gather(well, lambda: fails("first"), lambda: fails("second"))

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        assert not (await run.status()).terminal
        await run.signal("go")
        with pytest.raises(RunFailed, match="first"):
            await run.result()

    assert ended == ["well"]


async def test_errors_may_be_returned_in_their_place(world):
    async def main(context):
        async def fails():
            raise ValueError("no good")

        found = await context.gather(lambda: context.step("a", double, n=1), fails, return_errors=True)
        return [found[0], str(found[1])]

    async with world.app(double) as app:
        assert await (await app.start(main)).result() == [2, "no good"]


@pytest.mark.parametrize("error", [SystemExit(3), BaseException("all of it")], ids=["exit", "base"])
async def test_a_branch_that_raises_anything_fails_the_run_and_not_the_worker(world, error):
    async def main(context):
        async def wrong():
            raise error

        await context.gather(wrong, lambda: context.step("a", double, n=1))

    async def well(context):
        return await context.step("a", double, n=1)

    async with world.app(double) as app:
        with pytest.raises(RunFailed):
            await (await app.start(main)).result()
        assert await (await app.start(well)).result() == 2


async def test_a_run_is_parked_when_all_of_its_branches_wait(world):
    async def main(context):
        return await context.gather(
            lambda: context.step("a", double, n=1), lambda: context.wait("go"), lambda: context.sleep(50)
        )

    async with world.app(double, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("go", "now")
        await app.heard(RunParked, run, nth=2)
        world.clock.advance(50)
        assert await run.result() == [2, "now", None]


async def test_gathers_may_be_nested(world):
    async def main(context):
        async def inner(n):
            return list(await context.gather(lambda: context.step(f"{n}a", double, n=n), lambda: context.sleep(1)))

        return list(await context.gather(lambda: inner(1), lambda: inner(2)))

    async with world.app(double, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        world.clock.advance(1)
        assert await run.result() == [[2, None], [4, None]]


async def test_steps_of_the_branches_are_found_again_under_their_keys(world):
    calls = []

    @action
    async def note(n: int) -> int:
        calls.append(n)
        return n

    async def main(context):
        found = await context.gather(*(lambda n=n: context.step(f"s{n}", note, n=n) for n in range(3)))
        await context.wait("go")
        return found

    async with world.app(note, park_after=0) as app:
        run = await app.start(main)
        await app.heard(StepEnded, run, key="s2")
        await app.heard(RunParked, run)
        await run.signal("go")
        assert await run.result() == [0, 1, 2]

    assert sorted(calls) == [0, 1, 2]


async def test_a_gather_that_its_driver_cuts_off_leaves_a_run_that_is_busy_while_its_branches_work(world):
    began, release = anyio.Event(), anyio.Event()

    @action
    async def slow() -> None:
        began.set()
        await release.wait()

    async def main(context):
        with anyio.CancelScope() as scope:

            async def cuts_off():
                await began.wait()
                scope.cancel()
                await context.wait("never")

            await context.gather(lambda: context.step("slow", slow), cuts_off)
        await context.wait("go")
        return "gone on"

    async with world.app(slow) as app:
        run = await app.start(main)
        await app.until(lambda: len(list(app.engine.worker.driven[run.id].activity.waits)) == 2)
        assert not app.engine.worker.driven[run.id].idle
        release.set()
        await app.idle(run)
        await run.signal("go")
        assert await run.result() == "gone on"
