"""The effect ledger: effects that are never silently repeated."""

import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from trivium import Retry, StepContext
from trivium.errors import EffectUnderWay, NotDone, RunFailed
from trivium.model.effects import EffectStatus, OnUnknown
from trivium.model.events import RunParked, StepEnded, StepRetrying, StepStarted
from trivium.model.states import FailureKind, WaitReason
from trivium.registry import action


class Outside:
    """The world outside: what it was asked to do, and whether it says so afterwards."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.verified: object = NotDone()
        self.verifications = 0

    def pay(self) -> str:
        self.calls.append("pay")
        if self.error is not None:
            raise self.error
        return "receipt"

    async def pay_async(self) -> str:
        return self.pay()

    def verify(self) -> object:
        self.verifications += 1
        if isinstance(self.verified, Exception):
            raise self.verified
        return self.verified


@pytest.fixture
def outside() -> Outside:
    return Outside()


async def row(app: Any, scope: str, key: str) -> Any:
    return await anyio.to_thread.run_sync(app.storage.effect, scope, key)


def payer(outside: Outside, *, blocking: bool = False, **options: Any) -> Callable[..., Any]:
    """An action `payer` that pays once."""
    policy = options.pop("policy", {})
    if blocking:

        @action(name="payer", **options)
        def in_thread(context: StepContext) -> str:
            return context.once_blocking("pay", outside.pay, **policy)

        return in_thread

    @action(name="payer", **options)
    async def inline(context: StepContext) -> str:
        return await context.once("pay", outside.pay_async, **policy)

    return inline


async def pays(context):
    return await context.step("k", "payer")


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "def"])
async def test_an_effect_is_called_and_confirmed(world, outside, blocking):
    async with world.app(payer(outside, blocking=blocking)) as app:
        run = await app.start(pays)
        assert await run.result() == "receipt"
        found = await row(app, run.id, "pay")

    assert outside.calls == ["pay"]
    assert (found.status, found.output, found.step_key) == (EffectStatus.CONFIRMED, '"receipt"', "k")


async def test_a_confirmed_effect_is_not_called_again_when_the_step_is_tried_again(world, outside):
    @action(name="payer", retry=Retry(max_attempts=2, initial=0))
    async def fails_behind(context: StepContext) -> str:
        found: str = await context.once("pay", outside.pay)
        if context.attempt == 1:
            raise ValueError("behind the effect")
        return found

    async with world.app(fails_behind) as app:
        assert await (await app.start(pays)).result() == "receipt"

    assert outside.calls == ["pay"]


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "def"])
async def test_an_effect_that_certainly_did_not_happen_is_tried_again(world, outside, blocking):
    outside.error = NotDone("the line was busy")

    async with world.app(payer(outside, blocking=blocking, retry=Retry(max_attempts=2, initial=10))) as app:
        run = await app.start(pays)
        await app.heard(StepRetrying, run)
        assert await row(app, run.id, "pay") is None
        outside.error = None
        await app.idle(run)
        world.clock.advance(10)
        assert await run.result() == "receipt"

    assert outside.calls == ["pay", "pay"]


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "def"])
async def test_an_effect_that_raised_is_unknown_and_fails_without_a_retry(world, outside, blocking):
    outside.error = ValueError("connection reset")

    async with world.app(payer(outside, blocking=blocking, retry=Retry(max_attempts=3, initial=0))) as app:
        run = await app.start(pays)
        with pytest.raises(RunFailed, match="may or may not") as failed:
            await run.result()
        found = await row(app, run.id, "pay")

    assert (failed.value.kind, failed.value.failure_code) == (FailureKind.UNKNOWN, "TRV-4005")
    assert (outside.calls, found.status) == (["pay"], EffectStatus.UNKNOWN)


async def test_an_effect_that_raised_and_is_verified_to_have_happened_is_confirmed(world, outside):
    outside.error = ValueError("connection reset")
    outside.verified = "receipt, found later"

    async with world.app(payer(outside, policy={"verify": outside.verify})) as app:
        run = await app.start(pays)
        assert await run.result() == "receipt, found later"
        assert (await row(app, run.id, "pay")).status is EffectStatus.CONFIRMED

    assert outside.calls == ["pay"]


async def test_an_effect_that_raised_and_is_verified_not_to_have_happened_is_an_ordinary_failure(world, outside):
    outside.error = ValueError("connection reset")

    function = payer(outside, policy={"verify": outside.verify}, retry=Retry(max_attempts=2, initial=0))
    async with world.app(function) as app:
        run = await app.start(pays)
        with pytest.raises(RunFailed, match="connection reset"):
            await run.result()
        assert await row(app, run.id, "pay") is None

    assert outside.calls == ["pay", "pay"]


async def test_an_unknown_effect_may_be_asked_about(world, outside):
    outside.error = ValueError("connection reset")

    async with world.app(payer(outside, policy={"on_unknown": OnUnknown.ASK}), park_after=0) as app:
        run = await app.start(pays)
        told = await app.heard(RunParked, run)
        entry = (await app.journal(run))["k"]
        await run.signal("effect:pay", {"done": True, "output": "a person found the receipt"})
        assert await run.result() == "a person found the receipt"
        notes = await app.notes(run)

    assert (told.reason, entry.wait_reason) == (WaitReason.SIGNAL, WaitReason.SIGNAL)
    assert outside.calls == ["pay"]
    assert [note for note in notes if "effect:pay" in note]


async def test_a_person_may_say_that_it_did_not_happen(world, outside):
    outside.error = ValueError("connection reset")

    async with world.app(payer(outside, policy={"on_unknown": OnUnknown.ASK})) as app:
        run = await app.start(pays)
        await app.idle(run)
        outside.error = None
        await run.signal("effect:pay", "what?")
        await run.signal("effect:pay", {"done": False})
        assert await run.result() == "receipt"
        entry = (await app.journal(run))["k"]

    assert outside.calls == ["pay", "pay"]
    assert entry.attempts == 1


async def test_an_effect_in_the_middle_of_which_the_attempt_timed_out_is_not_repeated(world, outside):
    @action(name="payer", timeout=30, retry=Retry(max_attempts=3, initial=0))
    async def slow(context: StepContext) -> str:
        async def call() -> str:
            outside.pay()
            await anyio.sleep_forever()
            return "never"

        found: str = await context.once("pay", call)
        return found

    async with world.app(slow) as app:
        run = await app.start(pays)
        await app.heard(StepStarted, run)
        await app.until(lambda: bool(outside.calls))
        await world.clock.sleepers()
        world.clock.advance(30)
        with pytest.raises(RunFailed) as failed:
            await run.result()

    assert (failed.value.kind, outside.calls) == (FailureKind.UNKNOWN, ["pay"])


async def test_an_effect_whose_worker_died_is_verified_by_the_next_one(world, outside):
    outside.verified = "found by the next"
    forever = anyio.Event()

    @action(name="payer")
    async def slow(context: StepContext) -> str:
        async def call() -> str:
            outside.pay()
            await forever.wait()
            return "never"

        found: str = await context.once("pay", call, verify=outside.verify)
        return found

    async with world.app(slow, shutdown_grace=0) as first:
        run = await first.start(pays)
        await first.until(lambda: bool(outside.calls))
        (worker,) = await first.app.workers()
        await anyio.to_thread.run_sync(first.storage.bury, worker.id, worker.beat)
        async with world.app(slow) as second:
            assert await (await second.get(run.id)).result() == "found by the next"

    assert (outside.calls, outside.verifications) == (["pay"], 1)


async def test_a_shared_scope_has_one_effect_for_all_runs(world, outside):
    async with world.app(payer(outside, policy={"scope": "invoice 7"})) as app:
        for _ in range(3):
            assert await (await app.start(pays)).result() == "receipt"
        assert (await row(app, "invoice 7", "pay")).status is EffectStatus.CONFIRMED

    assert outside.calls == ["pay"]


async def test_runs_of_their_own_scope_have_an_effect_each(world, outside):
    async with world.app(payer(outside)) as app:
        for _ in range(2):
            assert await (await app.start(pays)).result() == "receipt"

    assert outside.calls == ["pay", "pay"]


async def test_an_effect_that_is_under_way_elsewhere_is_not_called_a_second_time(world, outside):
    release = anyio.Event()

    @action(name="payer")
    async def slow(context: StepContext) -> str:
        async def call() -> str:
            await release.wait()
            return outside.pay()

        found: str = await context.once("pay", call, scope="invoice 7")
        return found

    async with world.app(slow) as app:
        first = await app.start(pays)
        await app.heard(StepStarted, first)
        second = await app.start(pays)
        with pytest.raises(RunFailed) as failed:
            await second.result()
        release.set()
        assert await first.result() == "receipt"

    assert (failed.value.failure_code, outside.calls) == (EffectUnderWay.code, ["pay"])


async def test_one_effect_called_twice_at_once_in_one_run_is_called_once(world, outside):
    async def main(context):
        async def slow():
            await context.sleep(0)
            return outside.pay()

        both = await context.gather(
            lambda: context.once("pay", slow), lambda: context.once("pay", slow), return_errors=True
        )
        return sorted(type(one).__name__ for one in both)

    async with world.app() as app:
        assert await (await app.start(main)).result() == ["EffectUnderWay", "str"]

    assert outside.calls == ["pay"]


async def test_a_driver_s_effect_is_called_once_however_often_it_is_driven(world, outside):
    async def main(context):
        found = await context.once("pay", outside.pay)
        await context.wait("go")
        return [found, await context.once("pay", outside.pay)]

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("go")
        assert await run.result() == ["receipt", "receipt"]

    assert outside.calls == ["pay"]


async def test_one_key_in_two_scopes_is_two_effects(world, outside):
    async def main(context):
        first = await context.once("pay", lambda: "own")
        second = await context.once("pay", lambda: "shared", scope="invoice 7")
        return [first, second]

    async with world.app() as app:
        assert await (await app.start(main)).result() == ["own", "shared"]
        assert (await row(app, "invoice 7", "pay")).output == '"shared"'


async def test_a_driver_s_unknown_effect_may_be_asked_about_and_parks_meanwhile(world, outside):
    outside.error = ValueError("connection reset")

    async def main(context):
        return await context.once("pay", outside.pay, on_unknown=OnUnknown.ASK)

    async with world.app(park_after=0) as app:
        run = await app.start(main)
        await app.heard(RunParked, run)
        await run.signal("effect:pay", {"done": True, "output": 5})
        assert await run.result() == 5

    assert outside.calls == ["pay"]


async def test_an_effect_whose_output_is_not_json_fails_and_is_not_repeated(world, outside):
    async def main(context):
        return await context.once("pay", lambda: outside.pay() and object())

    async with world.app() as app:
        run = await app.start(main)
        with pytest.raises(RunFailed) as failed:
            await run.result()
        assert (await row(app, run.id, "pay")).status is not EffectStatus.CONFIRMED

    assert (failed.value.kind, outside.calls) == (FailureKind.SCHEMA, ["pay"])


async def test_an_effect_that_a_thread_makes_while_the_worker_stops_is_confirmed(world, outside):
    began, release = threading.Event(), threading.Event()

    @action(name="payer")
    def slow(context: StepContext) -> str:
        def call() -> str:
            began.set()
            release.wait(30)
            return outside.pay()

        return context.once_blocking("pay", call)

    async with world.app(slow) as first:
        run = await first.start(pays)
        await anyio.to_thread.run_sync(began.wait, 5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.app.stop)
            await first.until(lambda: first.engine.worker.driven[run.id].stopping)
            release.set()
        assert (await row(first, run.id, "pay")).status is EffectStatus.CONFIRMED
    async with world.app(slow) as second:
        assert await (await second.get(run.id)).result() == "receipt"

    assert outside.calls == ["pay"]


async def test_a_thread_that_was_given_up_and_asks_for_an_effect_at_the_end_of_its_run_disturbs_nobody(
    world, outside, held
):
    began, release, left = threading.Event(), threading.Event(), threading.Event()

    @action(name="payer", timeout=30, overlap="allow")
    def slow(context: StepContext) -> str:
        began.set()
        release.wait(30)
        try:
            return context.once_blocking("pay", outside.pay)
        finally:
            left.set()

    async def main(context):
        try:
            await context.step("k", slow)
        except Exception:
            held.hold()
        return "done"

    async with world.app(slow) as app:
        run = await app.start(main)
        await anyio.to_thread.run_sync(began.wait, 5)
        await world.clock.sleepers()
        world.clock.advance(30)
        await held.reached()
        release.set()
        await anyio.to_thread.run_sync(left.wait, 5)
        held.resume()
        assert await run.result() == "done"

    assert outside.calls == []


async def test_an_effect_of_a_thread_that_was_cut_off_by_a_timeout_is_still_confirmed_when_it_returns(world, outside):
    began, release, left = threading.Event(), threading.Event(), threading.Event()

    @action(name="payer", timeout=30, overlap="allow")
    def slow(context: StepContext) -> str:
        def call() -> str:
            began.set()
            release.wait(30)
            return outside.pay()

        try:
            return context.once_blocking("pay", call)
        finally:
            left.set()

    async def main(context):
        try:
            await context.step("k", slow)
        except Exception:
            return await context.wait("go")

    async with world.app(slow) as app:
        run = await app.start(main)
        await anyio.to_thread.run_sync(began.wait, 5)
        await world.clock.sleepers()
        world.clock.advance(30)
        await app.heard(StepEnded, run)
        release.set()
        await anyio.to_thread.run_sync(left.wait, 5)
        await run.signal("go")
        await run.result()
        assert (await row(app, run.id, "pay")).status is EffectStatus.CONFIRMED
