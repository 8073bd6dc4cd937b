"""Contract: presence, beats, and what becomes of the runs of a worker that is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trivium.errors import Conflict
from trivium.ids import new_worker_id
from trivium.model.commit import Stale
from trivium.model.states import RunStatus
from trivium.storage.port import WorkerRecord
from trivium.testing.storage_contract.bench import COMPLETED, Bench, entry


def record_of(bench: Bench, worker_id: str) -> WorkerRecord:
    (record,) = [each for each in bench.storage.workers() if each.id == worker_id]
    return record


class Workers:
    def test_a_worker_stands_among_the_others_while_it_is_present(self, bench: Bench) -> None:
        record = replace(bench.record("ana"), queues=("a", "b"), concurrency=3)

        with bench.storage.presence(record):
            now = bench.clock.now()
            assert record_of(bench, record.id) == replace(record, started_at=now, beat=0, beat_at=now)
        assert record.id not in [each.id for each in bench.storage.workers()]

    def test_workers_are_listed_oldest_first(self, bench: Bench) -> None:
        ids = [bench.me]
        for name in ("a", "b", "c"):
            bench.clock.advance(1)
            ids.append(bench.worker(name))

        assert [each.id for each in bench.storage.workers()] == ids

    def test_a_worker_is_present_once(self, bench: Bench) -> None:
        record = bench.record()

        with bench.storage.presence(record), pytest.raises(Conflict), bench.storage.presence(record):
            pass

    def test_a_record_counts_the_runs_that_the_worker_owns(self, bench: Bench) -> None:
        bench.starts(3)
        bench.claim(bench.request(limit=2))

        assert record_of(bench, bench.me).runs == 2

    def test_a_beat_moves_the_number_and_the_time(self, bench: Bench) -> None:
        before = record_of(bench, bench.me)
        bench.clock.advance(1)

        assert bench.storage.beat(bench.me)

        after = record_of(bench, bench.me)
        assert (after.beat, after.beat_at) == (before.beat + 1, bench.clock.now())

    def test_a_buried_worker_learns_of_it_by_its_beat(self, bench: Bench) -> None:
        buried = bench.worker()
        bench.bury(buried)

        assert not bench.storage.beat(buried)
        assert not bench.storage.beat(new_worker_id())

    def test_on_leaving_the_runs_are_handed_back_without_a_loss(self, bench: Bench) -> None:
        run_id = bench.start()
        record = bench.record()
        with bench.storage.presence(record):
            (claimed,) = bench.claim(bench.request(record.id))

        run = bench.run(run_id)
        assert (run.status, run.owner, run.losses) == (RunStatus.QUEUED, None, 0)
        assert bench.write(claimed.run, entry(0)) == Stale()
        assert bench.claim_ids() == [run_id]

    def test_on_leaving_by_an_error_the_runs_are_handed_back_too(self, bench: Bench) -> None:
        bench.start()
        record = bench.record()

        presence = bench.storage.presence(record)
        presence.__enter__()
        (claimed,) = bench.claim(bench.request(record.id))

        error = KeyError("boom")
        presence.__exit__(KeyError, error, None)

        assert bench.status(claimed.run.id) is RunStatus.QUEUED

    def test_a_buried_worker_leaves_without_a_trace(self, bench: Bench) -> None:
        record = bench.record()
        with bench.storage.presence(record):
            bench.start()
            bench.claim(bench.request(record.id))
            bench.bury(record.id)
            taken = bench.claim_one()

        assert bench.run(taken.id) == taken

    # --- burials ---------------------------------------------------------------------------------

    def test_the_runs_of_a_buried_worker_are_queued_with_a_loss_each(self, bench: Bench) -> None:
        mortal = bench.worker("mortal")
        ids = bench.starts(3)
        runs = [claimed.run for claimed in bench.claim(bench.request(mortal))]

        assert bench.bury(mortal) == 3

        for before in runs:
            run = bench.run(before.id)
            assert (run.status, run.owner, run.losses) == (RunStatus.QUEUED, None, 1)
            assert run.epoch == before.epoch + 1
            assert len(bench.notes(run.id)) == 1
        assert bench.claim_ids() == ids
        assert mortal not in [each.id for each in bench.storage.workers()]

    def test_a_worker_that_beats_is_not_buried(self, bench: Bench) -> None:
        run = bench.running()
        seen = record_of(bench, bench.me).beat
        bench.storage.beat(bench.me)

        assert bench.storage.bury(bench.me, seen) == 0

        assert bench.run(run.id) == run
        assert bench.storage.beat(bench.me)

    def test_a_worker_is_buried_once(self, bench: Bench) -> None:
        mortal = bench.worker()
        run = bench.running(worker=mortal)
        beat = record_of(bench, mortal).beat

        assert (bench.storage.bury(mortal, beat), bench.storage.bury(mortal, beat)) == (1, 0)
        assert bench.run(run.id).losses == 1

    def test_a_worker_without_runs_is_buried_too(self, bench: Bench) -> None:
        mortal = bench.worker()

        assert bench.bury(mortal) == 0

        assert mortal not in [each.id for each in bench.storage.workers()]

    def test_only_what_the_dead_owned_is_handed_back(self, bench: Bench) -> None:
        mortal = bench.worker()
        mine = bench.running()
        parked = bench.running(worker=mortal)
        bench.park(parked)
        ended = bench.running(worker=mortal)
        bench.end(ended, COMPLETED)

        assert bench.bury(mortal) == 0

        assert bench.run(mine.id) == mine
        assert bench.status(parked.id) is RunStatus.WAITING
        assert bench.status(ended.id) is RunStatus.COMPLETED

    def test_losses_add_up_until_a_commit(self, bench: Bench) -> None:
        run_id = bench.start()

        bench.lose(run_id, times=3)

        assert bench.run(run_id).losses == 3

    def test_the_claim_after_a_burial_has_an_epoch_of_its_own(self, bench: Bench) -> None:
        mortal = bench.worker()
        before = bench.running(worker=mortal)
        bench.bury(mortal)

        after = bench.claim_one()

        assert after.epoch == before.epoch + 2
