"""Contract: an operator's retry."""

from __future__ import annotations

import pytest

from trivium.errors import Conflict, NotFound
from trivium.ids import new_run_id
from trivium.model.commit import End, RetryUnit, RunUnit, Stale
from trivium.model.journal import EntryKind
from trivium.model.runs import Limit
from trivium.model.states import RunStatus, StepStatus
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

not_completed = pytest.mark.parametrize("end", [FAILED, CANCELLED], ids=lambda end: str(end.status))


class Retries:
    @not_completed
    def test_a_retried_run_is_queued_in_a_new_generation(self, bench: Bench, end: End) -> None:
        run = bench.running()
        bench.end(run, end)
        bench.clock.advance(5)

        result = bench.retry(run.id)

        now = bench.run(run.id)
        assert result.status is RunStatus.QUEUED
        assert (now.status, now.epoch, now.generation) == (RunStatus.QUEUED, run.epoch + 1, 1)
        assert (now.output, now.error, now.finished_at, now.first_claimed_at) == (None, None, None, None)
        assert (now.owner, now.losses, now.cancel_requested) == (None, 0, False)
        assert now.created_at == run.created_at
        assert len(bench.notes(run.id)) == 1

    def test_a_request_to_cancel_does_not_outlive_the_retry(self, bench: Bench) -> None:
        run = bench.running()
        bench.cancel(run.id)
        bench.end(run, CANCELLED)

        bench.retry(run.id)

        (claimed,) = bench.claim()
        assert not claimed.run.cancel_requested
        assert list(claimed.inbox) == []

    def test_the_numbers_of_the_inbox_go_on(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)
        bench.end(run, FAILED)

        bench.retry(run.id)

        assert bench.signal(run.id).wake_seq == 2

    @not_completed
    def test_signals_that_were_accepted_and_not_consumed_are_there_after_a_retry(self, bench: Bench, end: End) -> None:
        run = bench.running()
        for name in ("first", "taken", "last"):
            bench.signal(run.id, name, text({"of": name}))
        applied(bench.one(RunUnit(run_id=run.id, epoch=run.epoch, consumed=[2])))
        bench.end(run, end)

        bench.retry(run.id)

        (claimed,) = bench.claim()
        assert [(item.seq, item.name, item.payload) for item in claimed.inbox] == [
            (1, "first", text({"of": "first"})),
            (3, "last", text({"of": "last"})),
        ]

    def test_ids_of_signals_are_remembered(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id, "once", id="x")
        bench.end(run, FAILED)
        bench.retry(run.id)

        result = bench.signal(run.id, "again", id="x")

        assert result.wake_seq == 1
        assert [item.name for item in bench.storage.inbox(run.id)[1]] == ["once"]

    @pytest.mark.parametrize("place", ["queued", "running", "completed"])
    def test_only_failed_and_cancelled_runs_are_retried(self, bench: Bench, place: str) -> None:
        run = bench.running()
        if place == "queued":
            bench.release(run)
        if place == "completed":
            bench.end(run)
        before = bench.run(run.id)

        refused(bench.one(RetryUnit(run.id)), Conflict)

        assert bench.run(run.id) == before

    def test_nobody_is_refused(self, bench: Bench) -> None:
        refused(bench.one(RetryUnit(new_run_id())), NotFound)

    def test_two_retries_in_one_batch_are_one(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run, FAILED)

        results = bench.commit(RetryUnit(run.id), RetryUnit(run.id)).results

        refused(results[1], Conflict)
        assert bench.run(run.id).generation == 1

    def test_a_unit_from_before_the_retry_is_stale(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run, FAILED)
        bench.retry(run.id)
        bench.claim()

        assert bench.write(run, entry(0)) == Stale()

    def test_entries_of_older_generations_count_if_they_completed_or_started_a_child(self, bench: Bench) -> None:
        run = bench.running()
        kept = [
            entry(0, status=StepStatus.COMPLETED),
            entry(4, status=StepStatus.FAILED, kind=EntryKind.CHILD, child_id=new_run_id()),
        ]
        dropped = [
            entry(1, status=StepStatus.FAILED),
            entry(2, status=StepStatus.RUNNING),
            entry(3, status=StepStatus.CANCELLED),
        ]
        bench.write(run, *kept, *dropped)
        bench.end(run, FAILED)
        bench.retry(run.id)

        (claimed,) = bench.claim()

        assert list(claimed.entries) == kept
        assert len(bench.storage.entries(run.id)) == 5

    def test_entries_of_this_generation_count_all(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run, FAILED)
        bench.retry(run.id)
        again = bench.claim_one()
        mine = [entry(5, status=StepStatus.FAILED, generation=1), entry(6, status=StepStatus.RUNNING, generation=1)]
        bench.write(again, *mine)
        bench.release(again)

        (claimed,) = bench.claim()

        assert list(claimed.entries) == mine

    # --- trees -----------------------------------------------------------------------------------

    def test_failed_and_cancelled_runs_below_are_retried_with_it(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        (leaf,) = bench.spawn(middle, new_run(parent=middle))
        bench.end(middle, FAILED)
        bench.end(root, FAILED)
        assert bench.status(leaf) is RunStatus.CANCELLED

        bench.retry(root.id)

        runs = [bench.run(run_id) for run_id in (root.id, middle.id, leaf)]
        assert [(run.status, run.generation) for run in runs] == [(RunStatus.QUEUED, 1)] * 3

    def test_completed_runs_and_what_is_below_them_stay(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        (leaf,) = bench.spawn(middle, new_run(parent=middle))
        bench.end(middle, COMPLETED)
        bench.end(bench.claim_one(), FAILED)
        bench.end(root, FAILED)

        bench.retry(root.id)

        assert bench.status(middle.id) is RunStatus.COMPLETED
        assert bench.status(leaf) is RunStatus.FAILED

    def test_what_is_above_stays(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        child = bench.claim_one()
        bench.end(child, FAILED)
        bench.end(root, FAILED)

        bench.retry(child.id)

        assert bench.status(root.id) is RunStatus.FAILED

    # --- claimed by the one who retries -----------------------------------------------------------

    def test_a_retry_may_claim_the_run_at_once(self, bench: Bench) -> None:
        root = bench.running()
        (child,) = bench.spawn(root, new_run(parent=root))
        bench.write(root, entry(0))
        bench.end(root, FAILED)

        result = bench.commit(RetryUnit(root.id, claim_by=bench.me))

        (claimed,) = result.claimed
        assert (claimed.run.id, claimed.run.owner, claimed.run.status) == (root.id, bench.me, RunStatus.RUNNING)
        assert (claimed.run.epoch, claimed.run.generation) == (root.epoch + 2, 1)
        assert claimed.run.first_claimed_at == bench.clock.now()
        assert list(claimed.entries) == [entry(0)]
        assert bench.status(child) is RunStatus.QUEUED

    def test_a_retried_run_with_limits_is_not_claimed_at_once(self, bench: Bench) -> None:
        run = bench.running(new_run(limits=[Limit("k", 1)]))
        bench.end(run, FAILED)

        result = bench.commit(RetryUnit(run.id, claim_by=bench.me))

        assert list(result.claimed) == []
        assert bench.status(run.id) is RunStatus.QUEUED

    def test_a_run_claimed_by_a_retry_stands_before_those_of_the_claim(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run, FAILED)
        other = bench.start()

        result = bench.commit(RetryUnit(run.id, claim_by=bench.me), claim=bench.request())

        assert [claimed.run.id for claimed in result.claimed] == [run.id, other]
