"""Contract: starting runs, keys, definitions and needs."""

from __future__ import annotations

import pytest

from trivium.clock import SECOND, Micros
from trivium.errors import Conflict, KeyConflict
from trivium.ids import DefinitionId, RunId, new_run_id
from trivium.model.commit import End, RunUnit, Started, StartUnit
from trivium.model.runs import Cause, Definition, Limit, Run
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.storage_contract.bench import (
    CANCELLED,
    COMPLETED,
    DEFINITION,
    FAILED,
    Bench,
    applied,
    new_run,
    refused,
    text,
)


class Starts:
    def test_a_started_run_is_queued_and_holds_what_it_was_started_with(self, bench: Bench) -> None:
        new = new_run(
            target="test:it",
            inputs=text({"n": 1}),
            key="k",
            queue="slow",
            priority=3,
            labels={"team": "a"},
            cause=Cause(new_run_id(), "step"),
            timeout=Micros(5 * SECOND),
        )

        result = bench.one(StartUnit(new))

        assert list(applied(result).started) == [Started(new.id, status=RunStatus.QUEUED)]
        assert bench.run(new.id) == Run(
            id=new.id,
            kind="test",
            name="plain",
            target="test:it",
            definition_id=DEFINITION.id,
            status=RunStatus.QUEUED,
            inputs=text({"n": 1}),
            queue="slow",
            priority=3,
            root_id=new.id,
            epoch=0,
            generation=0,
            wake_seq=0,
            losses=0,
            created_at=bench.clock.now(),
            key="k",
            cause=new.cause,
            labels={"team": "a"},
            timeout=Micros(5 * SECOND),
        )

    def test_a_child_knows_its_parent_and_its_root(self, bench: Bench) -> None:
        root = bench.running()
        (child_id,) = bench.spawn(root, new_run(parent=root))
        (below_id,) = bench.spawn(bench.claim_one(), new_run(parent=bench.run(child_id)))

        below = bench.run(below_id)

        assert (below.parent_id, below.root_id) == (child_id, root.id)
        assert below.cause == Cause(child_id, "spawn")

    def test_what_is_not_there_is_none_or_empty(self, bench: Bench) -> None:
        nobody = new_run_id()
        storage = bench.storage

        assert storage.run(nobody) is None
        assert storage.statuses([nobody]) == {}
        assert list(storage.entries(nobody)) == []
        assert (storage.inbox(nobody)[0], list(storage.inbox(nobody)[1])) == (0, [])
        assert list(storage.notes(nobody)) == []
        assert storage.definition(DefinitionId("none")) is None
        assert storage.effect("nothing", "at all") is None

    def test_statuses_are_given_of_those_that_exist(self, bench: Bench) -> None:
        queued, nobody = bench.start(), new_run_id()

        assert bench.storage.statuses([queued, nobody]) == {queued: RunStatus.QUEUED}

    def test_a_run_with_a_time_waits_for_it(self, bench: Bench) -> None:
        later = bench.in_seconds(60)

        started = bench.started(new_run(not_before=later))

        run = bench.run(started.run_id)
        assert started.status is RunStatus.WAITING
        assert (run.status, run.wait_reason, run.due_at) == (RunStatus.WAITING, WaitReason.TIMER, later)
        assert bench.claim_ids() == []

    def test_a_run_whose_time_has_passed_is_queued_at_once(self, bench: Bench) -> None:
        run = bench.run(bench.start(new_run(not_before=bench.clock.now())))

        assert (run.status, run.due_at) == (RunStatus.QUEUED, None)

    # --- definitions and needs -------------------------------------------------------------------

    def test_a_definition_is_given_back_as_it_was(self, bench: Bench) -> None:
        definition = Definition.of("flow", "größer", {"b": [1, 2.5, None], "a": "🦜"}, frozenset({"action:x"}))

        bench.start(new_run(definition=definition))

        assert bench.storage.definition(definition.id) == definition

    def test_needs_are_interned_once_for_equal_sets(self, bench: Bench) -> None:
        first = Definition.of("flow", "one", {}, frozenset({"action:a", "action:b"}))
        second = Definition.of("flow", "two", {}, frozenset({"action:b", "action:a"}))
        bench.start(new_run(definition=first))
        bench.start(new_run(definition=second))

        assert bench.storage.needs() == {first.needs_id: frozenset({"action:a", "action:b", "driver:flow"})}

    # --- keys ------------------------------------------------------------------------------------

    def test_the_same_key_and_inputs_are_the_same_run(self, bench: Bench) -> None:
        first = bench.start(new_run(key="k", inputs=text(1)))

        again = bench.started(new_run(key="k", inputs=text(1)))

        assert again == Started(first, existed=True, status=RunStatus.QUEUED)

    @pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=lambda end: str(end.status))
    def test_a_key_finds_its_run_also_when_that_has_ended(self, bench: Bench, end: End) -> None:
        run = bench.running(new_run(key="k"))
        bench.end(run, end)

        again = bench.started(new_run(key="k"))

        assert (again.run_id, again.existed, again.status) == (run.id, True, bench.status(run.id))

    def test_a_key_finds_its_run_under_another_definition(self, bench: Bench) -> None:
        first = bench.start(new_run(key="k"))
        edited = Definition.of("test", "plain", {"steps": ["more"]})

        again = bench.started(new_run(key="k", definition=edited))

        assert again.run_id == first
        assert bench.run(first).definition_id == DEFINITION.id

    def test_a_key_with_other_inputs_is_refused(self, bench: Bench) -> None:
        first = bench.start(new_run(key="k", inputs=text(1)))
        other = new_run(key="k", inputs=text(2))

        error = refused(bench.one(StartUnit(other)), KeyConflict)

        assert error.run_id == first
        assert bench.storage.run(other.id) is None

    def test_a_key_belongs_to_its_target(self, bench: Bench) -> None:
        first = bench.start(new_run(key="k", target="test:a"))

        second = bench.started(new_run(key="k", target="test:b"))

        assert (second.existed, second.run_id == first) == (False, False)

    def test_of_two_equal_starts_in_one_batch_the_second_finds_the_first(self, bench: Bench) -> None:
        first, second = new_run(key="k"), new_run(key="k")

        results = bench.commit(StartUnit(first), StartUnit(second)).results

        assert [applied(result).started[0].run_id for result in results] == [first.id, first.id]
        assert [applied(result).started[0].existed for result in results] == [False, True]
        assert bench.storage.run(second.id) is None

    def test_of_two_unequal_starts_with_one_key_in_one_batch_the_second_is_refused(self, bench: Bench) -> None:
        first, second = new_run(key="k", inputs=text(1)), new_run(key="k", inputs=text(2))

        results = bench.commit(StartUnit(first), StartUnit(second)).results

        assert applied(results[0]).started[0].run_id == first.id
        refused(results[1], KeyConflict)

    def test_a_start_with_the_same_id_is_the_same_start_again(self, bench: Bench) -> None:
        new = new_run(inputs=text([1]))
        bench.start(new)

        again = bench.started(new)

        assert again == Started(new.id, existed=True, status=RunStatus.QUEUED)
        assert bench.claim_ids() == [new.id]

    def test_another_start_with_a_taken_id_is_refused(self, bench: Bench) -> None:
        taken = bench.start(new_run(inputs=text(1)))

        refused(bench.one(StartUnit(new_run(run_id=taken, inputs=text(2)))), Conflict)

        assert bench.run(taken).inputs == text(1)

    def test_a_unit_with_a_refused_start_leaves_nothing_of_itself(self, bench: Bench) -> None:
        bench.start(new_run(key="k", inputs=text(1)))
        run = bench.claim_one()
        definition = Definition.of("test", "new", {"only": "here"}, frozenset({"action:rare"}))
        good, bad = new_run(definition=definition, key="fresh"), new_run(key="k", inputs=text(2))

        refused(bench.one(RunUnit(run_id=run.id, epoch=run.epoch, starts=(good, bad))), KeyConflict)

        assert bench.storage.run(good.id) is None
        assert bench.storage.definition(definition.id) is None
        assert not bench.started(new_run(key="fresh")).existed

    # --- claimed by their starter ----------------------------------------------------------------

    def test_a_start_may_be_claimed_by_its_starter(self, bench: Bench) -> None:
        started = bench.started(new_run(claim_by=bench.me))

        run = bench.run(started.run_id)
        assert (started.claimed, started.status) == (True, RunStatus.RUNNING)
        assert (run.status, run.owner, run.epoch) == (RunStatus.RUNNING, bench.me, 1)
        assert run.first_claimed_at == bench.clock.now()
        assert bench.storage.owned(bench.me) == {run.id: (1, 0)}

    def test_a_start_is_not_claimed_past_a_queued_run_of_higher_priority(self, bench: Bench) -> None:
        bench.start(new_run(priority=2))

        assert not bench.started(new_run(priority=1, claim_by=bench.me)).claimed

    def test_a_start_is_not_claimed_past_a_suspect_of_higher_priority(self, bench: Bench) -> None:
        suspect = bench.start(new_run(priority=2))
        bench.lose(suspect, times=2)

        assert not bench.started(new_run(priority=1, claim_by=bench.me)).claimed

    def test_a_start_is_claimed_past_queued_runs_that_are_not_higher_or_elsewhere(self, bench: Bench) -> None:
        bench.start(new_run(priority=1))
        bench.start(new_run(priority=9, queue="elsewhere"))

        assert bench.started(new_run(priority=1, claim_by=bench.me)).claimed

    def test_a_start_with_limits_is_never_claimed_at_once(self, bench: Bench) -> None:
        started = bench.started(new_run(limits=[Limit("k", 5)], claim_by=bench.me))

        assert (started.claimed, started.status) == (False, RunStatus.QUEUED)

    def test_a_start_for_later_is_not_claimed_at_once(self, bench: Bench) -> None:
        started = bench.started(new_run(not_before=bench.in_seconds(1), claim_by=bench.me))

        assert (started.claimed, started.status) == (False, RunStatus.WAITING)

    def test_a_start_is_not_claimed_for_a_worker_that_is_not_present(self, bench: Bench) -> None:
        gone = bench.worker()
        bench.bury(gone)

        assert not bench.started(new_run(claim_by=gone)).claimed

    def test_a_start_that_existed_is_not_claimed(self, bench: Bench) -> None:
        first = bench.start(new_run(key="k"))

        assert not bench.started(new_run(key="k", claim_by=bench.me)).claimed
        assert bench.run(first).owner is None

    def test_the_batch_has_one_time(self, bench: Bench) -> None:
        first, second = new_run(), new_run()

        bench.commit(StartUnit(first), StartUnit(second))

        assert bench.run(first.id).created_at == bench.run(second.id).created_at

    def test_ids_keep_the_order_in_which_runs_were_made(self, bench: Bench) -> None:
        made: list[RunId] = bench.starts(3)

        assert bench.claim_ids() == made
