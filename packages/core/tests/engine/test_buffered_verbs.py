"""What a step starts, signals and publishes goes with its commit, or does not happen."""

import pytest

from trivium import Retry, StepContext
from trivium.errors import Conflict, RunCancelled, RunFailed
from trivium.ids import RunId
from trivium.model.events import RunParked
from trivium.model.states import FailureKind, RunStatus, StepStatus
from trivium.registry import action


async def child(context):
    return context.inputs


async def waits(context):
    return await context.wait("go")


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "def"])
async def test_a_run_that_a_step_starts_is_there_when_the_step_is(world, asynchronous):
    def work(context: StepContext) -> str:
        return context.start("script:child", 7)

    async def work_async(context: StepContext) -> str:
        return work(context)

    async def main(context):
        return await context.step("k", "begin")

    world.scripts.prepare(child, None, None)
    async with world.app(action(name="begin")(work_async if asynchronous else work)) as app:
        run = await app.start(main)
        started = await app.get(await run.result())
        assert await started.result() == 7
        stored = await started.run()

    assert (stored.parent_id, stored.cause.run_id, stored.cause.step_key) == (run.id, run.id, "k")


async def test_a_step_that_fails_starts_and_signals_nothing(world):
    @action(retry=Retry(max_attempts=2, initial=0))
    async def fails(context: StepContext, to: RunId) -> None:
        context.start("script:child", context.attempt)
        context.signal(to, "go", context.attempt)
        if context.attempt == 1:
            raise ValueError("not yet")

    async def main(context):
        await context.step("k", fails, to=context.inputs)

    world.scripts.prepare(child, None, None)
    async with world.app(fails) as app:
        other = await app.start(waits)
        run = await app.start(main, other.id)
        await run.result()
        assert await other.result() == 2
        (only,) = (await run.snapshot()).children

    assert only.inputs == "2"


async def test_a_step_signals_another_run_with_its_commit(world):
    @action
    def tell(context: StepContext, to: RunId) -> None:
        context.signal(to, "go", {"from": context.run_id})

    async def main(context):
        await context.step("k", tell, to=context.inputs)

    async with world.app(tell, park_after=0) as app:
        other = await app.start(waits)
        await app.heard(RunParked, other)
        run = await app.start(main, other.id)
        await run.result()
        assert await other.result() == {"from": run.id}


async def test_a_step_may_signal_the_run_that_it_starts(world):
    @action
    async def begin(context: StepContext) -> str:
        started = context.start("script:waits")
        context.signal(started, "go", 5)
        return started

    async def main(context):
        return await context.step("k", begin)

    world.scripts.prepare(waits, None, None)
    async with world.app(begin) as app:
        started = await app.get(await (await app.start(main)).result())
        assert await started.result() == 5


async def test_a_verb_that_is_refused_fails_the_step_and_drops_the_others(world):
    @action(retry=Retry(max_attempts=3, initial=0))
    async def wrong(context: StepContext) -> None:
        context.start("script:child", 1)
        context.signal(RunId("no-such-run"), "go")

    async def main(context):
        await context.step("k", wrong)

    world.scripts.prepare(child, None, None)
    async with world.app(wrong) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed, match="no-such-run") as failed:
            await run.result()
        snapshot = await run.snapshot()

    assert failed.value.kind == FailureKind.CONFLICT
    assert snapshot.children == ()
    assert [(entry.status, entry.attempts) for entry in snapshot.entries] == [(StepStatus.FAILED, 1)]


async def test_a_refused_verb_of_a_step_whose_end_was_fused_withdraws_the_end(world):
    @action
    async def wrong(context: StepContext) -> None:
        context.signal(RunId("no-such-run"), "go")

    async with world.app(wrong) as app:
        run = await app.start(world.fan({"only": ("wrong", {}, [])}, fused=True))
        with pytest.raises(RunFailed, match="no-such-run"):
            await run.result()
        assert (await app.journal(run))["only"].status is StepStatus.FAILED


async def test_starting_what_nobody_knows_fails_the_step(world):
    @action
    def begin(context: StepContext) -> str:
        return context.start("script:nobody")

    async def main(context):
        await context.step("k", begin)

    async with world.app(begin) as app:
        with pytest.raises(RunFailed, match="script:nobody"):
            await (await app.start(main)).result()


@pytest.mark.parametrize("where", ["driver", "step"])
async def test_publishing_is_refused_where_no_channels_are(world, where):
    @action
    async def say(context: StepContext) -> None:
        context.publish("news", {"n": 1})

    async def main(context):
        if where == "driver":
            await context.publish("news", {"n": 1})
        await context.step("k", say)

    async with world.app(say) as app:
        with pytest.raises(RunFailed, match="no channels") as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-6004"


async def test_a_run_that_a_step_started_belongs_to_the_tree(world):
    @action
    async def begin(context: StepContext) -> str:
        return context.start("script:waits")

    async def main(context):
        await context.step("k", begin)
        await context.wait("never")

    world.scripts.prepare(waits, None, None)
    async with world.app(begin) as app:
        run = await app.start(main)
        await app.until(lambda: len(app.engine.worker.driven) == 2)
        await run.cancel()
        with pytest.raises(RunCancelled):
            await run.result()
        (started,) = (await run.snapshot()).children
        assert (await (await app.get(started.id)).wait()).status is RunStatus.CANCELLED


async def test_a_context_that_outlives_its_step_takes_nothing_more(world):
    kept = []

    @action
    async def keeps(context: StepContext) -> None:
        kept.append(context)

    async def main(context):
        await context.step("k", keeps)
        return "done"

    world.scripts.prepare(child, None, None)
    async with world.app(keeps) as app:
        run = await app.start(main)
        assert await run.result() == "done"
        (context,) = kept
        with pytest.raises(Conflict, match="has ended"):
            context.start("script:child", 7)
        with pytest.raises(Conflict, match="has ended"):
            context.signal(run.id, "go")
