"""Starting runs: keys, times, labels, and what is refused before anything is stored."""

import anyio
import pytest

from trivium.errors import Conflict, KeyConflict, NotFound, NotJson, TooLarge
from trivium.model.events import RunClaimed, RunEnded
from trivium.model.states import RunStatus, WaitReason
from trivium.storage.port import RunFilter


async def echo(context):
    return context.inputs


async def waits(context):
    return await context.wait("go")


async def test_a_started_run_is_stored_when_start_returns(world):
    async with world.app(worker=False) as client:
        run = await client.start(echo, {"n": 1}, labels={"team": "a"}, priority=3, queue="slow")
        stored = await run.run()

    assert (stored.status, stored.target, stored.inputs) == (RunStatus.QUEUED, "script:echo", '{"n":1}')
    assert (dict(stored.labels), stored.priority, stored.queue) == ({"team": "a"}, 3, "slow")
    assert (stored.root_id, stored.parent_id) == (run.id, None)


async def test_the_same_key_and_inputs_are_the_same_run(world):
    async with world.app() as app:
        first = await app.start(echo, 1, key="k")
        await first.result()
        second = await app.start(echo, 1, key="k")
        assert await second.result() == 1

    assert (second.id, first.existed, second.existed) == (first.id, False, True)


async def test_the_same_key_with_other_inputs_is_a_conflict(world):
    async with world.app() as app:
        first = await app.start(echo, 1, key="k")
        with pytest.raises(KeyConflict) as conflict:
            await app.start(echo, 2, key="k")
        assert await first.result() == 1

    assert (conflict.value.run_id, conflict.value.exit_code) == (first.id, 4)


async def test_a_key_belongs_to_its_target(world):
    async with world.app() as app:
        first, second = await app.start(echo, 1, key="k"), await app.start(waits, 1, key="k")

    assert first.id != second.id


async def test_two_starts_of_one_key_at_once_are_one_run(world):
    found = []

    async with world.app() as app, world.app() as other:

        async def start(one):
            found.append(await one.start(echo, 1, key="k"))

        async with anyio.create_task_group() as tasks:
            for one in (app, other, app, other):
                tasks.start_soon(start, one)
        assert [await run.result() for run in found] == [1, 1, 1, 1]
        assert len(await app.app.runs(RunFilter())) == 1

    assert len({run.id for run in found}) == 1
    assert sorted(run.existed for run in found) == [False, True, True, True]


async def test_a_start_for_later_waits_for_its_time(world):
    async with world.app() as app:
        run = await app.start(echo, 1, not_before=world.clock.now() + 60_000_000)
        early = await run.run()
        assert app.engine.worker.driven == {}
        world.clock.advance(60)
        await app.heard(RunClaimed, run)
        assert await run.result() == 1

    assert (early.status, early.wait_reason) == (RunStatus.WAITING, WaitReason.TIMER)


async def test_a_signal_to_a_run_that_waits_for_its_time_is_kept_for_it(world):
    async with world.app() as app:
        run = await app.start(waits, not_before=world.clock.now() + 60_000_000)
        await run.signal("go", 1)
        assert await run.status() is RunStatus.WAITING
        world.clock.advance(60)
        assert await run.result() == 1


async def test_what_cannot_be_started_is_refused_and_leaves_nothing(world):
    async with world.app() as app:
        with pytest.raises(NotFound, match="script:nobody"):
            await app.start("script:nobody")
        with pytest.raises(NotJson):
            await app.start(echo, {"when": object()})
        with pytest.raises(TooLarge):
            await app.start(echo, 1, key="k" * 513)
        assert list(await app.app.runs()) == []


async def test_an_app_that_is_not_open_says_so(world):
    app = world.unopened()

    with pytest.raises(Conflict, match="not open"):
        await app.start(echo)


async def test_a_run_is_found_by_the_beginning_of_its_id(world):
    async with world.app(worker=False) as client:
        run = await client.start(echo)
        assert (await client.get(run.id[:20])).id == run.id
        await client.start(echo)
        with pytest.raises(Conflict, match="several"):
            await client.get(run.id[:4])
        with pytest.raises(NotFound):
            await client.get("ffff")


async def test_a_run_that_is_waited_for_from_several_places_tells_all_of_them(world):
    found = []

    async with world.app() as app:
        run = await app.start(waits)

        async def ask():
            found.append(await run.result())

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
            await app.idle(run)
            await run.signal("go", 1)
        await app.heard(RunEnded, run)

    assert found == [1, 1, 1]


async def test_a_run_whose_starter_was_cancelled_meanwhile_is_driven_all_the_same(world, held):
    async with world.app() as app:
        held.hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.start, echo, 1)
            await held.reached()
            tasks.cancel_scope.cancel()
        held.resume()
        ended = await app.heard(RunEnded)

    assert ended.status is RunStatus.COMPLETED
