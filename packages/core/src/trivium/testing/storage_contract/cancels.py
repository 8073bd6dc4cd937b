"""Contract: cancelling runs and what is below them."""

from __future__ import annotations

from trivium.errors import NotFound, RunIsTerminal
from trivium.ids import RunId, new_run_id
from trivium.json import JsonText
from trivium.model.commit import CancelUnit, RunUnit, Stale
from trivium.model.inbox import ItemKind
from trivium.model.runs import Limit, Run
from trivium.model.states import FailureKind, RunStatus
from trivium.testing.storage_contract.bench import CANCELLED, COMPLETED, FAILED, Bench, applied, new_run, refused


def assert_cancelled(run: Run, message: str = "cancelled") -> None:
    assert run.status is RunStatus.CANCELLED
    assert run.error is not None
    assert (run.error.code, run.error.kind, run.error.message) == ("TRV-4002", FailureKind.CANCELLED, message)
    assert (run.owner, run.wait_reason, run.due_at, run.output) == (None, None, None, None)
    assert run.finished_at is not None


class Cancels:
    def test_a_queued_run_ends_at_once(self, bench: Bench) -> None:
        run_id = bench.start()

        result = bench.cancel(run_id, "not needed")

        assert result.status is RunStatus.CANCELLED
        assert_cancelled(bench.run(run_id), "not needed")
        assert bench.run(run_id).epoch == 1
        assert bench.claim_ids() == []

    def test_a_parked_run_ends_at_once(self, bench: Bench) -> None:
        run = bench.running()
        bench.park(run, due_at=bench.in_seconds(1))

        bench.cancel(run.id)
        bench.clock.advance(2)

        assert_cancelled(bench.run(run.id))
        assert bench.claim_ids() == []

    def test_a_run_that_waits_for_its_time_or_slot_ends_at_once(self, bench: Bench) -> None:
        bench.running(new_run(limits=[Limit("k", 1)]))
        slot = bench.start(new_run(limits=[Limit("k", 1)]))
        assert bench.claim_ids() == []
        timer = bench.start(new_run(not_before=bench.in_seconds(60)))

        bench.cancel(slot)
        bench.cancel(timer)

        assert_cancelled(bench.run(slot))
        assert_cancelled(bench.run(timer))

    def test_an_owned_run_is_asked(self, bench: Bench) -> None:
        run = bench.running()

        result = bench.cancel(run.id, "too 'late'")

        now = bench.run(run.id)
        assert (result.status, result.wake_seq) == (RunStatus.RUNNING, 1)
        assert (now.status, now.owner, now.epoch) == (RunStatus.RUNNING, bench.me, run.epoch)
        assert now.cancel_requested
        (item,) = bench.storage.inbox(run.id)[1]
        assert (item.kind, item.name, item.payload) == (ItemKind.CANCEL, "", JsonText("\"too 'late'\""))
        assert len(bench.notes(run.id)) == 1

    def test_an_owned_run_is_asked_once(self, bench: Bench) -> None:
        run = bench.running()
        bench.cancel(run.id)

        again = bench.cancel(run.id)

        assert (again.status, again.wake_seq) == (RunStatus.RUNNING, 1)
        assert len(bench.storage.inbox(run.id)[1]) == 1

    def test_the_owner_ends_what_it_was_asked_to(self, bench: Bench) -> None:
        run = bench.running()
        bench.cancel(run.id)

        bench.end(run, CANCELLED)

        ended = bench.run(run.id)
        assert (ended.error, ended.cancel_requested) == (CANCELLED.error, True)

    def test_a_committed_end_wins_over_a_cancel(self, bench: Bench) -> None:
        run = bench.running()

        results = bench.commit(RunUnit(run_id=run.id, epoch=1, then=COMPLETED), CancelUnit(run.id)).results

        refused(results[1], RunIsTerminal)
        assert bench.status(run.id) is RunStatus.COMPLETED

    def test_a_request_before_the_end_does_not_stop_the_end(self, bench: Bench) -> None:
        run = bench.running()

        bench.commit(CancelUnit(run.id), RunUnit(run_id=run.id, epoch=1, then=COMPLETED))

        assert bench.status(run.id) is RunStatus.COMPLETED

    def test_a_run_that_was_asked_does_not_park(self, bench: Bench) -> None:
        run = bench.running()
        bench.cancel(run.id)

        applied(bench.one(RunUnit(run_id=run.id, epoch=1)))

        assert bench.run(run.id).wake_seq == 1  # what its owner compares with before it parks

    def test_a_run_that_lost_its_owner_while_asked_is_claimed_with_the_request(self, bench: Bench) -> None:
        mortal = bench.worker()
        run = bench.running(worker=mortal)
        bench.cancel(run.id)
        bench.bury(mortal)

        (claimed,) = bench.claim()

        assert claimed.run.cancel_requested
        assert [item.kind for item in claimed.inbox] == [ItemKind.CANCEL]

    def test_a_run_that_lost_its_owner_while_asked_ends_by_a_second_cancel(self, bench: Bench) -> None:
        mortal = bench.worker()
        run = bench.running(worker=mortal)
        bench.cancel(run.id)
        bench.bury(mortal)

        bench.cancel(run.id)

        assert_cancelled(bench.run(run.id))

    def test_the_commit_of_an_owner_that_lost_to_a_cancel_is_stale(self, bench: Bench) -> None:
        run = bench.running()
        bench.release(run)
        bench.cancel(run.id)

        assert bench.write(run) == Stale()

    def test_nobody_and_ended_runs_are_refused(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run, FAILED)

        refused(bench.one(CancelUnit(new_run_id())), NotFound)
        error = refused(bench.one(CancelUnit(run.id)), RunIsTerminal)

        assert error.status == "failed"

    # --- trees -----------------------------------------------------------------------------------

    def test_everything_below_is_cancelled_also_below_ended_runs(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        leaf, owned = bench.spawn(middle, new_run(parent=middle), new_run(parent=middle))
        runs = {claimed.run.id: claimed.run for claimed in bench.claim()}
        bench.release(runs[leaf])
        bench.end(middle)

        bench.cancel(root.id, "all of it")

        assert bench.run(root.id).cancel_requested
        assert bench.status(middle.id) is RunStatus.COMPLETED
        assert_cancelled(bench.run(leaf), "all of it")
        assert bench.run(owned).cancel_requested

    def test_what_is_beside_and_above_is_left_alone(self, bench: Bench) -> None:
        root = bench.running()
        target, sibling = bench.spawn(root, new_run(parent=root), new_run(parent=root))

        bench.cancel(target)

        assert_cancelled(bench.run(target))
        assert bench.status(sibling) is RunStatus.QUEUED
        assert not bench.run(root.id).cancel_requested

    def test_a_parent_hears_of_its_cancelled_child(self, bench: Bench) -> None:
        parent = bench.running()
        (child,) = bench.spawn(parent, new_run(parent=parent))

        bench.cancel(child)

        assert [item.name for item in bench.storage.inbox(parent.id)[1]] == [child]

    def test_an_asked_parent_hears_of_its_cancelled_children_in_order(self, bench: Bench) -> None:
        parent = bench.running()
        children = bench.spawn(parent, *(new_run(parent=parent) for _ in range(3)))

        bench.cancel(parent.id)

        items = bench.storage.inbox(parent.id)[1]
        assert [item.kind for item in items] == [ItemKind.CANCEL, *[ItemKind.CHILD_END] * 3]
        assert [item.name for item in items[1:]] == children

    def test_a_deep_tree_is_cancelled_whole(self, bench: Bench) -> None:
        chain = [bench.start()]
        for _ in range(300):
            chain.append(bench.start(new_run(parent=bench.run(chain[-1]))))

        bench.cancel(chain[0])

        assert set(bench.storage.statuses(chain).values()) == {RunStatus.CANCELLED}

    def test_a_wide_tree_is_cancelled_whole(self, bench: Bench) -> None:
        parent = bench.running()
        children: list[RunId] = bench.spawn(parent, *(new_run(parent=parent) for _ in range(1_000)))

        bench.cancel(parent.id)

        assert set(bench.storage.statuses(children).values()) == {RunStatus.CANCELLED}
        assert bench.run(parent.id).wake_seq == 1_001
