"""Contract: how runs end, and what their parents and children see of it."""

from __future__ import annotations

import pytest

from trivium.clock import SECOND, Micros
from trivium.json import JsonText, loads
from trivium.model.commit import Applied, End, Park, RunUnit, Woken
from trivium.model.failure import Failure
from trivium.model.inbox import ItemKind, child_end
from trivium.model.runs import Cause
from trivium.model.states import FailureKind, RunStatus, WaitReason
from trivium.testing.storage_contract.bench import CANCELLED, COMPLETED, FAILED, Bench, applied, entry, new_run, text


class Ends:
    @pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda end: str(end.status))
    def test_an_end_sets_state_outcome_and_time(self, bench: Bench, end: End) -> None:
        run = bench.running()
        bench.clock.advance(2)

        result = bench.end(run, end)

        now = bench.run(run.id)
        assert result.status is end.status
        assert (now.status, now.output, now.error) == (end.status, end.output, end.error)
        assert (now.owner, now.wait_reason, now.due_at) == (None, None, None)
        assert now.finished_at == bench.clock.now()
        assert bench.storage.owned(bench.me) == {}
        assert bench.claim_ids() == []

    def test_the_last_entries_come_with_the_end(self, bench: Bench) -> None:
        run = bench.running()

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, entries=(entry(0),), then=COMPLETED)))

        assert list(bench.storage.entries(run.id)) == [entry(0)]

    def test_the_deadline_counts_from_the_first_claim(self, bench: Bench) -> None:
        run = bench.running(new_run(timeout=Micros(5 * SECOND)))
        bench.clock.advance(1)
        bench.release(run)

        again = bench.claim_one()

        assert again.first_claimed_at == run.first_claimed_at
        assert run.first_claimed_at is not None
        assert again.deadline == run.first_claimed_at + 5 * SECOND

    # --- the parent ------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "end",
        [
            End(RunStatus.COMPLETED, output=text({"sum": [1, 2]})),
            End(RunStatus.COMPLETED),
            End(RunStatus.FAILED, error=Failure(code="TRV-4010", message="no", kind=FailureKind.TIMEOUT)),
            CANCELLED,
        ],
        ids=["output", "no output", "failed", "cancelled"],
    )
    def test_the_parent_finds_its_childs_end_in_its_inbox(self, bench: Bench, end: End) -> None:
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()

        bench.end(child, end)

        wake_seq, (item,) = bench.storage.inbox(parent.id)
        assert (wake_seq, item.seq, item.kind, item.name) == (1, 1, ItemKind.CHILD_END, child.id)
        assert item.cause == Cause(child.id)
        assert item.payload == child_end(end.status, end.output, end.error)
        assert loads(item.payload) == {
            "status": end.status,
            "output": None if end.output is None else loads(end.output),
            "error": None if end.error is None else end.error.to_json(),
        }

    def test_a_parent_does_not_park_past_its_childs_end(self, bench: Bench) -> None:
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()

        results = bench.commit(
            RunUnit(run_id=child.id, epoch=1, then=COMPLETED),
            RunUnit(run_id=parent.id, epoch=1, expect_wake=0, then=Park(WaitReason.CHILD)),
        ).results

        assert results[1] == Woken(1)
        assert bench.status(parent.id) is RunStatus.RUNNING

    def test_many_childrens_ends_in_one_batch_all_arrive_in_order(self, bench: Bench) -> None:
        parent = bench.running()
        children = bench.spawn(parent, *(new_run(parent=parent) for _ in range(5)))
        bench.claim()

        bench.commit(*(RunUnit(run_id=child, epoch=1, then=COMPLETED) for child in children))

        wake_seq, items = bench.storage.inbox(parent.id)
        assert wake_seq == 5
        assert [item.name for item in items] == children

    def test_a_childs_end_does_not_disturb_a_parent_that_has_ended(self, bench: Bench) -> None:
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()
        bench.end(parent)
        before = bench.run(parent.id)

        bench.end(child)

        assert bench.run(parent.id) == before

    def test_a_childs_end_reaches_a_parent_that_lost_its_owner(self, bench: Bench) -> None:
        mortal = bench.worker()
        parent = bench.running(worker=mortal)
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()
        bench.bury(mortal)

        bench.end(child)

        (claimed,) = bench.claim()
        assert [item.name for item in claimed.inbox] == [child.id]

    # --- the children ----------------------------------------------------------------------------

    def test_the_children_of_a_completed_run_go_on(self, bench: Bench) -> None:
        parent = bench.running()
        (child,) = bench.spawn(parent, new_run(parent=parent))

        bench.end(parent)

        assert bench.status(child) is RunStatus.QUEUED

    @pytest.mark.parametrize("end", [FAILED, CANCELLED], ids=lambda end: str(end.status))
    def test_a_failed_or_cancelled_run_takes_its_unended_children_with_it(self, bench: Bench, end: End) -> None:
        parent = bench.running()
        queued, owned, done = bench.spawn(parent, *(new_run(parent=parent) for _ in range(3)))
        runs = {claimed.run.id: claimed.run for claimed in bench.claim()}
        bench.release(runs[queued])
        bench.end(runs[done])

        bench.end(parent, end)

        ended = bench.run(queued)
        assert (ended.status, ended.epoch) == (RunStatus.CANCELLED, runs[queued].epoch + 1)
        assert ended.error is not None
        assert (ended.error.code, ended.error.kind) == ("TRV-4002", FailureKind.CANCELLED)
        assert bench.status(owned) is RunStatus.RUNNING
        assert bench.run(owned).cancel_requested
        assert [item.kind for item in bench.storage.inbox(owned)[1]] == [ItemKind.CANCEL]
        assert bench.status(done) is RunStatus.COMPLETED

    def test_a_failed_run_takes_everything_below_it_with_it(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        (leaf,) = bench.spawn(middle, new_run(parent=middle))
        bench.end(middle)  # completed: its own child is left running

        bench.end(root, FAILED)

        assert bench.status(leaf) is RunStatus.CANCELLED

    def test_the_runs_that_a_failing_unit_starts_are_cancelled_too(self, bench: Bench) -> None:
        run = bench.running()
        new = new_run(parent=run)

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, starts=(new,), then=FAILED)))

        assert bench.status(new.id) is RunStatus.CANCELLED

    def test_the_runs_that_a_completing_unit_starts_go_on(self, bench: Bench) -> None:
        run = bench.running()
        new = new_run(parent=run)

        applied(bench.one(RunUnit(run_id=run.id, epoch=1, starts=(new,), then=COMPLETED)))

        assert bench.claim_ids() == [new.id]

    def test_a_run_that_is_started_and_ended_in_one_batch_is_there(self, bench: Bench) -> None:
        parent = bench.running()
        child = new_run(parent=parent, claim_by=bench.me)

        results = bench.commit(
            RunUnit(run_id=parent.id, epoch=1, starts=(child,)),
            RunUnit(run_id=child.id, epoch=1, entries=(entry(0),), then=End(RunStatus.COMPLETED, JsonText("7"))),
        ).results

        assert [type(result) for result in results] == [Applied, Applied]
        assert (bench.status(child.id), bench.run(child.id).output) == (RunStatus.COMPLETED, "7")
        assert [item.name for item in bench.storage.inbox(parent.id)[1]] == [child.id]
