"""Child runs, seen from their parents."""

import anyio
import pytest

from trivium.errors import RunCancelled, RunFailed, StepFailed
from trivium.model.events import RunEnded, RunParked
from trivium.model.journal import EntryKind
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.registry import action


async def child(context):
    return {"got": context.inputs}


async def failing(context):
    raise ValueError("no good")


async def waiting(context):
    return await context.wait("go")


async def test_the_result_of_a_child_is_what_it_returned(world):
    async def main(context):
        handle = await context.start(child, 7)
        return await handle.result()

    async with world.app() as app:
        run = await app.start(main)
        assert await run.result() == {"got": 7}
        entry = (await app.journal(run))["child:script:child"]
        stored = await (await app.get(entry.child_id)).run()

    assert (entry.kind, entry.status) == (EntryKind.CHILD, StepStatus.COMPLETED)
    assert (stored.parent_id, stored.root_id, stored.cause.run_id) == (run.id, run.id, run.id)
    assert stored.cause.step_key == "child:script:child"


async def test_children_run_beside_each_other_and_their_results_are_gathered_in_order(world):
    started = []

    async def meets(context):
        started.append(context.inputs)
        await context.wait("go")
        return context.inputs

    async def main(context):
        handles = [await context.start(meets, n) for n in range(3)]
        return await context.gather(*(handle.result for handle in handles))

    async with world.app() as app:
        run = await app.start(main)
        await app.until(lambda: len(started) == 3)
        for one in (await run.snapshot()).children:
            await (await app.get(one.id)).signal("go")
        assert await run.result() == [0, 1, 2]


async def test_a_child_inherits_queue_and_priority_unless_told_otherwise(world):
    async def main(context):
        await context.start(child, 1)
        await context.options(queue="slow", priority=9).start(child, 2)

    async with world.app(worker=False) as client:
        run = await client.start(main, queue="fast", priority=5)
    async with world.app(queues=frozenset({"fast"})) as app:
        run = await app.get(run.id)
        await run.result()
        children = (await run.snapshot()).children

    assert [(one.queue, one.priority) for one in children] == [("fast", 5), ("slow", 9)]


async def test_the_failure_of_a_child_is_raised_as_a_failed_step(world):
    caught = []

    async def main(context):
        handle = await context.start(failing)
        try:
            await handle.result()
        except StepFailed as error:
            caught.append(error)
        return "went on"

    async with world.app() as app:
        run = await app.start(main)
        assert await run.result() == "went on"
        entry = (await app.journal(run))["child:script:failing"]

    assert [(error.key, error.reason, error.failure_code) for error in caught] == [
        ("child:script:failing", "no good", "TRV-4010")
    ]
    assert entry.status is StepStatus.FAILED


async def test_a_cancelled_child_is_a_failed_step_of_its_parent(world):
    async def main(context):
        handle = await context.start(waiting)
        await handle.result()

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        (below,) = (await run.snapshot()).children
        await (await app.get(below.id)).cancel("not needed")
        with pytest.raises(RunFailed, match="not needed") as failed:
            await run.result()
        entry = (await app.journal(run))["child:script:waiting"]

    assert failed.value.kind == "cancelled"
    assert entry.status is StepStatus.CANCELLED


async def test_a_parent_parks_while_its_child_waits_and_goes_on_with_its_end(world):
    async def main(context):
        handle = await context.start(waiting)
        return await handle.result()

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        told = await app.heard(RunParked, run)
        (below,) = (await run.snapshot()).children
        await app.until(lambda: not app.engine.worker.driven)
        await (await app.get(below.id)).signal("go", 5)
        assert await run.result() == 5

    assert told.reason is WaitReason.CHILD


async def test_a_result_may_be_asked_for_twice(world):
    async def main(context):
        handle = await context.start(child, 1)
        return [await handle.result(), await handle.result()]

    async with world.app() as app:
        assert await (await app.start(main)).result() == [{"got": 1}, {"got": 1}]


async def test_a_result_may_be_asked_for_twice_at_once(world):
    async def main(context):
        handle = await context.start(waiting)
        return await context.gather(handle.result, handle.result)

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        (below,) = (await run.snapshot()).children
        await (await app.get(below.id)).signal("go", 1)
        assert await run.result() == [1, 1]


async def test_two_children_of_one_target_and_input_are_two_runs(world):
    async def main(context):
        first, second = await context.start(child, 1), await context.start(child, 1)
        await context.sleep(10)
        await first.result()
        await second.result()
        return first.id != second.id

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        world.clock.advance(10)
        assert await run.result() is True
        assert len((await run.snapshot()).children) == 2


async def test_a_completed_parent_leaves_its_children_alone(world):
    async def main(context):
        await context.start(waiting)
        return "done"

    async with world.app() as app:
        run = await app.start(main)
        assert await run.result() == "done"
        (below,) = (await run.snapshot()).children
        left = await app.get(below.id)
        await left.signal("go", 1)
        assert await left.result() == 1
        assert (await app.journal(run))["child:script:waiting"].status is StepStatus.WAITING


async def test_a_failed_parent_cancels_its_children(world):
    async def main(context):
        await context.start(waiting)
        raise ValueError("no good")

    async with world.app() as app:
        run = await app.start(main)
        with pytest.raises(RunFailed):
            await run.result()
        (below,) = (await run.snapshot()).children
        with pytest.raises(RunCancelled, match="failed"):
            await (await app.get(below.id)).result()


async def test_a_cancel_takes_the_whole_tree(world):
    async def middle(context):
        return await (await context.start(waiting)).result()

    async def main(context):
        return await (await context.start(middle)).result()

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        await app.until(lambda: len(app.engine.worker.driven) == 3)
        await run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            await run.result()
        (below,) = (await run.snapshot()).children
        (lowest,) = (await (await app.get(below.id)).snapshot()).children
        for one in (below, lowest):
            assert (await (await app.get(one.id)).wait()).status is RunStatus.CANCELLED


async def test_a_retried_tree_retries_the_same_children_and_repeats_no_finished_step(world):
    calls = []
    broken = [True]

    @action
    async def note(word: str) -> str:
        calls.append(word)
        return word

    async def fragile(context):
        await context.step("before", note, word="child")
        if broken:
            raise ValueError("no good")
        return "child is well"

    async def main(context):
        await context.step("before", note, word="parent")
        return await (await context.start(fragile)).result()

    async with world.app(note) as app:
        run = await app.start(main)
        with pytest.raises(RunFailed):
            await run.result()
        (first,) = (await run.snapshot()).children
        broken.clear()
        await run.retry()
        assert await run.result() == "child is well"
        (second,) = (await run.snapshot()).children

    assert calls == ["parent", "child"]
    assert (second.id, second.generation, second.status) == (first.id, 1, RunStatus.COMPLETED)


async def test_a_retried_parent_starts_no_second_child_for_one_that_completed(world):
    broken = [True]

    async def main(context):
        found = await (await context.start(child, 1)).result()
        if broken:
            raise ValueError("no good")
        return found

    async with world.app() as app:
        run = await app.start(main)
        with pytest.raises(RunFailed):
            await run.result()
        broken.clear()
        await run.retry()
        assert await run.result() == {"got": 1}
        assert len((await run.snapshot()).children) == 1


async def test_the_end_of_a_child_is_not_lost_when_the_parent_was_parked_elsewhere(world):
    async def main(context):
        return await (await context.start(waiting)).result()

    async with world.app(park_after=0) as first:
        run = await first.start(main)
        await first.heard(RunParked, run)
        (below,) = (await run.snapshot()).children
        await first.until(lambda: not first.engine.worker.driven)
    async with world.app(only_started=True) as second:
        handle = await second.get(below.id)
        await handle.signal("go", 3)
        await second.app.drive(below.id)
        assert await handle.result() == 3
        await second.heard(RunEnded, run)
        assert await (await second.get(run.id)).result() == 3


async def test_starting_what_nobody_knows_is_raised_to_the_driver(world):
    async def main(context):
        await context.start("script:nobody")

    async with world.app() as app:
        with pytest.raises(RunFailed, match="script:nobody") as failed:
            await (await app.start(main)).result()

    assert failed.value.failure_code == "TRV-2001"


async def test_a_parent_that_waits_does_not_starve_its_child_of_the_only_slot(world):
    async def main(context):
        handles = [await context.start(child, n) for n in range(5)]
        return [await handle.result() for handle in handles]

    async with world.app(concurrency=1) as app:
        with anyio.fail_after(30):
            assert await (await app.start(main)).result() == [{"got": n} for n in range(5)]


async def test_the_results_of_many_children_come_in_order_and_with_one_commit_of_the_parent(world):
    async def main(context):
        handles = [await context.start(waiting, n) for n in range(3)]
        return await context.results(*handles)

    async with world.app() as app:
        run = await app.start(main)
        await app.idle(run)
        world.clock.advance(1.0)
        await app.heard(RunParked, run)
        children = (await run.snapshot()).children
        for number in (2, 0, 1):
            await (await app.get(children[number].id)).signal("go", number)
        assert await run.result() == [0, 1, 2]
        stored = await run.run()

    assert stored.epoch == 2  # claimed when it was started, and once more when the last child had ended


async def test_of_many_children_the_first_failure_is_raised_when_all_have_ended(world):
    async def main(context):
        handles = [await context.start(failing), await context.start(waiting), await context.start(child, 3)]
        with pytest.raises(StepFailed, match="no good"):
            await context.results(*handles)
        found = await context.results(*handles, return_errors=True)
        return [value if isinstance(value, dict) else str(value) for value in found]

    async with world.app() as app:
        run = await app.start(main)
        await app.heard(RunEnded, nth=2)
        await (await app.get((await run.snapshot()).children[1].id)).signal("go", {"last": True})
        values = await run.result()

    assert "no good" in values[0]
    assert values[1:] == [{"last": True}, {"got": 3}]
