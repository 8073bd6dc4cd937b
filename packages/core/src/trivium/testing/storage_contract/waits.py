"""Contract: waiting for many children."""

from __future__ import annotations

import pytest

from trivium.ids import RunId, new_run_id
from trivium.model.commit import CancelUnit, End, NewSignal, Park, RetryUnit, RunUnit, SignalUnit, Unit
from trivium.model.runs import Run
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.storage_contract.bench import CANCELLED, COMPLETED, FAILED, Bench, new_run

QUEUED, WAITING = RunStatus.QUEUED, RunStatus.WAITING


def family(bench: Bench, size: int) -> tuple[Run, list[Run]]:
    """A run and its children, all of them owned."""
    parent = bench.running()
    bench.spawn(parent, *(new_run(parent=parent) for _ in range(size)))
    return parent, [claimed.run for claimed in bench.claim()]


def group(*children: Run) -> frozenset[RunId]:
    return frozenset(child.id for child in children)


def parks(parent: Run, *groups: frozenset[RunId], wake: int = 0, epoch: int = 1) -> RunUnit:
    """The unit that parks a run for groups of children."""
    return RunUnit(run_id=parent.id, epoch=epoch, expect_wake=wake, then=Park(WaitReason.CHILD, children=tuple(groups)))


def ends(child: Run, end: End = COMPLETED) -> RunUnit:
    return RunUnit(run_id=child.id, epoch=child.epoch, then=end)


def arrived(bench: Bench, parent: Run) -> list[str]:
    return [item.name for item in bench.storage.inbox(parent.id)[1]]


class Waits:
    @pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda end: str(end.status))
    def test_the_last_end_of_a_group_wakes_the_parked_run(self, bench: Bench, end: End) -> None:
        parent, (first, second, last) = family(bench, 3)
        bench.commit(parks(parent, group(first, second, last)))

        states = []
        for child in (last, first, second):
            bench.end(child, end)
            states.append(bench.status(parent.id))

        assert states == [WAITING, WAITING, QUEUED]
        assert arrived(bench, parent) == [last.id, first.id, second.id]

    def test_an_end_that_leaves_others_in_the_group_raises_the_wake_seq_and_rings_for_no_work(
        self, bench: Bench
    ) -> None:
        parent, (first, second) = family(bench, 2)
        bench.commit(parks(parent, group(first, second)))

        ring = bench.commit(ends(first)).ring

        assert bench.run(parent.id).wake_seq == 1
        assert (ring.work, ring.ended) == (False, group(first))

    def test_the_end_that_wakes_rings_for_work(self, bench: Bench) -> None:
        parent, (child,) = family(bench, 1)
        bench.commit(parks(parent, group(child)))

        assert bench.commit(ends(child)).ring.work

    def test_any_group_that_is_empty_wakes(self, bench: Bench) -> None:
        parent, (first, second, third) = family(bench, 3)
        bench.commit(parks(parent, group(first, second), group(third)))

        bench.end(third)

        assert bench.status(parent.id) is QUEUED

    def test_a_child_may_be_in_several_groups(self, bench: Bench) -> None:
        parent, (first, second, third) = family(bench, 3)
        bench.commit(parks(parent, group(first, second), group(second, third)))

        bench.end(second)
        between = bench.status(parent.id)
        bench.end(third)

        assert (between, bench.status(parent.id)) == (WAITING, QUEUED)

    def test_a_child_in_no_group_wakes_nobody(self, bench: Bench) -> None:
        parent, (awaited, other) = family(bench, 2)
        bench.commit(parks(parent, group(awaited)))

        bench.end(other)

        assert bench.status(parent.id) is WAITING
        assert arrived(bench, parent) == [other.id]

    def test_without_groups_no_child_wakes(self, bench: Bench) -> None:
        parent, (child,) = family(bench, 1)
        bench.commit(parks(parent))

        bench.end(child)

        assert bench.status(parent.id) is WAITING
        assert arrived(bench, parent) == [child.id]

    # --- what ended before -----------------------------------------------------------------------

    def test_children_that_have_ended_are_left_out(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)
        bench.end(first)
        bench.commit(parks(parent, group(first, second), wake=1))

        between = bench.status(parent.id)
        bench.end(second)

        assert (between, bench.status(parent.id)) == (WAITING, QUEUED)

    def test_a_run_whose_group_has_ended_is_queued_instead_of_parked(self, bench: Bench) -> None:
        parent, (done, other) = family(bench, 2)
        bench.end(done)

        batch = bench.commit(parks(parent, group(other), group(done), wake=1))

        now = bench.run(parent.id)
        assert (now.status, now.owner, now.wait_reason) == (QUEUED, None, None)
        assert batch.ring.work
        bench.end(other)
        assert bench.claim_one().wake_seq == 2

    def test_an_empty_group_waits_for_nothing(self, bench: Bench) -> None:
        parent, (child,) = family(bench, 1)

        bench.commit(parks(parent, group(child), frozenset()))

        assert bench.status(parent.id) is QUEUED

    def test_what_is_no_child_of_the_run_is_left_out(self, bench: Bench) -> None:
        parent, (child,) = family(bench, 1)
        stranger = bench.start()

        bench.commit(parks(parent, group(child) | {stranger, new_run_id()}))
        between = bench.status(parent.id)
        bench.end(child)

        assert (between, bench.status(parent.id)) == (WAITING, QUEUED)

    # --- one batch -------------------------------------------------------------------------------

    def test_all_ends_of_a_group_in_one_batch_wake_the_run_once(self, bench: Bench) -> None:
        parent, children = family(bench, 5)
        bench.commit(parks(parent, group(*children)))

        bench.commit(*map(ends, children))

        assert bench.claim_ids() == [parent.id]
        assert arrived(bench, parent) == [child.id for child in children]

    def test_some_ends_of_a_group_in_one_batch_do_not_wake(self, bench: Bench) -> None:
        parent, children = family(bench, 5)
        bench.commit(parks(parent, group(*children)))

        bench.commit(*map(ends, children[:-1]))

        assert bench.status(parent.id) is WAITING

    def test_the_last_end_may_come_in_the_batch_of_the_park(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)

        bench.commit(parks(parent, group(first, second)), ends(first), ends(second))

        assert bench.claim_ids() == [parent.id]

    def test_a_run_does_not_park_past_an_end_before_it_in_the_batch(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)

        bench.commit(ends(first), parks(parent, group(first, second), wake=1), ends(second))

        assert bench.claim_ids() == [parent.id]

    def test_the_claim_of_the_batch_gets_the_run_that_its_units_woke(self, bench: Bench) -> None:
        parent, (child,) = family(bench, 1)
        bench.commit(parks(parent, group(child)))

        (claimed,) = bench.commit(ends(child), claim=bench.request()).claimed

        assert (claimed.run.id, claimed.run.epoch) == (parent.id, 2)

    def test_a_start_that_finds_a_run_sees_that_it_was_woken(self, bench: Bench) -> None:
        new = new_run(key="k")
        parent = bench.running(new)
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()
        bench.commit(parks(parent, group(child)))
        starter = bench.running()

        _, result = bench.commit(ends(child), RunUnit(run_id=starter.id, epoch=1, starts=[new_run(key="k")])).results

        assert [started.status for started in result.started] == [QUEUED]  # type: ignore[union-attr]  # it is applied

    def test_a_start_is_not_claimed_past_a_run_that_was_woken(self, bench: Bench) -> None:
        parent = bench.running(new_run(priority=1))
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()
        bench.commit(parks(parent, group(child)))
        later = new_run(claim_by=bench.me)

        bench.commit(ends(child), RunUnit(run_id=bench.running().id, epoch=1, starts=[later]))

        assert bench.status(later.id) is QUEUED

    # --- woken or ended by something else --------------------------------------------------------

    def test_a_signal_wakes_it_and_ends_the_wait(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)
        bench.commit(parks(parent, group(first)))
        bench.signal(parent.id)
        bench.commit(parks(bench.claim_one(), group(second), wake=1, epoch=2))

        bench.end(first)

        assert bench.status(parent.id) is WAITING

    def test_its_time_wakes_it_and_ends_the_wait(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)
        due_at = bench.in_seconds(1)
        park = Park(WaitReason.CHILD, due_at, (group(first),))
        bench.commit(RunUnit(run_id=parent.id, epoch=1, expect_wake=0, then=park))
        bench.clock.advance(1)
        bench.commit(parks(bench.claim_one(), group(second), epoch=2))

        bench.end(first)

        assert bench.status(parent.id) is WAITING

    @pytest.mark.parametrize("signal_first", [True, False])
    def test_a_signal_and_the_last_end_in_one_batch_wake_once(self, bench: Bench, signal_first: bool) -> None:
        parent, (child,) = family(bench, 1)
        bench.commit(parks(parent, group(child)))
        units: list[Unit] = [ends(child), SignalUnit(NewSignal(parent.id, "go"))]

        bench.commit(*(reversed(units) if signal_first else units))

        assert bench.claim_ids() == [parent.id]
        bench.commit(parks(parent, wake=2, epoch=2))
        assert bench.status(parent.id) is WAITING

    def test_a_cancel_in_the_batch_of_the_last_end_wins(self, bench: Bench) -> None:
        parent, (child,) = family(bench, 1)
        bench.commit(parks(parent, group(child)))

        bench.commit(ends(child), CancelUnit(parent.id))

        assert bench.status(parent.id) is RunStatus.CANCELLED
        assert bench.claim_ids() == []

    def test_a_refused_unit_wakes_nobody_and_ends_no_wait(self, bench: Bench) -> None:
        parent, (child, other) = family(bench, 2)
        bench.commit(parks(parent, group(child)))
        signals = [NewSignal(parent.id, "go"), NewSignal(RunId("nobody"), "go")]

        bench.commit(RunUnit(run_id=other.id, epoch=1, signals=signals))

        assert bench.status(parent.id) is WAITING
        bench.end(child)
        assert bench.status(parent.id) is QUEUED

    # --- cancels and retries ---------------------------------------------------------------------

    def test_a_cancelled_tree_wakes_nobody_in_it(self, bench: Bench) -> None:
        root = bench.running()
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        (leaf,) = bench.spawn(middle, new_run(parent=middle))
        bench.commit(parks(root, group(middle)), parks(middle, frozenset([leaf])))

        bench.cancel(root.id)

        assert {bench.status(run_id) for run_id in (root.id, middle.id, leaf)} == {RunStatus.CANCELLED}
        assert bench.claim_ids() == []

    def test_a_cancelled_child_wakes_the_run_that_waits_for_it(self, bench: Bench) -> None:
        parent = bench.running()
        (child,) = bench.spawn(parent, new_run(parent=parent))
        bench.commit(parks(parent, frozenset([child])))

        bench.cancel(child)

        assert bench.status(parent.id) is QUEUED

    def test_a_retried_tree_waits_anew(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)
        bench.commit(parks(parent, group(first, second)))
        bench.commit(CancelUnit(parent.id), ends(first, CANCELLED), ends(second, CANCELLED), RetryUnit(parent.id))
        again, *children = (claimed.run for claimed in bench.claim())
        bench.commit(parks(again, group(*children), epoch=again.epoch))

        bench.end(children[0])
        between = bench.status(parent.id)
        bench.end(children[1])

        assert (between, bench.status(parent.id)) == (WAITING, QUEUED)

    def test_a_child_that_is_retried_while_it_is_waited_for_is_not_waited_for_any_more(self, bench: Bench) -> None:
        parent, (first, second) = family(bench, 2)
        bench.commit(parks(parent, group(first, second)))
        bench.commit(ends(first, FAILED), RetryUnit(first.id))

        bench.end(second)

        assert bench.status(parent.id) is QUEUED

    def test_a_group_may_be_large(self, bench: Bench) -> None:
        parent, children = family(bench, 100)
        bench.commit(parks(parent, group(*children)))

        bench.commit(*map(ends, children[:60]))
        for child in children[60:-1]:
            bench.end(child)
        between = bench.status(parent.id)
        bench.end(children[-1])

        assert (between, bench.status(parent.id)) == (WAITING, QUEUED)
        assert bench.run(parent.id).wake_seq == 100
