"""Contract: the journal, its fence, and what a unit and a batch are."""

from __future__ import annotations

import pytest

from trivium.clock import Micros
from trivium.errors import Conflict, MoveNotAllowed, NoChannels, NotFound
from trivium.ids import RunId, new_run_id
from trivium.json import JsonText
from trivium.model.commit import (
    Applied,
    End,
    NewMessage,
    NewSignal,
    Park,
    RunUnit,
    SignalUnit,
    Stale,
    StartUnit,
    Woken,
)
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import FailureKind, RunStatus, StepStatus, WaitReason
from trivium.storage.port import Capability
from trivium.testing.storage_contract.bench import COMPLETED, Bench, applied, entry, new_run, refused, text


class Journals:
    def test_entries_are_given_back_by_seq_with_everything_in_them(self, bench: Bench) -> None:
        run = bench.running()
        full = Entry(
            seq=7,
            key="review[3]",
            kind=EntryKind.CHILD,
            name="check",
            status=StepStatus.FAILED,
            generation=0,
            attempts=3,
            input_hash="abc",
            output=text({"a": [1, "x"]}),
            error=Failure(code="TRV-4010", message="no", kind=FailureKind.TIMEOUT, type="ValueError", traceback="at"),
            wait_reason=WaitReason.RETRY,
            due_at=Micros(5),
            child_id=new_run_id(),
            started_at=Micros(3),
            finished_at=Micros(4),
        )

        bench.write(run, full, entry(2), entry(5))

        assert list(bench.storage.entries(run.id)) == [entry(2), entry(5), full]

    def test_an_entry_under_a_taken_seq_replaces_it(self, bench: Bench) -> None:
        run = bench.running()
        bench.write(run, entry(0, status=StepStatus.RUNNING), entry(1))

        bench.write(run, entry(0, output=text("done")))

        assert list(bench.storage.entries(run.id)) == [entry(0, output=text("done")), entry(1)]

    def test_one_unit_may_replace_its_own_entry(self, bench: Bench) -> None:
        run = bench.running()

        bench.write(run, entry(0, status=StepStatus.RUNNING), entry(0, output=text(2)))

        assert list(bench.storage.entries(run.id)) == [entry(0, output=text(2))]

    def test_entries_are_read_in_pages(self, bench: Bench) -> None:
        run = bench.running()
        bench.write(run, *(entry(seq) for seq in range(0, 10, 2)))

        first = bench.storage.entries(run.id, limit=2)
        second = bench.storage.entries(run.id, after=first[-1].seq, limit=2)

        assert [each.seq for each in first] == [0, 2]
        assert [each.seq for each in second] == [4, 6]
        assert [each.seq for each in bench.storage.entries(run.id, after=6)] == [8]

    def test_two_runs_have_journals_of_their_own(self, bench: Bench) -> None:
        bench.starts(2)
        one, two = [claimed.run for claimed in bench.claim()]

        bench.write(one, entry(0, "mine"))

        assert list(bench.storage.entries(two.id)) == []

    def test_notes_stand_in_the_history_in_order(self, bench: Bench) -> None:
        run = bench.running()
        bench.one(RunUnit(run_id=run.id, epoch=run.epoch, notes=("first", "second")))
        bench.clock.advance(1)
        bench.one(RunUnit(run_id=run.id, epoch=run.epoch, notes=("third",)))

        notes = bench.storage.notes(run.id)

        assert [note.text for note in notes] == ["first", "second", "third"]
        assert [note.seq for note in notes] == sorted({note.seq for note in notes})
        assert notes[2].at - notes[0].at == 1_000_000

    # --- the fence -------------------------------------------------------------------------------

    @pytest.mark.parametrize("wrong", [-1, 1])
    def test_a_unit_under_another_epoch_is_stale_and_writes_nothing(self, bench: Bench, wrong: int) -> None:
        run = bench.running()

        result = bench.write(run, entry(0), epoch=run.epoch + wrong)

        assert result == Stale()
        assert list(bench.storage.entries(run.id)) == []

    def test_a_unit_of_a_run_that_is_not_there_is_stale(self, bench: Bench) -> None:
        assert bench.one(RunUnit(run_id=new_run_id(), epoch=1)) == Stale()

    def test_a_unit_of_a_queued_run_is_stale(self, bench: Bench) -> None:
        run_id = bench.start()

        assert bench.one(RunUnit(run_id=run_id, epoch=0, entries=(entry(0),))) == Stale()

    def test_a_unit_of_a_parked_run_is_stale(self, bench: Bench) -> None:
        run = bench.parked()

        assert bench.write(run, entry(0)) == Stale()

    def test_a_unit_of_an_ended_run_is_stale(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run)

        assert bench.write(run, entry(0)) == Stale()

    def test_a_zombie_writes_nothing_after_a_takeover(self, bench: Bench) -> None:
        zombie = bench.worker("zombie")
        run = bench.running(worker=zombie)
        bench.bury(zombie)
        taken = bench.claim_one()
        started, target = new_run(), bench.start()

        unit = RunUnit(
            run_id=run.id,
            epoch=run.epoch,
            entries=(entry(0),),
            starts=(started,),
            signals=(NewSignal(target, "go"),),
            notes=("zombie was here",),
            then=COMPLETED,
        )
        result = bench.one(unit)

        assert result == Stale()
        assert bench.run(run.id) == taken
        assert list(bench.storage.entries(run.id)) == []
        assert bench.storage.run(started.id) is None
        assert bench.run(target).wake_seq == 0
        assert "zombie was here" not in bench.notes(run.id)

    def test_a_stale_unit_does_not_disturb_its_neighbours(self, bench: Bench) -> None:
        bench.starts(3)
        one, two, three = [claimed.run for claimed in bench.claim()]

        results = bench.commit(
            RunUnit(run_id=one.id, epoch=one.epoch, entries=(entry(0),)),
            RunUnit(run_id=two.id, epoch=two.epoch + 1, entries=(entry(0),)),
            RunUnit(run_id=three.id, epoch=three.epoch, entries=(entry(0),)),
        ).results

        assert [type(result) for result in results] == [Applied, Stale, Applied]
        assert [len(bench.storage.entries(run.id)) for run in (one, two, three)] == [1, 0, 1]

    # --- the order of units ----------------------------------------------------------------------

    def test_two_units_of_one_run_in_one_batch_are_applied_in_order(self, bench: Bench) -> None:
        run = bench.running()

        results = bench.commit(
            RunUnit(run_id=run.id, epoch=run.epoch, entries=(entry(0, output=text("old")),)),
            RunUnit(run_id=run.id, epoch=run.epoch, entries=(entry(0, output=text("new")),)),
        ).results

        assert [type(result) for result in results] == [Applied, Applied]
        assert list(bench.storage.entries(run.id)) == [entry(0, output=text("new"))]

    def test_a_unit_after_its_runs_end_in_the_same_batch_is_stale(self, bench: Bench) -> None:
        run = bench.running()

        results = bench.commit(
            RunUnit(run_id=run.id, epoch=run.epoch, then=COMPLETED),
            RunUnit(run_id=run.id, epoch=run.epoch, entries=(entry(0),)),
        ).results

        assert [type(result) for result in results] == [Applied, Stale]
        assert list(bench.storage.entries(run.id)) == []

    def test_a_unit_may_signal_the_run_that_it_starts(self, bench: Bench) -> None:
        run = bench.running()
        new = new_run()

        applied(
            bench.one(RunUnit(run_id=run.id, epoch=run.epoch, starts=(new,), signals=(NewSignal(new.id, "hello"),)))
        )

        assert [item.name for item in bench.storage.inbox(new.id)[1]] == ["hello"]

    def test_a_batch_may_signal_and_claim_the_run_that_it_starts(self, bench: Bench) -> None:
        new = new_run()

        result = bench.commit(StartUnit(new), SignalUnit(NewSignal(new.id, "hello")), claim=bench.request())

        (claimed,) = result.claimed
        assert [item.name for item in claimed.inbox] == ["hello"]

    # --- refusals --------------------------------------------------------------------------------

    def test_a_refused_verb_takes_its_whole_unit_with_it(self, bench: Bench) -> None:
        run = bench.running()
        target, started = bench.start(), new_run()

        result = bench.one(
            RunUnit(
                run_id=run.id,
                epoch=run.epoch,
                entries=(entry(0),),
                starts=(started,),
                signals=(NewSignal(target, "go", id="once"), NewSignal(new_run_id(), "nobody")),
                notes=("never",),
                then=COMPLETED,
            )
        )

        refused(result, NotFound)
        assert bench.run(run.id) == run
        assert list(bench.storage.entries(run.id)) == []
        assert bench.storage.run(started.id) is None
        assert (bench.storage.inbox(target)[0], list(bench.storage.inbox(target)[1])) == (0, [])
        assert bench.signal(target, id="once").wake_seq == 1  # its id was not remembered either
        assert bench.notes(run.id) == []

    def test_a_refused_unit_does_not_disturb_its_neighbours(self, bench: Bench) -> None:
        bench.starts(2)
        one, two = [claimed.run for claimed in bench.claim()]

        results = bench.commit(
            RunUnit(run_id=one.id, epoch=1, entries=(entry(0),), signals=(NewSignal(new_run_id(), "nobody"),)),
            RunUnit(run_id=two.id, epoch=1, entries=(entry(0),)),
        ).results

        refused(results[0], NotFound)
        assert isinstance(results[1], Applied)

    def test_a_woken_unit_writes_nothing(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)

        result = bench.one(RunUnit(run_id=run.id, epoch=run.epoch, entries=(entry(0),), expect_wake=0))

        assert result == Woken(1)
        assert list(bench.storage.entries(run.id)) == []

    def test_an_applied_unit_says_how_far_the_inbox_has_come(self, bench: Bench) -> None:
        run = bench.running()
        bench.signal(run.id)
        bench.signal(run.id)

        assert applied(bench.write(run, entry(0))).wake_seq == 2

    def test_a_park_without_the_number_that_was_seen_is_refused(self, bench: Bench) -> None:
        run = bench.running()

        refused(bench.one(RunUnit(run_id=run.id, epoch=1, then=Park(WaitReason.SIGNAL))), Conflict)

        assert bench.run(run.id) == run

    def test_an_end_that_is_none_is_refused(self, bench: Bench) -> None:
        run = bench.running()

        refused(bench.one(RunUnit(run_id=run.id, epoch=1, then=End(RunStatus.WAITING))), MoveNotAllowed)

        assert bench.run(run.id) == run

    def test_messages_are_refused_where_there_are_no_channels(self, bench: Bench) -> None:
        assert Capability.MESSAGES not in bench.storage.capabilities, (
            "a storage with channels has a contract of its own"
        )
        run = bench.running()
        message = NewMessage("orders", JsonText("1"))

        refused(bench.one(RunUnit(run_id=run.id, epoch=1, entries=(entry(0),), messages=(message,))), NoChannels)

        assert list(bench.storage.entries(run.id)) == []

    def test_an_empty_batch_is_nothing(self, bench: Bench) -> None:
        result = bench.commit()

        assert (list(result.results), list(result.claimed), result.next_due, bool(result.ring)) == ([], [], None, False)

    # --- values ----------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "value",
        ["nul \0 inside", "🦜 and ﷽ and \u2028", "x" * 65_537, "ü" * 40_000, ["y" * 100_000] * 3, "'\"\\;--$1 %s :a ?"],
        ids=["nul", "emoji", "over 64 KB", "over 64 KB in bytes", "several blobs' worth", "quotes"],
    )
    def test_values_come_back_to_the_letter(self, bench: Bench, value: object) -> None:
        wanted = text(value)
        run = bench.running(new_run(inputs=wanted))
        bench.signal(run.id, payload=wanted)
        bench.write(run, entry(0, output=wanted))
        (item,) = bench.storage.inbox(run.id)[1]
        bench.end(run, End(RunStatus.COMPLETED, output=wanted))

        (kept,) = bench.storage.entries(run.id)
        assert kept.output == wanted
        assert item.payload == wanted
        assert (bench.run(run.id).inputs, bench.run(run.id).output) == (wanted, wanted)

    def test_a_value_of_five_megabytes_goes_all_the_way(self, bench: Bench) -> None:
        wanted = text("m" * 5_000_000)
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent, inputs=wanted))
        (claimed,) = bench.claim()

        bench.end(claimed.run, End(RunStatus.COMPLETED, output=wanted))

        assert claimed.run.inputs == wanted
        (item,) = bench.storage.inbox(parent.id)[1]
        assert wanted in item.payload

    def test_text_that_is_no_json_comes_back_to_the_letter_too(self, bench: Bench) -> None:
        odd = "nul \0, 🦜, 'quote'"
        run = bench.running(new_run(key=odd, target=odd, queue=odd, labels={odd: odd}))
        bench.signal(run.id, name=odd, id=odd)
        bench.one(RunUnit(run_id=run.id, epoch=1, entries=(entry(0, odd),), notes=(odd,)))
        (item,) = bench.storage.inbox(run.id)[1]

        error = Failure(code="TRV-4010", message=odd, type=odd, traceback=odd * 1000)
        bench.end(run, End(RunStatus.FAILED, error=error))

        kept = bench.run(run.id)
        assert (kept.key, kept.target, kept.queue, kept.labels, kept.error) == (odd, odd, odd, {odd: odd}, error)
        assert (item.name, bench.storage.entries(run.id)[0].key, bench.notes(run.id)) == (odd, odd, [odd])

    def test_a_large_batch_is_one_transaction(self, bench: Bench) -> None:
        new = [new_run() for _ in range(2_000)]
        bench.commit(*map(StartUnit, new))
        runs = bench.claim(bench.request(limit=5_000))

        results = bench.commit(
            *(
                RunUnit(run_id=each.run.id, epoch=1, entries=[entry(seq) for seq in range(5)], then=COMPLETED)
                for each in runs
            )
        ).results

        ids: list[RunId] = [each.id for each in new]
        assert [each.run.id for each in runs] == ids
        assert {type(result) for result in results} == {Applied}
        assert set(bench.storage.statuses(ids).values()) == {RunStatus.COMPLETED}
        assert len(bench.storage.entries(ids[-1])) == 5
