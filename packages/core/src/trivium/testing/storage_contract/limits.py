"""Contract: at most so many runs that hold a key."""

from __future__ import annotations

from typing import Protocol

import pytest

from trivium.ids import RunId
from trivium.model.commit import End, RunUnit
from trivium.model.runs import Definition, Limit, NewRun, Run
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.storage_contract.bench import CANCELLED, COMPLETED, DEFINITION, FAILED, Bench, new_run

OTHER = Definition.of("test", "other", {}, frozenset({"action:rare"}))


def limited(key: str = "k", limit: int = 1, *, parent: Run | None = None, priority: int = 0) -> NewRun:
    return new_run(limits=[Limit(key, limit)], parent=parent, priority=priority)


def claimed_runs(bench: Bench) -> dict[RunId, Run]:
    return {claimed.run.id: claimed.run for claimed in bench.claim()}


class Limited(Protocol):
    def __call__(self, *, parent: Run | None = None, priority: int = 0) -> NewRun: ...


def retried_family(bench: Bench, new: Limited, *, priority: int = 0) -> list[RunId]:
    """A parent and its child (of that priority) with the same key, both queued again by a retry."""
    parent = bench.running(new())
    (child,) = bench.spawn(parent, new(parent=parent, priority=priority))
    bench.end(parent, FAILED)
    bench.retry(parent.id)
    return [parent.id, child]


def waited_for(bench: Bench) -> Run:
    """A run that holds the key, while everything else that wants it waits for a slot."""
    holder = bench.claim_one(bench.request(limit=1, roots=frozenset({bench.start(limited())})))
    assert bench.claim_ids() == []
    return holder


class Limits:
    def test_a_run_over_its_limit_waits_for_a_slot(self, bench: Bench) -> None:
        first, second = bench.start(limited()), bench.start(limited())

        assert bench.claim_ids() == [first]

        run = bench.run(second)
        assert (run.status, run.wait_reason, run.due_at, run.epoch) == (RunStatus.WAITING, WaitReason.SLOT, None, 0)
        assert run.first_claimed_at is None

    def test_a_run_over_its_limit_does_not_count_for_the_claim(self, bench: Bench) -> None:
        first, _, free = bench.start(limited()), bench.start(limited()), bench.start()

        assert bench.claim_ids(bench.request(limit=2)) == [first, free]

    def test_one_claim_admits_as_many_as_there_is_room(self, bench: Bench) -> None:
        ids = [bench.start(limited(limit=3)) for _ in range(5)]

        assert bench.claim_ids() == ids[:3]

    def test_runs_of_two_claims_share_the_limit(self, bench: Bench) -> None:
        ids = [bench.start(limited(limit=2)) for _ in range(3)]

        assert bench.claim_ids(bench.request(limit=1)) == ids[:1]
        assert bench.claim_ids(bench.request(bench.worker())) == ids[1:2]

    @pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda end: str(end.status))
    def test_an_end_makes_room_for_the_next(self, bench: Bench, end: End) -> None:
        first, second, third = (bench.start(limited()) for _ in range(3))
        runs = claimed_runs(bench)

        bench.end(runs[first], end)

        assert bench.claim_ids() == [second]
        assert (bench.run(third).status, bench.run(third).wait_reason) == (RunStatus.WAITING, WaitReason.SLOT)

    def test_room_goes_to_the_higher_priority_then_to_the_older(self, bench: Bench) -> None:
        holder = bench.start(limited())
        low, older, younger = bench.start(limited(priority=-1)), bench.start(limited()), bench.start(limited())
        high = bench.start(limited(priority=1))
        order = []
        runs = claimed_runs(bench)
        assert list(runs) == [high]
        for _ in range(4):
            (run,) = runs.values()
            bench.end(run)
            runs = claimed_runs(bench)
            order += list(runs)

        assert order == [holder, older, younger, low]

    def test_room_reaches_a_run_that_its_worker_serves_past_one_that_nobody_serves(self, bench: Bench) -> None:
        holder = bench.running(limited())
        orphan = bench.start(new_run(definition=OTHER, limits=[Limit("k", 1)], priority=9))
        assert bench.claim_ids(bench.request(serves=[OTHER])) == []
        mine = bench.start(limited())
        assert bench.claim_ids() == []

        bench.end(holder)

        assert bench.claim_ids() == [mine]
        assert bench.status(orphan) in {RunStatus.QUEUED, RunStatus.WAITING}

    def test_a_holding_is_kept_while_parked_released_and_lost(self, bench: Bench) -> None:
        mortal = bench.worker()
        holder = bench.running(limited(), worker=mortal)
        other = bench.start(limited())

        bench.bury(mortal)
        assert bench.claim_ids(bench.request(limit=1)) == [holder.id]
        run = bench.run(holder.id)
        bench.release(run)
        assert bench.claim_ids(bench.request(limit=1)) == [holder.id]
        bench.park(bench.run(holder.id))

        assert bench.claim_ids() == []
        assert bench.status(other) is RunStatus.WAITING

    def test_a_holder_comes_back_past_those_that_wait(self, bench: Bench) -> None:
        holder = bench.running(limited())
        bench.start(limited(priority=5))
        assert bench.claim_ids() == []
        bench.park(holder)
        bench.signal(holder.id)

        assert bench.claim_ids() == [holder.id]

    def test_a_cancelled_waiter_leaves_the_queue_to_the_others(self, bench: Bench) -> None:
        holder = bench.running(limited())
        cancelled, other = bench.start(limited()), bench.start(limited())
        assert bench.claim_ids() == []

        bench.cancel(cancelled)
        bench.end(holder)

        assert bench.claim_ids() == [other]

    def test_a_holder_that_is_cancelled_while_parked_makes_room(self, bench: Bench) -> None:
        holder = bench.running(limited())
        other = bench.start(limited())
        assert bench.claim_ids() == []
        bench.park(holder)

        bench.cancel(holder.id)

        assert bench.claim_ids() == [other]

    def test_ends_in_one_batch_make_room_for_as_many(self, bench: Bench) -> None:
        ids = [bench.start(limited(limit=2)) for _ in range(5)]
        runs = claimed_runs(bench)

        result = bench.commit(
            *(RunUnit(run_id=run.id, epoch=run.epoch, then=COMPLETED) for run in runs.values()), claim=bench.request()
        )

        assert [claimed.run.id for claimed in result.claimed] == ids[2:4]

    def test_a_retried_run_needs_a_slot_again(self, bench: Bench) -> None:
        run = bench.running(limited())
        bench.end(run, FAILED)
        holder = bench.running(limited())
        bench.retry(run.id)

        assert bench.claim_ids() == []
        bench.end(holder)
        assert bench.claim_ids() == [run.id]

    # --- several keys ----------------------------------------------------------------------------

    def test_keys_do_not_disturb_each_other(self, bench: Bench) -> None:
        a, b = bench.start(limited("a")), bench.start(limited("b"))

        assert bench.claim_ids() == [a, b]

    def test_a_run_with_several_keys_takes_all_or_none(self, bench: Bench) -> None:
        bench.running(limited("b"))
        both = bench.start(new_run(limits=[Limit("a", 1), Limit("b", 1)]))
        only = bench.start(limited("a"))

        assert bench.claim_ids() == [only]  # `both` did not keep `a` for itself
        assert bench.run(both).wait_reason is WaitReason.SLOT

    def test_a_run_with_several_keys_comes_when_all_are_free(self, bench: Bench) -> None:
        a, b = bench.start(limited("a")), bench.start(limited("b"))
        both = bench.start(new_run(limits=[Limit("a", 1), Limit("b", 1)]))
        runs = claimed_runs(bench)
        bench.end(runs[a])
        assert bench.claim_ids() == []

        bench.end(runs[b])

        assert bench.claim_ids() == [both]

    def test_runs_may_state_different_limits_for_one_key(self, bench: Bench) -> None:
        first = bench.running(limited(limit=5))
        narrow, wide = bench.start(limited(limit=1)), bench.start(limited(limit=5))

        runs = claimed_runs(bench)
        assert list(runs) == [wide]
        bench.end(runs[wide])
        assert bench.claim_ids() == []
        bench.end(first)

        assert bench.claim_ids() == [narrow]

    # --- shared with ancestors -------------------------------------------------------------------

    def test_a_run_shares_what_its_parent_holds(self, bench: Bench) -> None:
        parent = bench.running(limited())
        children = bench.spawn(parent, *(limited(parent=parent) for _ in range(3)))

        assert bench.claim_ids() == children

    def test_a_run_shares_what_an_ancestor_holds(self, bench: Bench) -> None:
        root = bench.running(limited())
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        (leaf,) = bench.spawn(middle, limited(parent=middle))

        assert bench.claim_ids() == [leaf]

    def test_sharing_runs_take_no_room_from_others(self, bench: Bench) -> None:
        parent = bench.running(limited(limit=2))
        bench.spawn(parent, limited(limit=2, parent=parent))
        bench.claim()

        other = bench.start(limited(limit=2))

        assert bench.claim_ids() == [other]

    def test_the_end_of_a_sharing_run_makes_no_room(self, bench: Bench) -> None:
        parent = bench.running(limited())
        bench.spawn(parent, limited(parent=parent))
        child = bench.claim_one()
        bench.start(limited())

        bench.end(child)

        assert bench.claim_ids() == []

    def test_a_holding_goes_with_its_run_also_if_others_share_it(self, bench: Bench) -> None:
        parent = bench.running(limited())
        bench.spawn(parent, limited(parent=parent))
        child = bench.claim_one()
        other = bench.start(limited())

        bench.end(parent)

        assert bench.claim_ids() == [other]
        bench.release(child)
        assert bench.claim_ids() == []  # it has to have one of its own now
        bench.end(bench.run(other))
        assert bench.claim_ids() == [child.id]

    def test_a_suspect_gets_the_room_that_a_claim_for_others_has_left(self, bench: Bench) -> None:
        parent = bench.running(limited())
        (suspect,) = bench.spawn(parent, limited(parent=parent, priority=-1))
        bench.lose(suspect, times=2)
        bench.end(parent)
        first, second = bench.start(limited()), bench.start(limited())
        bench.claim()
        assert bench.claim_ids(bench.request(suspects=True)) == []
        bench.end(bench.run(first))  # its slot is offered to the second

        assert bench.claim_ids(bench.request(suspects=True)) == [suspect]
        assert bench.claim_ids() == []
        bench.end(bench.run(suspect))
        assert bench.claim_ids() == [second]

    @pytest.mark.parametrize("priority", [0, -1])
    def test_a_child_that_waits_shares_what_its_parent_takes(self, bench: Bench, priority: int) -> None:
        parent, child = retried_family(bench, limited, priority=priority)
        holder = waited_for(bench)
        bench.end(holder)

        assert bench.claim_ids(bench.request(limit=1)) == [parent]
        assert bench.claim_ids() == [child]

    def test_a_child_that_waits_is_claimed_beside_its_parent(self, bench: Bench) -> None:
        family = retried_family(bench, limited)
        holder = waited_for(bench)
        bench.end(holder)

        assert bench.claim_ids() == family

    def test_a_child_that_comes_before_its_parent_takes_the_key_first(self, bench: Bench) -> None:
        parent, child = retried_family(bench, limited, priority=1)
        holder = waited_for(bench)
        bench.end(holder)

        assert bench.claim_ids() == [child]
        bench.end(bench.run(child))
        assert bench.claim_ids() == [parent]

    def test_a_child_that_was_passed_over_shares_what_its_parent_takes(self, bench: Bench) -> None:
        parent = bench.running(limited(limit=2))
        (child,) = bench.spawn(parent, limited(limit=1, parent=parent, priority=1))
        bench.end(parent, FAILED)
        bench.running(limited())
        bench.retry(parent.id)

        # The child comes first and has no room; its parent states a wider limit.
        result = bench.commit(claim=bench.request(limit=1))

        assert [claimed.run.id for claimed in result.claimed] == [parent.id]
        assert (bench.status(child), result.ring.work) == (RunStatus.QUEUED, True)
        assert bench.claim_ids() == [child]

    def test_a_child_that_was_passed_over_is_claimed_behind_its_parent(self, bench: Bench) -> None:
        parent = bench.running(limited(limit=2))
        (child,) = bench.spawn(parent, limited(limit=1, parent=parent, priority=1))
        bench.end(parent, FAILED)
        bench.running(limited())
        bench.retry(parent.id)

        assert bench.claim_ids() == [parent.id, child]

    def test_what_waits_far_below_shares_what_an_ancestor_takes(self, bench: Bench) -> None:
        root = bench.running(limited())
        bench.spawn(root, new_run(parent=root))
        middle = bench.claim_one()
        (leaf,) = bench.spawn(middle, limited(parent=middle))
        bench.end(middle, FAILED)
        bench.end(root, FAILED)
        holder = bench.running(limited())
        bench.retry(root.id)
        assert bench.claim_ids() == [middle.id]
        bench.end(holder)

        assert bench.claim_ids(bench.request(limit=1)) == [root.id]
        assert bench.claim_ids() == [leaf]

    def test_a_child_that_lacks_another_key_goes_on_waiting(self, bench: Bench) -> None:
        parent = bench.running(limited())
        (child,) = bench.spawn(parent, new_run(limits=[Limit("k", 1), Limit("other", 1)], parent=parent))
        bench.end(parent, FAILED)
        holder, other = bench.running(limited()), bench.running(limited("other"))
        bench.retry(parent.id)
        assert bench.claim_ids() == []
        bench.end(holder)

        assert bench.claim_ids() == [parent.id]
        assert bench.run(child).wait_reason is WaitReason.SLOT
        bench.end(other)
        assert bench.claim_ids() == [child]

    def test_a_slot_that_a_sharing_run_was_offered_is_left_to_the_next(self, bench: Bench) -> None:
        def wide(parent: Run | None = None, priority: int = 0) -> NewRun:
            return limited(limit=2, parent=parent, priority=priority)

        family = retried_family(bench, wide)
        holders = [bench.run(bench.start(wide(priority=1))) for _ in range(2)]
        runs = claimed_runs(bench)
        assert list(runs) == [holder.id for holder in holders]
        next_one = bench.start(wide())
        assert bench.claim_ids() == []
        bench.commit(*(RunUnit(run_id=run.id, epoch=run.epoch, then=COMPLETED) for run in runs.values()))

        assert bench.claim_ids() == [*family, next_one]

    def test_what_waits_behind_an_offer_that_nobody_takes_keeps_its_place(self, bench: Bench) -> None:
        holder = bench.running(limited())
        bench.start(new_run(definition=OTHER, limits=[Limit("k", 1)], priority=9))
        assert bench.claim_ids(bench.request(serves=[OTHER])) == []
        first = bench.start(limited(priority=1))
        assert bench.claim_ids() == []
        second = bench.start()
        bench.end(holder)

        assert bench.claim_ids(bench.request(limit=1)) == [first]
        assert bench.claim_ids() == [second]

    def test_siblings_do_not_share(self, bench: Bench) -> None:
        parent = bench.running()
        first, _ = bench.spawn(parent, limited(parent=parent), limited(parent=parent))

        assert bench.claim_ids() == [first]

    def test_a_parent_that_holds_another_key_shares_nothing(self, bench: Bench) -> None:
        parent = bench.running(limited("other"))
        bench.start(limited())
        (child,) = bench.spawn(parent, limited(parent=parent))

        assert child not in bench.claim_ids(bench.request(serves=[DEFINITION]))
