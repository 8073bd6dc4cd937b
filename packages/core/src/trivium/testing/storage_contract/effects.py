"""Contract: the ledger of effects."""

from __future__ import annotations

import pytest

from trivium.errors import Conflict, NotFound
from trivium.ids import new_run_id
from trivium.json import JsonText
from trivium.model.commit import NewSignal, Refused, RunUnit, Stale
from trivium.model.effects import Effect, EffectChange, EffectStatus
from trivium.model.runs import Run
from trivium.testing.storage_contract.bench import Bench, applied, entry, refused, text

INTENDED, CONFIRMED, UNKNOWN = EffectStatus.INTENDED, EffectStatus.CONFIRMED, EffectStatus.UNKNOWN


def change(status: EffectStatus | None, *, takes_over: bool = False, output: JsonText | None = None) -> EffectChange:
    return EffectChange(
        scope="orders", key="charge", status=status, step_key="pay", output=output, takes_over=takes_over
    )


def two_runs(bench: Bench) -> tuple[Run, Run]:
    bench.starts(2)
    one, two = bench.claim()
    return one.run, two.run


class Effects:
    def test_an_intention_stands_in_the_ledger(self, bench: Bench) -> None:
        run = bench.running()

        applied(bench.effect(run, change(INTENDED)))

        assert bench.storage.effect("orders", "charge") == Effect(
            scope="orders",
            key="charge",
            status=INTENDED,
            run_id=run.id,
            epoch=run.epoch,
            step_key="pay",
            changed_at=bench.clock.now(),
        )

    def test_a_confirmation_keeps_the_output(self, bench: Bench) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))
        bench.clock.advance(1)

        applied(bench.effect(run, change(CONFIRMED, output=text({"id": 1}))))

        effect = bench.storage.effect("orders", "charge")
        assert effect is not None
        assert (effect.status, effect.output, effect.changed_at) == (CONFIRMED, text({"id": 1}), bench.clock.now())

    def test_a_removed_effect_may_be_intended_anew(self, bench: Bench) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))

        applied(bench.effect(run, change(None)))

        assert bench.storage.effect("orders", "charge") is None
        applied(bench.effect(run, change(INTENDED)))

    def test_an_intention_may_be_repeated_under_the_same_epoch(self, bench: Bench) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))

        applied(bench.effect(run, change(INTENDED)))

    def test_an_intention_of_an_epoch_before_stands(self, bench: Bench) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))
        bench.release(run)
        again = bench.claim_one()

        result = bench.effect(again, change(INTENDED))

        assert isinstance(result, Refused)
        assert isinstance(result.error, Conflict)
        assert result.effect == bench.storage.effect("orders", "charge")
        assert result.effect is not None
        assert result.effect.epoch == run.epoch

    @pytest.mark.parametrize("status", [CONFIRMED, UNKNOWN])
    def test_an_effect_that_went_further_is_not_intended_again(self, bench: Bench, status: EffectStatus) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))
        bench.effect(run, change(status))

        result = bench.effect(run, change(INTENDED))

        assert isinstance(result, Refused)
        assert result.effect is not None
        assert result.effect.status is status

    def test_a_run_settles_what_it_left_under_an_epoch_before(self, bench: Bench) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))
        bench.release(run)
        again = bench.claim_one()

        applied(bench.effect(again, change(UNKNOWN)))

        effect = bench.storage.effect("orders", "charge")
        assert effect is not None
        assert (effect.status, effect.epoch) == (UNKNOWN, again.epoch)

    def test_another_runs_effect_is_not_touched(self, bench: Bench) -> None:
        one, two = two_runs(bench)
        bench.effect(one, change(INTENDED))
        before = bench.storage.effect("orders", "charge")

        for status in (INTENDED, CONFIRMED, UNKNOWN, None):
            refused(bench.effect(two, change(status)), Conflict)

        assert bench.storage.effect("orders", "charge") == before

    @pytest.mark.parametrize("left", [INTENDED, UNKNOWN])
    def test_another_runs_open_effect_may_be_taken_over(self, bench: Bench, left: EffectStatus) -> None:
        one, two = two_runs(bench)
        bench.effect(one, change(INTENDED))
        bench.effect(one, change(left))

        applied(bench.effect(two, change(CONFIRMED, takes_over=True)))

        effect = bench.storage.effect("orders", "charge")
        assert effect is not None
        assert (effect.status, effect.run_id) == (CONFIRMED, two.id)

    def test_another_runs_confirmed_effect_is_not_taken_over(self, bench: Bench) -> None:
        one, two = two_runs(bench)
        bench.effect(one, change(INTENDED))
        bench.effect(one, change(CONFIRMED))

        refused(bench.effect(two, change(UNKNOWN, takes_over=True)), Conflict)

    @pytest.mark.parametrize("status", [CONFIRMED, UNKNOWN, None], ids=str)
    def test_what_is_not_there_is_not_changed(self, bench: Bench, status: EffectStatus | None) -> None:
        run = bench.running()

        result = bench.effect(run, change(status))

        assert isinstance(result, Refused)
        assert result.effect is None

    def test_effects_of_one_unit_are_applied_in_order(self, bench: Bench) -> None:
        run = bench.running()

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, effects=(change(INTENDED), change(CONFIRMED)))))

        effect = bench.storage.effect("orders", "charge")
        assert effect is not None
        assert effect.status is CONFIRMED

    def test_a_refused_effect_takes_its_unit_with_it(self, bench: Bench) -> None:
        one, two = two_runs(bench)
        bench.effect(one, change(INTENDED))
        mine = EffectChange(scope="mine", key="k", status=INTENDED, step_key="s")

        unit = RunUnit(run_id=two.id, epoch=1, entries=(entry(0),), effects=(mine, change(INTENDED)))
        refused(bench.one(unit), Conflict)

        assert bench.storage.effect("mine", "k") is None
        assert list(bench.storage.entries(two.id)) == []

    def test_a_refused_unit_gives_removed_effects_back(self, bench: Bench) -> None:
        run = bench.running()
        bench.effect(run, change(INTENDED))
        before = bench.storage.effect("orders", "charge")

        other = EffectChange(scope="none", key="none", status=None, step_key="s")
        refused(bench.one(RunUnit(run_id=run.id, epoch=1, effects=(change(None), other))), Conflict)

        assert bench.storage.effect("orders", "charge") == before

    def test_a_unit_with_a_refused_signal_changes_no_effect(self, bench: Bench) -> None:
        run = bench.running()

        unit = RunUnit(run_id=run.id, epoch=1, signals=(NewSignal(new_run_id(), "x"),), effects=(change(INTENDED),))
        refused(bench.one(unit), NotFound)

        assert bench.storage.effect("orders", "charge") is None

    def test_a_zombie_changes_no_effect(self, bench: Bench) -> None:
        zombie = bench.worker()
        run = bench.running(worker=zombie)
        bench.bury(zombie)

        assert bench.effect(run, change(INTENDED)) == Stale()
        assert bench.storage.effect("orders", "charge") is None

    def test_scopes_and_keys_are_apart(self, bench: Bench) -> None:
        one, two = two_runs(bench)

        for run in (one, two):
            applied(bench.effect(run, EffectChange(scope=run.id, key="same", status=INTENDED, step_key="s")))

        assert bench.storage.effect(one.id, "same") != bench.storage.effect(two.id, "same")
