"""What a driver and its steps see of their run."""

import logging

import pytest

from trivium import StepContext
from trivium.errors import NotDone, RunFailed, UsageError
from trivium.model.events import RunParked
from trivium.model.policies import Retry
from trivium.registry import action


@action
async def echo(word: str) -> str:
    return word


async def test_a_driver_sees_what_its_run_is(world):
    async def child(context):
        return [context.parent_id, context.root_id]

    async def main(context):
        below = await (await context.start(child)).result()
        return {
            "id": context.run_id,
            "root": context.root_id,
            "parent": context.parent_id,
            "kind": context.kind,
            "name": context.name,
            "inputs": context.inputs,
            "labels": dict(context.labels),
            "definition": context.definition,
            "now": context.now(),
            "below": below,
        }

    async with world.app() as app:
        run = await app.start(main, {"n": 1}, labels={"team": "a"})
        seen = await run.result()

    assert seen == {
        "id": run.id,
        "root": run.id,
        "parent": None,
        "kind": "script",
        "name": "main",
        "inputs": {"n": 1},
        "labels": {"team": "a"},
        "definition": {"name": "main"},
        "now": world.clock.now(),
        "below": [run.id, run.id],
    }


async def test_options_make_a_view_and_leave_the_context_as_it_was(world):
    attempts = []

    @action
    async def fails() -> None:
        attempts.append(1)
        raise NotDone("never")

    async def main(context):
        patient = context.options(retry=Retry(max_attempts=3, initial=0))
        for view, key in ((patient, "a"), (patient.options(timeout=60), "b"), (context, "c")):
            try:
                await view.step(key, fails)
            except Exception:
                attempts.append(0)
        return

    async with world.app(fails) as app:
        await (await app.start(main)).result()

    assert attempts == [1, 1, 1, 0, 1, 1, 1, 0, 1, 0]


async def test_a_note_goes_into_the_history_once(world):
    async def main(context):
        context.note("the customer was called")
        context.note("the customer was called")
        await context.step("k", echo, word="a")

    async with world.app(echo) as app:
        run = await app.start(main)
        await run.result()
        assert await app.notes(run) == ["the customer was called"]


async def test_a_note_of_a_run_that_parks_is_stored_with_the_park(world):
    async def main(context):
        if not noted:
            noted.append(1)
            context.note("before the park")
        await context.wait("go")

    noted: list[int] = []

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        assert await app.notes(run) == ["before the park"]
        await run.signal("go")
        await run.result()
        assert await app.notes(run) == ["before the park"]


async def test_entries_that_the_code_no_longer_asks_for_are_told_in_the_history(world):
    tops = []

    async def main(context):
        tops.append(1)
        if len(tops) == 1:
            await context.step("old", echo, word="a")
        await context.wait("go")

    async with world.app(echo, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("go")
        await run.result()
        (note,) = await app.notes(run)

    assert "'old'" in note


async def test_log_records_carry_run_and_step(world, caplog):
    caplog.set_level(logging.INFO)

    @action
    def says(context: StepContext) -> None:
        context.logger.info("from the step")

    async def main(context):
        context.logger.info("from the driver")
        await context.step("k", says)

    async with world.app(says) as app:
        run = await app.start(main)
        await run.result()

    found = {record.message: record for record in caplog.records if record.message.startswith("from the")}
    assert found["from the driver"].run_id == run.id
    assert (found["from the step"].run_id, found["from the step"].step) == (run.id, "k")
    assert found["from the step"].attempt == 1


async def test_steps_see_the_outputs_that_their_driver_shows_them(world):
    @action
    async def looks(context: StepContext) -> dict[str, object]:
        return dict(context.outputs)

    async def main(context):
        context.show_outputs(lambda key: {"before": key})
        return await context.step("k", looks)

    async with world.app(looks) as app:
        assert await (await app.start(main)).result() == {"before": "k"}


async def test_a_key_that_is_too_long_is_refused_before_anything_is_called(world):
    calls = []

    @action
    async def note() -> None:
        calls.append(1)

    async def main(context):
        await context.step("k" * 513, note)

    async with world.app(note) as app:
        with pytest.raises(RunFailed, match="512") as failed:
            await (await app.start(main)).result()

    assert (failed.value.failure_code, calls) == ("TRV-1005", [])


async def test_options_that_a_verb_cannot_go_by_are_refused(world):
    @action
    async def one() -> int:
        return 1

    async def main(context):
        refused = []
        for view in (context.options(queue="gpu"), context.options(key="other"), context.options(priority=1)):
            with pytest.raises(UsageError) as error:
                await view.step("a", one)
            refused.append(error.value.message)
        with pytest.raises(UsageError) as error:
            await context.options(timeout=1).start("script:nobody")
        return [*refused, error.value.message]

    async with world.app(one) as app:
        assert await (await app.start(main)).result() == [
            "a step does not take queue",
            "a step does not take key",
            "a step does not take priority",
            "a child run does not take timeout",
        ]
