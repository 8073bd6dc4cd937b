"""Graphs of steps: launched, collected, ended; and what many of them cost."""

import anyio
import anyio.to_thread
import pytest

from trivium.errors import RunFailed
from trivium.model.context import Outcome
from trivium.model.events import RunEnded, StepStarted
from trivium.model.states import RunStatus, StepStatus
from trivium.registry import action
from trivium.testing import calls_counted


@action
async def nothing() -> None:
    return None


@action
async def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
async def test_a_graph_runs_in_its_order_and_gives_all_outputs(world, fused):
    order = []

    @action
    async def note(word: str) -> str:
        order.append(word)
        return word

    steps = {
        "a": ("note", {"word": "a"}, []),
        "b": ("note", {"word": "b"}, ["a"]),
        "c": ("note", {"word": "c"}, ["a"]),
        "d": ("note", {"word": "d"}, ["b", "c"]),
    }
    async with world.app(note) as app:
        run = await app.start(world.fan(steps, fused=fused))
        assert await run.result() == {"a": "a", "b": "b", "c": "c", "d": "d"}
        assert {entry.status for entry in (await app.journal(run)).values()} == {StepStatus.COMPLETED}
        told = await app.heard(RunEnded, run)

    assert (order[0], order[-1], set(order)) == ("a", "d", {"a", "b", "c", "d"})
    assert told.status is RunStatus.COMPLETED


async def test_a_failed_step_ends_the_run_and_what_runs_is_cut_off(world):
    @action
    async def fails() -> None:
        raise ValueError("no good")

    @action
    async def hangs() -> None:
        await anyio.sleep_forever()

    async with world.app(fails, hangs) as app:
        run = await app.start(world.fan({"a": ("hangs", {}, []), "b": ("fails", {}, []), "c": ("hangs", {}, ["a"])}))
        with pytest.raises(RunFailed, match="no good"):
            await run.result()
        journal = await app.journal(run)

    assert {key: entry.status for key, entry in journal.items()} == {"a": StepStatus.CANCELLED, "b": StepStatus.FAILED}


async def test_outcomes_that_stand_in_the_journal_are_collected_at_once(world):
    calls = []

    @action
    async def note(n: int) -> int:
        calls.append(n)
        return n

    async def main(context):
        for n in range(3):
            context.launch(f"s{n}", note, {"n": n})
        found: list[Outcome] = []
        while len(found) < 3:
            found += await context.collect()
        await context.wait("go")
        return sorted(outcome.output for outcome in found)

    async with world.app(note, park_after=0) as app:
        run = await app.start(main)
        await app.until(lambda: len(calls) == 3)
        await run.signal("go")
        assert await run.result() == [0, 1, 2]

    assert sorted(calls) == [0, 1, 2]


async def test_collecting_what_was_never_launched_is_an_error_and_not_a_hang(world):
    async def main(context):
        await context.collect()

    async with world.app() as app:
        with pytest.raises(RunFailed, match="without a launched step"):
            await (await app.start(main)).result()


async def test_what_was_launched_and_never_collected_is_cut_off_at_the_end(world):
    @action
    async def hangs() -> None:
        await anyio.sleep_forever()

    async def main(context):
        context.launch("k", hangs, {})
        context.launch("l", nothing, {})
        await context.collect()
        return "done"

    async with world.app(hangs, nothing) as app:
        run = await app.start(main)
        assert await run.result() == "done"
        journal = await app.journal(run)

    assert {key: entry.status for key, entry in journal.items()} == {
        "k": StepStatus.CANCELLED,
        "l": StepStatus.COMPLETED,
    }


async def test_a_shape_is_recorded_instead_of_what_the_action_returned(world):
    async def main(context):
        context.launch("k", add, {"a": 1, "b": 2}, shape=lambda value: {"sum": value})
        (outcome,) = await context.collect()
        return outcome.output

    async with world.app(add) as app:
        run = await app.start(main)
        assert await run.result() == {"sum": 3}
        assert (await app.journal(run))["k"].output == '{"sum":3}'


async def test_only_a_pure_driver_may_propose_its_end(world):
    async def main(context):
        context.propose_end(lambda outcome: None)

    async with world.app() as app:
        with pytest.raises(RunFailed, match="not declared pure"):
            await (await app.start(main)).result()


async def test_four_times_the_steps_side_by_side_take_about_four_times_the_work(world):
    def fan(size):
        return world.fan({f"s{n}": ("nothing", {}, []) for n in range(size)})

    async def calls_on_the_loop(app, size):
        with calls_counted() as calls:
            run = await app.start(fan(size))
            await run.wait()
        count = len(await anyio.to_thread.run_sync(app.storage.entries, run.id))
        assert count == size
        return calls.count

    async with world.unopened(nothing) as app:
        await calls_on_the_loop(app, 10)  # imports what is imported late
        small = await calls_on_the_loop(app, 500)
        large = await calls_on_the_loop(app, 2_000)

    assert large < 5 * small


async def test_steps_of_one_fan_are_told_as_they_begin(world):
    async with world.app(nothing) as app:
        run = await app.start(world.fan({f"s{n}": ("nothing", {}, []) for n in range(5)}))
        await app.heard(RunEnded, run)

    assert sorted(event.key for event in app.seen if isinstance(event, StepStarted)) == [f"s{n}" for n in range(5)]
