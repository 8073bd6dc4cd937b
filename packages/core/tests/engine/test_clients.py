"""Clients that drive nothing, and plain scripts."""

from pathlib import Path

import anyio
import pytest

from trivium.app import Trivium
from trivium.errors import RunCancelled, RunFailed
from trivium.hooks import Plugins
from trivium.model.events import RunParked
from trivium.model.states import RunStatus
from trivium.registry import action


@action
async def double(n: int) -> int:
    return 2 * n


async def doubles(context):
    return await context.step("k", double, n=context.inputs)


async def waits(context):
    return await context.wait("go")


async def test_a_client_waits_for_a_run_that_a_worker_elsewhere_drives(world):
    async with world.app(double) as app, world.app(worker=False) as client:
        run = await client.start(doubles, 4)
        assert await run.result() == 8
        await app.until(lambda: not app.engine.worker.driven)


async def test_a_client_drives_nothing(world):
    async with world.app(double, worker=False) as client:
        run = await client.start(doubles, 4)
        await client.app.drive(run.id)
        assert await run.status() is RunStatus.QUEUED
        assert list(await client.app.workers()) == []


async def test_a_client_signals_and_cancels_what_runs_elsewhere(world):
    async with world.app() as app, world.app(worker=False) as client:
        first, second = await app.start(waits), await app.start(waits)
        await app.idle(first)
        await app.idle(second)
        await (await client.get(first.id)).signal("go", 1)
        assert await (await client.get(first.id)).result() == 1
        await (await client.get(second.id)).cancel("from afar")
        with pytest.raises(RunCancelled, match="from afar"):
            await (await client.get(second.id)).result()


async def test_a_client_wakes_what_is_parked_elsewhere(world):
    async with world.app(park_after=0) as app, world.app(worker=False) as client:
        run = await app.start(waits)
        await app.heard(RunParked, run)
        await (await client.get(run.id)).signal("go", 1)
        assert await (await client.get(run.id)).result() == 1


async def test_two_workers_share_the_work_and_drive_nothing_twice(world):
    calls = []

    @action
    async def note(n: int) -> int:
        calls.append(n)
        return n

    async def notes(context):
        return await context.step("k", note, n=context.inputs)

    async with world.app(note, concurrency=2) as one, world.app(note, concurrency=2):
        async with world.app(worker=False) as client:
            ids = [(await client.start(notes, n)).id for n in range(20)]
        assert [await (await one.get(run_id)).result() for run_id in ids] == list(range(20))

    assert sorted(calls) == list(range(20))


async def test_the_same_app_may_be_opened_again(world):
    app = world.unopened(double)

    for n in (1, 2):
        async with app:
            assert await (await app.start(doubles, n)).result() == 2 * n


# --- plain scripts: no event loop around them ----------------------------------------------------------


@pytest.fixture
def script_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def test_run_starts_drives_and_returns_the_outputs(plain, script_url):
    app = Trivium(script_url, actions=[double], plugins=Plugins.load(extra=[plain]))

    assert app.run(doubles, 4) == 8
    assert app.run(doubles, 5) == 10


def test_run_raises_what_its_run_failed_with(plain, script_url):
    async def fails(context):
        raise ValueError("no good")

    app = Trivium(script_url, plugins=Plugins.load(extra=[plain]))

    with pytest.raises(RunFailed, match="no good"):
        app.run(fails)


def test_run_with_a_key_goes_on_with_the_run_that_stands(plain, script_url):
    calls = []

    @action(name="double")
    async def counted(n: int) -> int:
        calls.append(n)
        return 2 * n

    async def keyed(context):
        return await context.step("k", "double", n=context.inputs)

    async def start_only() -> None:
        async with Trivium(script_url, worker=False, plugins=Plugins.load(extra=[plain])) as client:
            await client.start(keyed, 4, key="k")

    anyio.run(start_only)
    app = Trivium(script_url, actions=[counted], only_started=True, plugins=Plugins.load(extra=[plain]))

    assert app.run(keyed, 4, key="k") == 8
    assert app.run(keyed, 4, key="k") == 8
    assert calls == [4]
