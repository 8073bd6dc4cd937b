"""Contract: signals, the inbox, and parking against it."""

from __future__ import annotations

import pytest

from trivium.errors import NotFound, RunIsTerminal
from trivium.ids import RunId, new_run_id
from trivium.model.commit import Applied, End, NewSignal, Park, Release, RunUnit, SignalUnit, Woken
from trivium.model.inbox import Item, ItemKind
from trivium.model.runs import Cause, Limit
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.storage_contract.bench import (
    CANCELLED,
    COMPLETED,
    FAILED,
    Bench,
    applied,
    entry,
    new_run,
    refused,
    text,
)


def names(bench: Bench, run_id: RunId) -> list[str]:
    return [item.name for item in bench.storage.inbox(run_id)[1]]


class Signals:
    def test_a_signal_is_an_item_of_the_inbox(self, bench: Bench) -> None:
        run = bench.running()
        cause = Cause(new_run_id(), "step")

        result = bench.one(SignalUnit(NewSignal(run.id, "paid", text({"sum": 3}), cause=cause)))

        assert applied(result).wake_seq == 1
        wake_seq, items = bench.storage.inbox(run.id)
        assert wake_seq == 1
        assert list(items) == [
            Item(
                seq=1,
                run_id=run.id,
                kind=ItemKind.SIGNAL,
                name="paid",
                payload=text({"sum": 3}),
                cause=cause,
                created_at=bench.clock.now(),
            )
        ]

    def test_items_keep_the_order_of_their_commits_and_the_numbers_that_they_made(self, bench: Bench) -> None:
        run = bench.running()
        for name in ("a", "b", "a"):
            bench.signal(run.id, name)

        wake_seq, items = bench.storage.inbox(run.id)

        assert [(item.seq, item.name) for item in items] == [(1, "a"), (2, "b"), (3, "a")]
        assert wake_seq == 3

    def test_a_signal_before_the_first_claim_is_buffered(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.signal(run_id, "early")

        (claimed,) = bench.claim()

        assert [item.name for item in claimed.inbox] == ["early"]
        assert claimed.run.wake_seq == 1

    def test_a_signal_does_not_move_an_owned_run(self, bench: Bench) -> None:
        run = bench.running()

        bench.signal(run.id)

        now = bench.run(run.id)
        assert (now.status, now.owner, now.epoch, now.wake_seq) == (RunStatus.RUNNING, bench.me, run.epoch, 1)
        assert bench.storage.owned(bench.me) == {run.id: (run.epoch, 1)}

    def test_a_signal_wakes_a_parked_run(self, bench: Bench) -> None:
        run = bench.parked(due_at=bench.in_seconds(60))

        bench.signal(run.id)

        now = bench.run(run.id)
        assert (now.status, now.wait_reason, now.due_at, now.epoch) == (RunStatus.QUEUED, None, None, run.epoch)

    def test_a_signal_does_not_hurry_a_run_that_waits_for_its_first_time(self, bench: Bench) -> None:
        run_id = bench.start(new_run(not_before=bench.in_seconds(60)))

        bench.signal(run_id)

        assert bench.status(run_id) is RunStatus.WAITING
        assert names(bench, run_id) == ["go"]

    def test_a_signal_does_not_hurry_a_run_that_waits_for_its_first_slot(self, bench: Bench) -> None:
        bench.running(new_run(limits=[Limit("k", 1)]))
        run_id = bench.start(new_run(limits=[Limit("k", 1)]))
        bench.claim()

        bench.signal(run_id)

        run = bench.run(run_id)
        assert (run.status, run.wait_reason) == (RunStatus.WAITING, WaitReason.SLOT)

    def test_a_signal_to_nobody_is_refused(self, bench: Bench) -> None:
        refused(bench.one(SignalUnit(NewSignal(new_run_id(), "go"))), NotFound)

    def test_a_signal_to_a_run_that_has_ended_is_refused(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run)

        error = refused(bench.one(SignalUnit(NewSignal(run.id, "go"))), RunIsTerminal)

        assert (error.run_id, error.status) == (run.id, "completed")

    def test_a_signal_with_an_id_is_taken_once(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id, id="x")

        again = bench.signal(run.id, id="x")

        assert again.wake_seq == 1
        assert names(bench, run.id) == ["go"]

    def test_a_signal_with_an_id_is_taken_once_in_one_batch(self, bench: Bench) -> None:
        run = bench.running()
        unit = SignalUnit(NewSignal(run.id, "go", id="x"))

        results = bench.commit(unit, unit).results

        assert [type(result) for result in results] == [Applied, Applied]
        assert names(bench, run.id) == ["go"]

    def test_an_id_is_known_after_its_signal_was_consumed_and_after_the_end(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id, id="x")
        bench.one(RunUnit(run_id=run.id, epoch=1, consumed=(1,)))
        bench.signal(run.id, id="x")
        assert names(bench, run.id) == []
        bench.end(run)

        bench.signal(run.id, id="x")

        assert names(bench, run.id) == []

    def test_an_id_belongs_to_its_run(self, bench: Bench) -> None:
        one, two = bench.starts(2)
        bench.signal(one, id="x")

        bench.signal(two, id="x")

        assert names(bench, two) == ["go"]

    def test_consumed_items_are_gone_and_the_others_stay(self, bench: Bench) -> None:
        run = bench.running()
        for name in ("a", "b", "c"):
            bench.signal(run.id, name)

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, entries=(entry(0),), consumed=(2, 99))))

        assert names(bench, run.id) == ["a", "c"]
        assert bench.run(run.id).wake_seq == 3

    def test_a_new_item_after_all_were_consumed_gets_a_new_number(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)
        bench.one(RunUnit(run_id=run.id, epoch=1, consumed=(1,)))

        bench.signal(run.id)

        (item,) = bench.storage.inbox(run.id)[1]
        assert item.seq == 2

    def test_a_run_may_signal_itself(self, bench: Bench) -> None:
        run = bench.running()

        result = bench.one(RunUnit(run_id=run.id, epoch=1, signals=(NewSignal(run.id, "self"),)))

        assert applied(result).wake_seq == 1
        assert names(bench, run.id) == ["self"]

    def test_a_signal_of_a_step_comes_with_its_entry(self, bench: Bench) -> None:
        bench.starts(2)
        one, two = [claimed.run for claimed in bench.claim()]

        unit = RunUnit(run_id=one.id, epoch=1, entries=(entry(0),), signals=(NewSignal(two.id, "go"),))
        applied(bench.one(unit))

        assert names(bench, two.id) == ["go"]

    # --- parking ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("reason", [WaitReason.SIGNAL, WaitReason.TIMER, WaitReason.CHILD, WaitReason.RETRY])
    def test_a_parked_run_waits_without_an_owner(self, bench: Bench, reason: WaitReason) -> None:
        run = bench.running()
        due_at = bench.in_seconds(60)

        result = bench.park(run, reason, due_at)

        now = bench.run(run.id)
        assert result.status is RunStatus.WAITING
        assert (now.status, now.wait_reason, now.due_at, now.owner) == (RunStatus.WAITING, reason, due_at, None)
        assert now.epoch == run.epoch
        assert bench.storage.owned(bench.me) == {}

    def test_a_run_does_not_park_past_a_signal_that_it_has_not_seen(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)

        unit = RunUnit(run_id=run.id, epoch=1, entries=(entry(0),), expect_wake=0, then=Park(WaitReason.SIGNAL))

        assert bench.one(unit) == Woken(1)
        assert bench.status(run.id) is RunStatus.RUNNING
        assert list(bench.storage.entries(run.id)) == []

    def test_a_signal_before_a_park_in_the_same_batch_keeps_the_run_awake(self, bench: Bench) -> None:
        run = bench.running()
        park = RunUnit(run_id=run.id, epoch=1, expect_wake=0, then=Park(WaitReason.SIGNAL))

        results = bench.commit(SignalUnit(NewSignal(run.id, "go")), park).results

        assert results[1] == Woken(1)
        assert bench.status(run.id) is RunStatus.RUNNING

    def test_a_signal_after_a_park_in_the_same_batch_wakes_the_run(self, bench: Bench) -> None:
        run = bench.running()
        park = RunUnit(run_id=run.id, epoch=1, expect_wake=0, then=Park(WaitReason.SIGNAL))

        results = bench.commit(park, SignalUnit(NewSignal(run.id, "go"))).results

        assert [type(result) for result in results] == [Applied, Applied]
        assert bench.status(run.id) is RunStatus.QUEUED

    def test_a_unit_that_signals_its_own_run_and_parks_leaves_it_queued(self, bench: Bench) -> None:
        run = bench.running()

        result = bench.one(
            RunUnit(
                run_id=run.id,
                epoch=1,
                expect_wake=0,
                signals=(NewSignal(run.id, "self"),),
                then=Park(WaitReason.SIGNAL),
            )
        )

        assert applied(result).status is RunStatus.QUEUED
        assert bench.run(run.id).owner is None

    def test_a_run_that_has_seen_all_parks(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)

        bench.park(run)

        assert bench.status(run.id) is RunStatus.WAITING

    def test_a_parked_run_is_not_claimable(self, bench: Bench) -> None:
        bench.parked()

        assert bench.claim_ids() == []

    def test_a_woken_run_is_claimed_with_its_journal_and_its_inbox(self, bench: Bench) -> None:
        run = bench.running()
        bench.write(run, entry(0), entry(1))
        bench.park(run)
        bench.signal(run.id, "paid")

        (claimed,) = bench.claim()

        assert claimed.run.epoch == run.epoch + 1
        assert list(claimed.entries) == [entry(0), entry(1)]
        assert [item.name for item in claimed.inbox] == ["paid"]

    def test_a_released_run_is_queued_under_the_same_epoch(self, bench: Bench) -> None:
        run = bench.running()

        result = bench.release(run)

        now = bench.run(run.id)
        assert result.status is RunStatus.QUEUED
        assert (now.status, now.owner, now.epoch, now.losses) == (RunStatus.QUEUED, None, run.epoch, 0)

    def test_a_run_is_released_whatever_came_in(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, then=Release())))

        assert names(bench, run.id) == ["go"]

    def test_the_inbox_goes_with_a_completed_end(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)

        unit = RunUnit(run_id=run.id, epoch=1, signals=(NewSignal(run.id, "self"),), then=COMPLETED)
        assert applied(bench.one(unit)).wake_seq == 2

        assert bench.storage.inbox(run.id)[0] == 2
        assert names(bench, run.id) == []

    @pytest.mark.parametrize("end", [FAILED, CANCELLED], ids=lambda end: str(end.status))
    def test_signals_outlive_a_failed_or_cancelled_end_and_nothing_else_does(self, bench: Bench, end: End) -> None:
        run = bench.running()
        bench.spawn(run, new_run(parent=run))
        bench.signal(run.id)
        bench.end(bench.claim_one())
        bench.cancel(run.id)
        assert bench.storage.inbox(run.id)[0] == 3

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, signals=(NewSignal(run.id, "self"),), then=end)))

        assert names(bench, run.id) == ["go", "self"]

    def test_signals_outlive_the_cancel_of_a_run_that_nobody_owns(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.signal(run_id)

        bench.cancel(run_id)

        assert names(bench, run_id) == ["go"]
