"""Steps: what is journaled, found again, refused, and what an action may do wrong."""

import asyncio
import sys
import threading
from typing import Any

import anyio
import pytest
from typing_extensions import override

from trivium import StepContext
from trivium.engine.journal import KeyReused
from trivium.errors import Conflict, NotFound, RunFailed, StepFailed
from trivium.model.events import RunEnded, RunParked, RunReleased, StepEnded
from trivium.model.journal import EntryKind
from trivium.model.policies import Retry
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.registry import action


@action
async def double(n: int) -> int:
    return 2 * n


@action(name="double_in_thread")
def blocking_double(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize("name", ["double", "double_in_thread"])
async def test_a_step_returns_what_its_action_returned_and_stands_in_the_journal(world, name):
    async def main(context):
        return await context.step("twice", name, n=21)

    async with world.app(double, blocking_double) as app:
        run = await app.start(main)
        assert await run.result() == 42
        entry = (await app.journal(run))["twice"]

    assert (entry.kind, entry.name, entry.status, entry.output, entry.attempts) == (
        EntryKind.STEP,
        name,
        StepStatus.COMPLETED,
        "42",
        1,
    )


async def test_a_step_may_be_asked_for_by_its_function(world):
    async def main(context):
        return await context.step("twice", double, n=4)

    async with world.app(double) as app:
        assert await (await app.start(main)).result() == 8


async def test_a_finished_step_is_not_called_again_when_the_run_is_driven_again(world):
    calls = []

    @action
    async def note(word: str) -> str:
        calls.append(word)
        return word

    async def main(context):
        first = await context.step("first", note, word="a")
        await context.sleep(60)
        second = await context.step("second", note, word="b")
        return [first, second]

    async with world.app(note, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        world.clock.advance(60)
        assert await run.result() == ["a", "b"]

    assert calls == ["a", "b"]


async def test_a_step_asked_for_twice_under_one_key_is_called_once(world):
    calls = []

    @action
    async def count() -> int:
        calls.append(1)
        return len(calls)

    async def main(context):
        return [await context.step("n", count), await context.step("n", count)]

    async with world.app(count) as app:
        assert await (await app.start(main)).result() == [1, 1]


async def test_a_key_met_again_with_another_input_is_an_error_that_shows_both(world):
    caught: list[KeyReused] = []

    async def main(context):
        await context.step("k", double, n=1)
        try:
            await context.step("k", double, n=2)
        except KeyReused as error:
            caught.append(error)
            raise

    async with world.app(double) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed, match="recorded as step 'double'") as failed:
            await run.result()

    assert failed.value.failure_code == "TRV-3005"
    assert caught[0].recorded != caught[0].asked


async def test_a_key_that_is_under_way_is_refused_to_a_second_call(world):
    async def main(context):
        both = await context.gather(
            lambda: context.step("k", double, n=1), lambda: context.step("k", double, n=1), return_errors=True
        )
        return sorted(type(one).__name__ for one in both)

    async with world.app(double) as app:
        assert await (await app.start(main)).result() == ["Conflict", "int"]


async def test_a_key_that_was_launched_is_refused_to_a_second_launch(world):
    refused = []

    async def main(context):
        context.launch("k", double, {"n": 1})
        try:
            context.launch("k", double, {"n": 1})
        except Conflict as error:
            refused.append(str(error))
        return [outcome.output for outcome in await context.collect()]

    async with world.app(double) as app:
        assert await (await app.start(main)).result() == [2]

    assert len(refused) == 1


async def test_an_unknown_action_fails_the_run_and_says_what_was_meant(world):
    async def main(context):
        return await context.step("k", "duble", n=1)

    async with world.app(double) as app:
        with pytest.raises(RunFailed, match="double") as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == NotFound.code


async def test_an_action_that_asks_for_its_context_gets_it(world):
    seen: list[Any] = []

    @action
    def look(context: StepContext, n: int) -> int:
        seen.append((context.run_id, context.step_key, context.attempt, context.idempotency_key, context.cancelled))
        return n

    async def main(context):
        return await context.step("k", look, n=3)

    async with world.app(look) as app:
        run = await app.start(main)
        assert await run.result() == 3

    ((run_id, key, attempt, idempotency_key, cancelled),) = seen
    assert (run_id, key, attempt, cancelled) == (run.id, "k", 1, False)
    assert idempotency_key


async def test_the_idempotency_key_is_the_same_at_every_attempt_and_another_for_every_step(world):
    keys: dict[str, list[str]] = {"a": [], "b": []}

    @action(retry=Retry(max_attempts=2, initial=0, jitter=False))
    async def flaky(context: StepContext) -> None:
        keys[context.step_key].append(context.idempotency_key)
        if context.attempt == 1:
            raise ValueError("not yet")

    async def main(context):
        await context.step("a", flaky)
        await context.step("b", flaky)

    async with world.app(flaky) as app:
        await (await app.start(main)).result()

    assert len(keys["a"]) == len(keys["b"]) == 2
    assert len(set(keys["a"])) == len(set(keys["b"])) == 1
    assert keys["a"][0] != keys["b"][0]


async def test_a_def_action_may_run_on_the_event_loop(world):
    seen = []

    @action(executor="inline")
    def quick() -> int:
        seen.append(threading.current_thread().name)
        return 1

    async def main(context):
        return await context.step("k", quick)

    async with world.app(quick) as app:
        assert await (await app.start(main)).result() == 1

    assert seen == [threading.current_thread().name]


async def test_an_action_whose_executor_is_not_there_is_a_failed_step(world):
    @action(executor="cluster")
    def far() -> None:
        pass

    async def main(context):
        await context.step("k", far)

    async with world.app(far) as app:
        with pytest.raises(RunFailed, match="'cluster'") as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-6002"


# --- actions that do wrong ------------------------------------------------------------------------------


@action
async def raises() -> None:
    raise ValueError("no good")


@action
def raises_in_thread() -> None:
    raise ValueError("no good")


@action
async def exits() -> None:
    sys.exit(3)


@action
def exits_in_thread() -> None:
    sys.exit(3)


@action
def interrupts_in_thread() -> None:
    raise KeyboardInterrupt


@action
def cancels_in_thread() -> None:
    raise asyncio.CancelledError


class Ruin(BaseException):
    pass


@action
async def ruins() -> None:
    raise Ruin("all of it")


@action
async def ruins_in_a_group() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ruins)


@action
async def recurses(n: int = 0) -> int:
    return await recurses(n + 1)


@action
async def unprintable() -> None:
    class Bad(Exception):
        @override
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    raise Bad


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (raises, "no good"),
        (raises_in_thread, "no good"),
        (exits, "3"),
        (exits_in_thread, "3"),
        (interrupts_in_thread, "KeyboardInterrupt"),
        (cancels_in_thread, "CancelledError"),
        (ruins, "all of it"),
        (ruins_in_a_group, "sub-exception"),
        (recurses, "recursion"),
        (unprintable, "__str__ raised"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_an_action_that_raises_is_a_failed_step_and_not_a_dead_worker(world, wrong, text):
    async def main(context):
        return await context.step("k", wrong)

    async def well(context):
        return await context.step("k", double, n=1)

    async with world.app(wrong, double) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed, match=text):
            await run.result()
        entry = (await app.journal(run))["k"]
        assert await (await app.start(well)).result() == 2

    assert entry.status is StepStatus.FAILED
    assert entry.error is not None
    assert (entry.error.code, entry.error.kind) == ("TRV-4010", FailureKind.ERROR)
    assert entry.error.traceback is not None


async def test_an_action_that_cancels_itself_is_a_failed_step(world, anyio_backend_name):
    @action
    async def quits() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        if anyio_backend_name == "asyncio":
            raise asyncio.CancelledError
        raise RuntimeError("trio lets nobody raise its Cancelled")

    async def main(context):
        return await context.step("k", quits)

    async with world.app(quits) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed):
            await run.result()
        assert (await app.journal(run))["k"].status is StepStatus.FAILED


@action
async def gives_nan() -> float:
    return float("nan")


@action
def gives_an_object() -> Any:
    return object()


@action
async def gives_text() -> int:
    return "ten"  # type: ignore[return-value]  # that is what the test is about


@action
async def gives_a_cycle() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize("wrong", [gives_nan, gives_an_object, gives_text, gives_a_cycle], ids=lambda one: one.__name__)
async def test_an_output_that_cannot_be_stored_is_a_failed_step_that_is_not_tried_again(world, wrong):
    async def main(context):
        return await context.options(retry=Retry(max_attempts=3, initial=0)).step("k", wrong)

    async with world.app(wrong) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed) as failed:
            await run.result()
        entry = (await app.journal(run))["k"]

    assert failed.value.kind == FailureKind.SCHEMA
    assert (entry.status, entry.attempts) == (StepStatus.FAILED, 1)


async def test_an_input_that_does_not_fit_fails_the_step_without_a_call_or_a_retry(world):
    calls = []

    @action(retry=Retry(max_attempts=3, initial=0))
    async def typed(n: int) -> int:
        calls.append(n)
        return n

    async def main(context):
        return await context.step("k", typed, n="one")

    async with world.app(typed) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed) as failed:
            await run.result()
        entry = (await app.journal(run))["k"]

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.SCHEMA, "TRV-1003")
    assert (entry.attempts, calls) == (1, [])


async def test_an_input_that_is_not_json_is_raised_to_the_driver(world):
    async def main(context):
        return await context.step("k", double, n=object())

    async with world.app(double) as app:
        with pytest.raises(RunFailed) as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-1004"


async def test_a_driver_may_catch_a_failed_step_and_go_on(world):
    async def main(context):
        try:
            await context.step("bad", raises)
        except StepFailed as error:
            return [error.key, error.failure_code, await context.step("good", double, n=1)]
        return None

    async with world.app(raises, double) as app:
        assert await (await app.start(main)).result() == ["bad", "TRV-4010", 2]


async def test_a_failed_step_fails_again_from_the_journal_when_the_run_is_driven_again(world):
    calls = []

    @action
    async def fails() -> None:
        calls.append(1)
        raise ValueError("once and for all")

    async def main(context):
        try:
            await context.step("bad", fails)
        except StepFailed as error:
            await context.sleep(60)
            return str(error)
        return None

    async with world.app(fails, park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        world.clock.advance(60)
        assert await run.result() == "step 'bad' failed: once and for all"

    assert calls == [1]


@pytest.mark.parametrize("wrong", [SystemExit(1), Ruin("all of it")], ids=lambda error: type(error).__name__)
async def test_a_driver_that_raises_anything_is_a_failed_run_and_not_a_dead_worker(world, wrong):
    async def main(context):
        raise wrong

    async with world.app() as app:
        run = await app.start(main)
        with pytest.raises(RunFailed):
            await run.result()
        assert await run.status() is RunStatus.FAILED
        await app.heard(RunEnded, run)
        assert not [event for event in app.seen if isinstance(event, RunReleased)]


async def test_a_driver_whose_output_is_not_json_is_a_failed_run(world):
    async def main(context):
        return object()

    async with world.app() as app:
        with pytest.raises(RunFailed) as failed:
            await (await app.start(main)).result()

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.SCHEMA, "TRV-1004")


async def test_what_a_step_returned_does_not_change_with_the_object_of_the_action(world):
    kept: list[list[int]] = []

    @action
    async def keeps() -> list[int]:
        kept.append([1])
        return kept[0]

    async def main(context):
        found = await context.step("k", keeps)
        kept[0].append(2)
        return [found, await context.step("k", keeps)]

    async with world.app(keeps) as app:
        assert await (await app.start(main)).result() == [[1], [1]]


async def test_the_end_of_a_step_is_told_after_its_commit(world):
    async def main(context):
        return await context.step("k", double, n=1)

    async with world.app(double) as app:
        run = await app.start(main)
        told = await app.heard(StepEnded, run, key="k")
        assert (await app.journal(run))["k"].status is StepStatus.COMPLETED

    assert (told.status, told.attempts, told.name) == (StepStatus.COMPLETED, 1, "double")


def test_a_failure_that_the_store_does_not_take_either_ends_the_run(plain):
    async def main(context):
        return await context.step("\ud800", double, n=1)

    async def body():
        async with plain.app(double) as app:
            with pytest.raises(RunFailed, match="surrogate"):
                await (await app.start(main)).result()

    anyio.run(body)
