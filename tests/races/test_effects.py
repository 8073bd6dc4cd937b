"""An effect is called by one, and never again where nobody knows whether it happened."""

import pytest

from trivium import StepContext
from trivium.json import JsonText
from trivium.model.commit import Applied, Refused, RunUnit
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.states import RunStatus
from trivium.testing.faults import pause_at

on_sqlite = pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)


THEIRS = JsonText('"theirs"')


def change(status: EffectStatus, output: JsonText | None = None) -> EffectChange:
    return EffectChange(scope="money", key="pay", status=status, step_key="k", output=output, takes_over=True)


def test_of_two_runs_that_intend_one_effect_one_may_call_it(hand, scripts):
    target = scripts()(nothing)
    hand.start(target)
    hand.start(target)
    one, two = hand.claim()

    first, second = hand.commit(
        *(RunUnit(run_id=run.id, epoch=run.epoch, effects=[change(EffectStatus.INTENDED)]) for run in (one, two))
    ).results

    assert isinstance(first, Applied)
    assert isinstance(second, Refused)
    assert second.effect is not None
    assert second.effect.run_id == one.id


def test_of_two_runs_that_intend_one_effect_one_calls_it(seat, hand, scripts, gate):
    called = []

    def pay(context_name):
        def call():
            called.append(context_name)
            return context_name

        return call

    @scripts()
    async def pays_slowly(context):
        return await context.step("pay", slow)

    def slow(context: StepContext) -> str:
        def call() -> str:
            called.append("slow")
            gate.pass_through()
            return "paid"

        return context.once_blocking("pay", call, scope="money")

    @scripts()
    async def pays(context):
        try:
            return await context.once("pay", pay("late"), scope="money")
        except Exception as error:
            return type(error).__name__

    seat = seat(slow)
    first = seat.start(pays_slowly)
    gate.wait_reached()
    during = seat.end(seat.start(pays)).output
    gate.open()
    paid = seat.end(first).output
    afterwards = seat.end(seat.start(pays)).output

    assert called == ["slow"]
    assert during == '"EffectUnderWay"'
    assert paid == afterwards == '"paid"'


@on_sqlite
def test_an_effect_that_its_owner_died_in_is_verified_before_anything_is_called(seat, hand, process, traces, mark):
    run_id = hand.start("script:marks_once", {"file": str(traces)})
    process("kill@engine.after_commit#2").wait_killed()
    intended = hand.storage.effect(run_id, "pay")

    seat = seat(mark)
    end = seat.end(run_id)

    assert intended.status is EffectStatus.INTENDED
    assert end.output == '"called"'
    assert traces.read_text().split() == ["verified", "called"]


def test_what_two_runs_find_out_about_one_effect_at_once_is_kept_once(seat, hand, scripts):
    """Both verify an effect that was left unknown; the other one writes it down first, and this one goes on."""

    @scripts()
    async def verifies(context):
        def verify() -> str:
            hand.one(RunUnit(run_id=other.id, epoch=other.epoch, effects=[change(EffectStatus.CONFIRMED, THEIRS)]))
            return "mine"

        def call() -> None:
            raise AssertionError("verified before")

        found = await context.once("pay", call, verify=verify, scope="money")
        return [found, await context.wait("go")]

    hand.start(scripts()(nothing))
    (other,) = hand.claim()
    hand.one(RunUnit(run_id=other.id, epoch=other.epoch, effects=[change(EffectStatus.INTENDED)]))
    hand.one(RunUnit(run_id=other.id, epoch=other.epoch, effects=[change(EffectStatus.UNKNOWN)]))
    seat = seat()
    run_id = seat.start(verifies)
    hand.signal(run_id, "go", 1)

    assert seat.end(run_id).status is RunStatus.COMPLETED
    assert hand.storage.effect("money", "pay").output == '"theirs"'


def test_an_effect_that_was_confirmed_between_two_looks_is_not_unknown(seat, hand, scripts):
    """The row that refused the intent was under way; before anybody asks for its run, that has ended."""

    @scripts()
    async def pays(context):
        def call() -> None:
            raise AssertionError("somebody else called it")

        return await context.once("pay", call, scope="money")

    hand.start(scripts()(nothing))
    (other,) = hand.claim()
    hand.one(RunUnit(run_id=other.id, epoch=other.epoch, effects=[change(EffectStatus.INTENDED)]))
    seat = seat()
    with pause_at("engine.after_commit", 2) as refused:
        run_id = seat.start(pays)
        refused.wait_reached()
        hand.one(RunUnit(run_id=other.id, epoch=other.epoch, effects=[change(EffectStatus.CONFIRMED, THEIRS)]))
        hand.finish(other)
        refused.resume()

    assert seat.end(run_id).output == '"theirs"'


async def nothing(context):
    return None
