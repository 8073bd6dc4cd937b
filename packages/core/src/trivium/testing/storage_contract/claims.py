"""Contract: who gets which runs, in what order, and when those that wait for a time are due."""

from __future__ import annotations

import pytest

from trivium.ids import new_run_id, new_worker_id
from trivium.model.commit import RunUnit, StartUnit
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.runs import Definition
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.storage_contract.bench import COMPLETED, DEFINITION, Bench, applied, entry, new_run

OTHER = Definition.of("test", "other", {}, frozenset({"action:rare"}))


class Claims:
    def test_a_claimed_run_is_owned_and_running_under_a_new_epoch(self, bench: Bench) -> None:
        run_id = bench.start()

        (claimed,) = bench.claim()

        run = claimed.run
        assert (run.id, run.status, run.owner, run.epoch) == (run_id, RunStatus.RUNNING, bench.me, 1)
        assert run.first_claimed_at == bench.clock.now()
        assert run == bench.run(run_id)
        assert claimed.definition == DEFINITION
        assert (list(claimed.entries), list(claimed.inbox)) == ([], [])
        assert bench.storage.owned(bench.me) == {run_id: (1, 0)}

    def test_a_run_is_claimed_once(self, bench: Bench) -> None:
        bench.start()
        other = bench.worker()

        first, second = bench.claim(), bench.claim(bench.request(other))

        assert (len(first), len(second)) == (1, 0)

    def test_a_claim_gives_no_more_than_its_limit(self, bench: Bench) -> None:
        ids = bench.starts(5)

        assert bench.claim_ids(bench.request(limit=2)) == ids[:2]
        assert bench.claim_ids(bench.request(limit=0)) == []
        assert bench.claim_ids(bench.request(limit=9)) == ids[2:]

    def test_higher_priority_goes_first_then_the_older(self, bench: Bench) -> None:
        low = bench.start(new_run(priority=-1))
        first, second = bench.starts(2)
        high = bench.start(new_run(priority=7))

        assert bench.claim_ids() == [high, first, second, low]

    def test_priority_counts_across_queues_and_needs(self, bench: Bench) -> None:
        one = bench.start(new_run(priority=1, queue="a"))
        three = bench.start(new_run(priority=3, definition=OTHER, queue="b"))
        two = bench.start(new_run(priority=2))

        request = bench.request(serves=[DEFINITION, OTHER])

        assert bench.claim_ids(request) == [three, two, one]

    def test_a_run_that_comes_back_keeps_its_place(self, bench: Bench) -> None:
        first, second = bench.starts(2)
        runs = [claimed.run for claimed in bench.claim()]
        for run in reversed(runs):
            bench.release(run)

        assert bench.claim_ids() == [first, second]

    def test_a_worker_gets_only_what_it_serves(self, bench: Bench) -> None:
        bench.start(new_run(definition=OTHER))
        mine = bench.start()

        assert bench.claim_ids() == [mine]
        assert bench.claim_ids(bench.request(serves=[])) == []

    def test_a_worker_gets_only_from_its_queues(self, bench: Bench) -> None:
        slow = bench.start(new_run(queue="slow"))
        bench.start()

        assert bench.claim_ids(bench.request(queues=frozenset({"slow", "none"}))) == [slow]
        assert bench.claim_ids(bench.request(queues=frozenset())) == []

    def test_a_worker_may_want_only_certain_trees(self, bench: Bench) -> None:
        root = bench.running()
        bench.start()
        (child,) = bench.spawn(root, new_run(parent=root))

        assert bench.claim_ids(bench.request(roots=frozenset())) == []
        assert bench.claim_ids(bench.request(roots=frozenset({root.id}))) == [child]

    def test_trees_are_claimed_by_priority_and_only_as_served(self, bench: Bench) -> None:
        root = bench.running()
        low, foreign, high = bench.spawn(
            root,
            new_run(parent=root),
            new_run(parent=root, definition=OTHER, priority=9),
            new_run(parent=root, priority=5),
        )
        request = bench.request(roots=frozenset({root.id}))

        assert bench.claim_ids(request) == [high, low]
        assert bench.status(foreign) is RunStatus.QUEUED

    @pytest.mark.parametrize("queues", [None, frozenset({"default", "slow"})], ids=["any queue", "two queues"])
    def test_several_trees_are_claimed_in_one_order(self, bench: Bench, queues: frozenset[str] | None) -> None:
        first, second, third = [bench.running() for _ in range(3)]
        a, b = bench.spawn(first, new_run(parent=first, queue="slow"), new_run(parent=first, priority=1))
        c, d = bench.spawn(second, new_run(parent=second, priority=2), new_run(parent=second))
        bench.spawn(third, new_run(parent=third, priority=9))
        (e,) = bench.spawn(first, new_run(parent=first))
        request = bench.request(limit=3, roots=frozenset({first.id, second.id, new_run_id()}), queues=queues)

        assert bench.claim_ids(request) == [c, b, a]
        assert bench.claim_ids(request) == [d, e]

    def test_a_worker_that_is_not_present_gets_nothing(self, bench: Bench) -> None:
        run_id = bench.start()

        assert bench.claim_ids(bench.request(new_worker_id())) == []
        assert bench.status(run_id) is RunStatus.QUEUED

    def test_a_buried_worker_gets_nothing(self, bench: Bench) -> None:
        buried = bench.worker()
        bench.bury(buried)
        run_id = bench.start()

        assert bench.claim_ids(bench.request(buried)) == []
        assert bench.status(run_id) is RunStatus.QUEUED

    def test_the_claim_of_a_batch_sees_what_its_units_did(self, bench: Bench) -> None:
        new = new_run()

        result = bench.commit(StartUnit(new), claim=bench.request())

        assert [claimed.run.id for claimed in result.claimed] == [new.id]

    def test_a_second_owner_gets_the_journal(self, bench: Bench) -> None:
        run = bench.running()
        bench.write(run, entry(1), entry(0))
        bench.release(run)

        (claimed,) = bench.claim()

        assert list(claimed.entries) == [entry(0), entry(1)]
        assert claimed.run.epoch == 2

    # --- due times -------------------------------------------------------------------------------

    def test_a_parked_run_is_claimed_when_its_time_has_come(self, bench: Bench) -> None:
        run = bench.parked(WaitReason.TIMER, bench.in_seconds(10))
        bench.clock.advance(9.999_999)
        assert bench.claim_ids() == []

        bench.clock.advance(0.000_001)
        (claimed,) = bench.claim()

        assert claimed.run.id == run.id
        assert (claimed.run.wait_reason, claimed.run.due_at) == (None, None)
        assert claimed.run.wake_seq == run.wake_seq

    def test_a_run_with_a_time_is_claimed_when_that_has_come(self, bench: Bench) -> None:
        run_id = bench.start(new_run(not_before=bench.in_seconds(10)))
        bench.clock.advance(10)

        assert bench.claim_ids() == [run_id]

    def test_runs_that_are_due_queue_by_priority_not_by_time(self, bench: Bench) -> None:
        low = bench.start(new_run(not_before=bench.in_seconds(1)))
        high = bench.start(new_run(not_before=bench.in_seconds(2), priority=1))
        bench.clock.advance(3)

        assert bench.claim_ids() == [high, low]

    def test_a_claim_queues_also_those_due_runs_that_it_does_not_serve(self, bench: Bench) -> None:
        run_id = bench.start(new_run(definition=OTHER, not_before=bench.in_seconds(1)))
        bench.clock.advance(1)

        bench.claim()

        run = bench.run(run_id)
        assert (run.status, run.wait_reason, run.due_at) == (RunStatus.QUEUED, None, None)

    def test_a_run_that_was_woken_before_its_time_is_not_woken_again(self, bench: Bench) -> None:
        run = bench.parked(WaitReason.SIGNAL, bench.in_seconds(5))
        bench.signal(run.id)
        again = bench.claim_one()
        bench.park(again)
        bench.clock.advance(10)

        assert bench.claim_ids() == []

    def test_a_claim_says_when_the_next_run_is_due(self, bench: Bench) -> None:
        bench.start(new_run(not_before=bench.in_seconds(30)))
        soon = bench.in_seconds(20)
        bench.start(new_run(definition=OTHER, not_before=soon))
        past = bench.start(new_run(not_before=bench.in_seconds(10)))
        bench.clock.advance(10)

        result = bench.commit(claim=bench.request())

        assert [claimed.run.id for claimed in result.claimed] == [past]
        assert result.next_due == soon

    def test_without_timers_nothing_is_due(self, bench: Bench) -> None:
        bench.parked()

        assert bench.commit(claim=bench.request()).next_due is None

    # --- suspects --------------------------------------------------------------------------------

    def test_a_run_that_lost_one_owner_is_claimed_like_others(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id)

        run = bench.claim_one()

        assert (run.id, run.losses) == (run_id, 1)

    def test_a_run_that_lost_two_owners_is_left_out_but_announced(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id, times=2)
        other = bench.start()

        result = bench.commit(claim=bench.request())

        assert [claimed.run.id for claimed in result.claimed] == [other]
        assert result.suspects

    def test_a_suspect_is_claimed_alone(self, bench: Bench) -> None:
        first = bench.start()
        bench.lose(first, times=2)
        second = bench.start()
        bench.lose(second, times=2)
        bench.start()

        result = bench.commit(claim=bench.request(suspects=True))

        assert [(claimed.run.id, claimed.run.losses) for claimed in result.claimed] == [(first, 2)]
        assert result.suspects  # the second

    def test_without_suspects_a_claim_for_one_gives_nothing(self, bench: Bench) -> None:
        bench.start()

        result = bench.commit(claim=bench.request(suspects=True))

        assert (list(result.claimed), result.suspects) == ([], False)

    def test_suspects_that_are_not_served_are_not_announced(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id, times=2)

        assert not bench.commit(claim=bench.request(serves=[OTHER])).suspects
        assert not bench.commit(claim=bench.request(queues=frozenset({"slow"}))).suspects
        assert not bench.commit(claim=bench.request(roots=frozenset())).suspects

    def test_any_commit_of_a_run_takes_its_losses_away(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id, times=2)
        run = bench.claim_one(bench.request(suspects=True))

        bench.write(run, entry(0))

        assert bench.run(run_id).losses == 0
        bench.release(run)
        assert bench.claim_ids() == [run_id]

    def test_an_effect_that_is_intended_or_taken_back_takes_no_losses_away(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id, times=2)
        run = bench.claim_one(bench.request(suspects=True))

        for status in (EffectStatus.INTENDED, EffectStatus.UNKNOWN, None):
            change = EffectChange(scope="s", key="k", status=status, step_key="x")
            applied(bench.one(RunUnit(run_id=run_id, epoch=run.epoch, effects=[change])))

        assert bench.run(run_id).losses == 2

    def test_an_effect_that_is_confirmed_takes_the_losses_away(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id, times=2)
        run = bench.claim_one(bench.request(suspects=True))

        for status in (EffectStatus.INTENDED, EffectStatus.CONFIRMED):
            change = EffectChange(scope="s", key="k", status=status, step_key="x")
            applied(bench.one(RunUnit(run_id=run_id, epoch=run.epoch, effects=[change])))

        assert bench.run(run_id).losses == 0

    def test_a_suspect_that_ends_is_none(self, bench: Bench) -> None:
        run_id = bench.start()
        bench.lose(run_id, times=2)
        run = bench.claim_one(bench.request(suspects=True))

        bench.end(run, COMPLETED)

        assert not bench.commit(claim=bench.request()).suspects
