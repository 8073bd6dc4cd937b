"""Contract: who is rung after which commit. Rings are awaited with patience, silence is asked for without any."""

from __future__ import annotations

import threading

from trivium.ids import new_worker_id
from trivium.model.commit import NewSignal, Ring, RunUnit, SignalUnit, StartUnit
from trivium.model.runs import Limit
from trivium.testing.storage_contract.bench import COMPLETED, FAILED, Bench, new_run

PATIENCE = 30.0


class Doorbells:
    def test_a_new_run_rings_for_work(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())

        bench.start()

        assert bell.wait(PATIENCE) == Ring(work=True)
        bell.close()

    def test_what_was_rung_is_heard_once(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())
        bench.starts(2)

        assert bell.wait(PATIENCE).work
        assert not bell.wait(0)
        bell.close()

    def test_rings_between_two_waits_add_up(self, bench: Bench) -> None:
        first, second = bench.starts(2)
        runs = {claimed.run.id: claimed.run for claimed in bench.claim()}
        bell = bench.storage.doorbell(new_worker_id())
        bench.end(runs[first])
        bench.end(runs[second])
        bench.start()

        heard = Ring()
        while not (heard.work and len(heard.ended) == 2):
            ring = bell.wait(PATIENCE)
            assert ring, f"nothing more came after {heard}"
            heard |= ring

        assert heard == Ring(work=True, ended=frozenset({first, second}))
        bell.close()

    def test_a_silent_bell_returns_an_empty_ring_in_time(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())

        assert bell.wait(0.001) == Ring()
        bell.close()

    def test_a_ring_wakes_a_thread_that_waits(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())
        heard: list[Ring] = []
        thread = threading.Thread(target=lambda: heard.append(bell.wait(PATIENCE)))
        thread.start()

        bench.start()
        thread.join(PATIENCE)

        assert heard == [Ring(work=True)]
        bell.close()

    def test_closing_wakes_a_thread_that_waits(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())
        heard: list[Ring] = []
        thread = threading.Thread(target=lambda: heard.append(bell.wait(PATIENCE)))
        thread.start()

        bell.close()
        bell.close()
        thread.join(PATIENCE)

        assert not thread.is_alive()
        assert not any(heard)

    def test_an_item_rings_the_owner_alone(self, bench: Bench) -> None:
        mine, others = bench.storage.doorbell(bench.me), bench.storage.doorbell(bench.worker())
        run = bench.running()
        while mine.wait(0) or others.wait(0):
            pass

        bench.signal(run.id)

        assert mine.wait(PATIENCE) == Ring(inbox=frozenset({run.id}))
        assert not others.wait(0)
        mine.close()
        others.close()

    def test_an_end_rings_all(self, bench: Bench) -> None:
        run = bench.running()
        bells = [bench.storage.doorbell(new_worker_id()) for _ in range(3)]

        bench.end(run)

        assert [bell.wait(PATIENCE).ended for bell in bells] == [frozenset({run.id})] * 3
        for bell in bells:
            bell.close()

    def test_a_childs_end_rings_the_parents_owner(self, bench: Bench) -> None:
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one(bench.request(bench.worker()))
        bell = bench.storage.doorbell(bench.me)

        bench.end(child)

        assert bell.wait(PATIENCE) == Ring(inbox=frozenset({parent.id}), ended=frozenset({child.id}))
        bell.close()

    # --- what the committing worker itself hears --------------------------------------------------

    def test_the_origin_gets_its_rings_with_the_result(self, bench: Bench) -> None:
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()
        bell = bench.storage.doorbell(bench.me)

        unit = RunUnit(run_id=child.id, epoch=1, starts=(new_run(),), then=COMPLETED)
        ring = bench.commit(unit, origin=bench.me).ring

        assert ring == Ring(work=True, inbox=frozenset({parent.id}), ended=frozenset({child.id}))
        assert not bell.wait(0)
        bell.close()

    def test_without_an_origin_the_result_says_what_everybody_hears(self, bench: Bench) -> None:
        parent = bench.running()
        bench.spawn(parent, new_run(parent=parent))
        child = bench.claim_one()
        bell = bench.storage.doorbell(bench.me)

        ring = bench.commit(RunUnit(run_id=child.id, epoch=1, starts=(new_run(),), then=COMPLETED)).ring

        assert ring == Ring(work=True, ended=frozenset({child.id}))
        assert bell.wait(PATIENCE) == ring | Ring(inbox=frozenset({parent.id}))
        bell.close()

    def test_others_do_not_get_the_origins_inbox(self, bench: Bench) -> None:
        run = bench.running()

        ring = bench.commit(SignalUnit(NewSignal(run.id, "go")), origin=bench.worker()).ring

        assert ring == Ring()

    def test_a_commit_without_news_rings_nobody(self, bench: Bench) -> None:
        run = bench.running()
        bell = bench.storage.doorbell(new_worker_id())

        ring = bench.commit(RunUnit(run_id=run.id, epoch=1, notes=("just a note",)), origin=bench.me).ring

        assert ring == Ring()
        assert not bell.wait(0)
        bell.close()

    def test_a_refused_unit_rings_nobody(self, bench: Bench) -> None:
        run = bench.running()
        bell = bench.storage.doorbell(new_worker_id())

        nobody = NewSignal(new_run().id, "nobody")
        bench.one(RunUnit(run_id=run.id, epoch=1, starts=(new_run(),), signals=(nobody,), then=COMPLETED))

        assert not bell.wait(0)
        bell.close()

    # --- work ------------------------------------------------------------------------------------

    def test_a_run_that_the_same_batch_claims_is_no_work_for_others(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())

        bench.commit(StartUnit(new_run()), claim=bench.request())
        bench.start(new_run(claim_by=bench.me))

        assert not bell.wait(0)
        bell.close()

    def test_a_run_for_later_rings_so_that_somebody_learns_its_time(self, bench: Bench) -> None:
        bell = bench.storage.doorbell(new_worker_id())

        bench.start(new_run(not_before=bench.in_seconds(60)))

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_a_woken_run_is_work(self, bench: Bench) -> None:
        run = bench.parked()
        bell = bench.storage.doorbell(new_worker_id())

        bench.signal(run.id)

        assert bell.wait(PATIENCE) == Ring(work=True)
        bell.close()

    def test_a_released_run_is_work(self, bench: Bench) -> None:
        run = bench.running()
        bell = bench.storage.doorbell(new_worker_id())

        bench.release(run)

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_a_retried_run_is_work(self, bench: Bench) -> None:
        run = bench.running()
        bench.end(run, FAILED)
        bell = bench.storage.doorbell(new_worker_id())

        bench.retry(run.id)

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_a_freed_slot_that_somebody_waits_for_is_work(self, bench: Bench) -> None:
        holder = bench.running(new_run(limits=[Limit("k", 1)]))
        bench.start(new_run(limits=[Limit("k", 1)]))
        assert bench.claim_ids() == []
        bell = bench.storage.doorbell(new_worker_id())

        bench.end(holder)

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_the_runs_of_a_buried_worker_are_work(self, bench: Bench) -> None:
        mortal = bench.worker()
        bench.running(worker=mortal)
        bell = bench.storage.doorbell(new_worker_id())

        bench.bury(mortal)

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_the_runs_of_a_worker_that_leaves_are_work(self, bench: Bench) -> None:
        record = bench.record()
        bench.start()
        with bench.storage.presence(record):
            bench.claim(bench.request(record.id))
            bell = bench.storage.doorbell(new_worker_id())

        assert bell.wait(PATIENCE).work
        bell.close()

    def test_a_cancelled_run_rings_that_it_ended(self, bench: Bench) -> None:
        run_id = bench.start()
        bell = bench.storage.doorbell(new_worker_id())

        bench.cancel(run_id)

        assert bell.wait(PATIENCE).ended == frozenset({run_id})
        bell.close()
