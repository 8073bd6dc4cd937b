"""Which runs a worker drives, in which order, and how many at once."""

import anyio
import anyio.lowlevel

from trivium.engine.drive import Leaving
from trivium.model.events import RunClaimed, RunParked
from trivium.model.runs import Limit
from trivium.model.states import RunStatus, WaitReason
from trivium.registry import action


async def echo(context):
    return context.inputs


async def waits(context):
    return await context.wait("go")


async def test_runs_are_claimed_by_priority_and_then_by_age(world):
    order = []

    async def notes(context):
        order.append(context.inputs)

    async with world.app(worker=False) as client:
        runs = [
            await client.start(notes, name, priority=priority)
            for name, priority in [("low", -1), ("first", 0), ("second", 0), ("high", 5)]
        ]
    async with world.app(concurrency=1) as app:
        for run in runs:
            await (await app.get(run.id)).result()

    assert order == ["high", "first", "second", "low"]


async def test_a_start_does_not_overtake_what_waits_with_a_higher_priority(world):
    order = []

    async def notes(context):
        order.append(context.inputs)

    async with world.app(worker=False) as client:
        await client.start(notes, "high", priority=5)
    async with world.app(concurrency=1) as app:
        low = await app.start(notes, "low")
        await low.result()

    assert order == ["high", "low"]


async def test_a_worker_drives_only_its_queues(world):
    async with world.app(queues=frozenset({"fast"})) as app:
        other = await app.start(echo, 1, queue="slow")
        own = await app.start(echo, 2, queue="fast")
        assert await own.result() == 2
        assert await other.status() is RunStatus.QUEUED
    async with world.app(queues=frozenset({"slow"})) as app:
        assert await (await app.get(other.id)).result() == 1


async def test_a_worker_drives_only_what_it_has_the_actions_for(world):
    @action(name="rare")
    async def rare() -> int:
        return 1

    async def main(context):
        return await context.step("k", "rare")

    target = world.script(main, needs=["action:rare"])
    async with world.app() as poor:
        async with world.app(worker=False) as client:
            run = await poor.get((await client.start(target)).id)
        assert await (await poor.start(echo, 5)).result() == 5
        assert await run.status() is RunStatus.QUEUED
        async with world.app(rare) as rich:
            assert await (await rich.get(run.id)).result() == 1
            await rich.heard(RunClaimed, run)


async def test_a_start_is_not_driven_at_once_by_an_app_that_lacks_its_actions(world):
    @action(name="rare")
    async def rare() -> int:
        return 1

    async def main(context):
        return await context.step("k", "rare")

    async with world.app() as poor:
        run = await poor.start(world.script(main, needs=["action:rare"]))
        assert await run.status() is RunStatus.QUEUED
    async with world.app(rare) as rich:
        assert await (await rich.get(run.id)).result() == 1


async def test_an_app_for_its_own_trees_leaves_others_alone(world):
    async with world.app(worker=False) as client:
        foreign = await client.start(echo, 1)
    async with world.app(only_started=True) as app:
        own = await app.start(echo, 2)
        assert await own.result() == 2
        assert await foreign_status(app, foreign) is RunStatus.QUEUED
        await app.app.drive(foreign.id)
        assert await (await app.get(foreign.id)).result() == 1


async def foreign_status(app, run):
    return await (await app.get(run.id)).status()


async def test_no_more_runs_than_slots_are_at_work_at_once(world):
    now, most = [0], [0]
    release = anyio.Event()

    @action
    async def works() -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        await release.wait()
        now[0] -= 1

    async def main(context):
        await context.step("k", works)

    async with world.app(works, concurrency=3) as app:
        runs = [await app.start(main) for _ in range(8)]
        await app.until(lambda: now[0] == 3)
        release.set()
        for run in runs:
            await run.result()

    assert most == [3]


async def test_runs_that_only_wait_leave_their_slots_to_others(world):
    async with world.app(concurrency=1) as app:
        waiting = [await app.start(waits) for _ in range(3)]
        for run in waiting:
            await app.idle(run)
        assert await (await app.start(echo, 5)).result() == 5
        for run in waiting:
            await run.signal("go", 1)
        assert [await run.result() for run in waiting] == [1, 1, 1]


# --- limits -------------------------------------------------------------------------------------------


async def test_a_run_over_its_limit_waits_for_a_slot_until_a_holder_ends(world):
    target = world.script(waits, limits=[Limit("printer", 1)])

    async with world.app() as app:
        first = await app.start(target)
        await app.idle(first)
        second = await app.start(target)
        await app.until(lambda: not app.engine.worker._claiming)
        waiting = await waiting_for_a_slot(app, second)
        await first.signal("go", 1)
        assert await first.result() == 1
        await second.signal("go", 2)
        assert await second.result() == 2

    assert waiting.wait_reason is WaitReason.SLOT


async def waiting_for_a_slot(app, run):
    with anyio.fail_after(30):
        while (found := await run.run()).status is not RunStatus.WAITING:
            await anyio.lowlevel.checkpoint()
    return found


async def test_a_holding_is_kept_while_its_run_is_parked(world):
    target = world.script(waits, limits=[Limit("printer", 1)])

    async with world.app(park_after=0) as app:
        first = await app.start(target)
        await app.heard(RunParked, first)
        second = await app.start(target)
        await waiting_for_a_slot(app, second)
        await first.cancel()
        await second.signal("go", 2)
        assert await second.result() == 2


async def test_a_child_shares_what_its_parent_holds(world):
    limit = Limit("printer", 1)
    child = world.script(echo, limits=[limit])

    async def main(context):
        return await (await context.start(child, 7)).result()

    async with world.app() as app:
        assert await (await app.start(world.script(main, limits=[limit]))).result() == 7


async def test_a_limit_of_several_admits_so_many(world):
    target = world.script(waits, limits=[Limit("printer", 2)])

    async with world.app() as app:
        runs = [await app.start(target) for _ in range(3)]
        for run in runs[:2]:
            await app.idle(run)
        await waiting_for_a_slot(app, runs[2])
        for run in runs:
            await run.signal("go")
        for run in runs:
            await run.result()


async def test_whoever_hears_of_an_end_finds_the_slot_free(world):
    async def main(context):
        return context.inputs

    async with world.app(concurrency=1) as app:
        run = await app.start(main, 1)
        await run.result()
        free = app.engine.worker.claimer(app.app.prepare(main, 2).definition)

    assert free == app.engine.worker_id


async def test_a_run_that_is_owned_and_not_driven_is_handed_back_at_the_second_tick(world):
    async def main(context):
        return await context.wait("go")

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        worker, epoch = app.engine.worker, (await run.run()).epoch
        app.engine.worker.driven[run.id].leaving = Leaving.LOST  # as if its drive had come to nothing
        worker.driven[run.id].cut_off()
        await app.until(lambda: run.id not in worker.driven)
        owned = app.storage.owned(app.engine.worker_id)
        worker.tick(owned)
        assert (await run.run()).epoch == epoch
        worker.tick(owned)
        await app.heard(RunClaimed, run, epoch=epoch + 1)
        await run.signal("go", 7)
        assert await run.result() == 7
