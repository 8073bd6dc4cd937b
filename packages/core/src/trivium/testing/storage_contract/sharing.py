"""Contract of storages that declare `shared`: two that are open on one URL are one store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from trivium.ids import RunId, new_worker_id
from trivium.model.commit import Park, Ring, RunUnit, Stale, Woken
from trivium.model.runs import Limit
from trivium.model.states import RunStatus, WaitReason
from trivium.testing.clock import TestClock
from trivium.testing.faults import pause_at
from trivium.testing.storage_contract.bench import COMPLETED, Bench, MakeStorage, entry, new_run

PATIENCE = 30.0


class SharedContract:
    """Beside `StorageContract`. The module's `make_storage` gives the same store at every call of one test."""

    @pytest.fixture
    def other(self, make_storage: MakeStorage, clock: TestClock, bench: Bench) -> Iterator[Bench]:
        """A second storage, open on the store of `bench`, with a worker of its own."""
        with make_storage(clock) as storage, ExitStack() as stack:
            assert storage is not bench.storage, "make_storage gives a new object at every call"
            yield Bench(storage, clock, stack)

    def test_what_one_commits_the_other_sees(self, bench: Bench, other: Bench) -> None:
        run_id = bench.start(new_run(key="k"))

        assert other.run(run_id) == bench.run(run_id)
        assert other.started(new_run(key="k")).run_id == run_id

        other.signal(run_id, "hello")
        (claimed,) = bench.claim()
        assert [item.name for item in claimed.inbox] == ["hello"]

    def test_what_one_claims_the_other_does_not_get(self, bench: Bench, other: Bench) -> None:
        bench.start()

        assert (len(bench.claim()), len(other.claim())) == (1, 0)

    def test_workers_see_each_other(self, bench: Bench, other: Bench) -> None:
        assert {bench.me, other.me} <= {worker.id for worker in bench.storage.workers()}
        assert bench.storage.beat(bench.me)
        (seen,) = [worker for worker in other.storage.workers() if worker.id == bench.me]
        assert (seen.beat, seen.gone) == (1, False)

    def test_after_a_takeover_by_the_other_the_first_writes_nothing(self, bench: Bench, other: Bench) -> None:
        run = bench.running()
        assert other.bury(bench.me) == 1
        taken = other.claim_one()

        assert bench.write(run, entry(0)) == Stale()
        assert not bench.storage.beat(bench.me)
        assert bench.run(run.id) == taken

    def test_a_signal_of_the_other_keeps_a_run_from_parking(self, bench: Bench, other: Bench) -> None:
        run = bench.running()
        other.signal(run.id)

        unit = RunUnit(run_id=run.id, epoch=1, expect_wake=0, then=Park(WaitReason.SIGNAL))

        assert bench.one(unit) == Woken(1)

    def test_a_claimer_never_gets_a_run_that_a_commit_under_way_ends(self, bench: Bench, other: Bench) -> None:
        run = bench.running()
        ended = threading.Thread(target=bench.end, args=(run,))
        claimed: list[RunId] = []
        claimer = threading.Thread(target=lambda: claimed.extend(other.claim_ids()))

        with pause_at("storage.commit.inside") as pause:
            ended.start()
            pause.wait_reached()
            claimer.start()
        ended.join(PATIENCE)
        claimer.join(PATIENCE)

        assert claimed == []
        assert other.status(run.id) is RunStatus.COMPLETED

    def test_a_limit_holds_across_both(self, bench: Bench, other: Bench) -> None:
        for _ in range(2):
            bench.start(new_run(limits=[Limit("k", 1)]))

        assert len(bench.claim_ids()) + len(other.claim_ids()) == 1

    # --- doorbells -------------------------------------------------------------------------------

    def test_a_commit_of_one_rings_a_bell_of_the_other(self, bench: Bench, other: Bench) -> None:
        bell = other.storage.doorbell(new_worker_id())

        bench.start()

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_an_item_rings_the_owner_at_the_other(self, bench: Bench, other: Bench) -> None:
        run = other.running()
        bell = other.storage.doorbell(other.me)

        bench.signal(run.id)

        ring = bell.wait(PATIENCE)
        assert run.id in ring.inbox or ring.everything
        bell.close()

    def test_an_end_at_one_is_heard_at_the_other(self, bench: Bench, other: Bench) -> None:
        run = bench.running()
        bell = other.storage.doorbell(new_worker_id())

        bench.end(run)

        ring = bell.wait(PATIENCE)
        assert run.id in ring.ended or ring.everything
        bell.close()

    def test_a_ring_wakes_a_thread_that_waits_at_the_other(self, bench: Bench, other: Bench) -> None:
        bell = other.storage.doorbell(new_worker_id())
        heard: list[Ring] = []
        thread = threading.Thread(target=lambda: heard.append(bell.wait(PATIENCE)))
        thread.start()

        bench.start()
        thread.join(PATIENCE)

        assert any(heard)
        bell.close()

    # --- at once ---------------------------------------------------------------------------------

    def test_two_claimers_at_once_never_get_the_same_run(self, bench: Bench, other: Bench) -> None:
        ids = bench.starts(100)
        claimed: dict[str, list[RunId]] = {bench.me: [], other.me: []}
        gate = threading.Barrier(2)

        def work(hands: Bench) -> None:
            gate.wait(PATIENCE)
            while runs := hands.claim(hands.request(limit=3)):
                claimed[hands.me] += [each.run.id for each in runs]
                hands.commit(*(RunUnit(run_id=each.run.id, epoch=1, then=COMPLETED) for each in runs))

        threads = [threading.Thread(target=work, args=(hands,)) for hands in (bench, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert sorted(claimed[bench.me] + claimed[other.me]) == ids
        assert set(bench.storage.statuses(ids).values()) == {RunStatus.COMPLETED}

    def test_two_starts_with_one_key_at_once_are_one_run(self, bench: Bench, other: Bench) -> None:
        found: list[RunId] = []
        gate = threading.Barrier(2)

        def start(hands: Bench) -> None:
            gate.wait(PATIENCE)
            for number in range(20):
                found.append(hands.start(new_run(key=f"k{number}")))

        threads = [threading.Thread(target=start, args=(hands,)) for hands in (bench, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert len(found) == 40
        assert len(set(found)) == 20

    def test_signals_from_both_at_once_all_arrive(self, bench: Bench, other: Bench) -> None:
        run = bench.running()
        gate = threading.Barrier(2)

        def send(hands: Bench) -> None:
            gate.wait(PATIENCE)
            for _ in range(20):
                hands.signal(run.id)

        threads = [threading.Thread(target=send, args=(hands,)) for hands in (bench, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        wake_seq, items = bench.storage.inbox(run.id)
        assert wake_seq == 40
        assert [item.seq for item in items] == list(range(1, 41))
