"""Contract of storages that declare `durable`: what was committed is there after closing and opening again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeAlias

import pytest

from trivium.model.commit import RunUnit
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.runs import Definition, Limit
from trivium.model.states import RunStatus, WaitReason
from trivium.storage.port import RunFilter
from trivium.testing.clock import TestClock
from trivium.testing.faults import raise_at
from trivium.testing.storage_contract.bench import FAILED, Bench, MakeStorage, applied, entry, new_run, text

Session: TypeAlias = Callable[[], AbstractContextManager[Bench]]


class DurableContract:
    """Beside `StorageContract`. The module's `make_storage` gives the same store at every call of one test."""

    @pytest.fixture
    def session(self, make_storage: MakeStorage, clock: TestClock) -> Session:
        """Opens the store, and closes it behind the block."""

        @contextmanager
        def opened() -> Iterator[Bench]:
            with make_storage(clock) as storage, ExitStack() as stack:
                yield Bench(storage, clock, stack)

        return opened

    def test_a_run_is_there_with_all_that_belongs_to_it(self, session: Session) -> None:
        definition = Definition.of("flow", "kept", {"a": ["ü", 1.5]}, frozenset({"action:x"}))
        with session() as bench:
            run = bench.running()
            bench.signal(run.id, payload=text("p" * 100_000), id="once")
            bench.one(
                RunUnit(
                    run_id=run.id,
                    epoch=1,
                    entries=[entry(0, output=text("o" * 100_000)), entry(1)],
                    effects=[EffectChange(scope="s", key="k", status=EffectStatus.INTENDED, step_key="x")],
                    notes=["remember"],
                )
            )
            bench.park(run, WaitReason.SIGNAL, bench.in_seconds(60))
            bench.start(new_run(definition=definition, not_before=bench.in_seconds(60), labels={"a": "b"}))
            before = look(bench)

        with session() as bench:
            assert look(bench) == before
            assert bench.storage.definition(definition.id) == definition
            assert bench.signal(run.id, id="once").wake_seq == 1

    def test_keys_still_find_their_runs(self, session: Session) -> None:
        with session() as bench:
            run_id = bench.start(new_run(key="k"))

        with session() as bench:
            assert bench.started(new_run(key="k")).run_id == run_id

    def test_queued_runs_are_claimed_in_their_order(self, session: Session) -> None:
        with session() as bench:
            low, high = bench.start(), bench.start(new_run(priority=1))

        with session() as bench:
            assert bench.claim_ids() == [high, low]

    def test_timers_still_ring(self, session: Session) -> None:
        with session() as bench:
            run_id = bench.start(new_run(not_before=bench.in_seconds(10)))

        with session() as bench:
            assert bench.commit(claim=bench.request()).next_due is not None
            bench.clock.advance(10)
            assert bench.claim_ids() == [run_id]

    def test_holdings_and_waits_for_slots_stay(self, session: Session) -> None:
        with session() as bench:
            holder = bench.running(new_run(limits=[Limit("k", 1)]))
            waiter = bench.start(new_run(limits=[Limit("k", 1)]))
            assert bench.claim_ids() == []
            bench.park(holder)

        with session() as bench:
            assert bench.claim_ids() == []
            bench.cancel(holder.id)
            assert bench.claim_ids() == [waiter]

    def test_epochs_generations_losses_and_requests_stay(self, session: Session) -> None:
        with session() as bench:
            retried = bench.running()
            bench.end(retried, FAILED)
            bench.retry(retried.id)
            bench.lose(retried.id, times=2)
            asked = bench.start()
            bench.claim()
            bench.cancel(asked)

        with session() as bench:
            run = bench.run(retried.id)
            assert (run.generation, run.losses, run.status) == (1, 2, RunStatus.QUEUED)
            assert bench.commit(claim=bench.request()).suspects
            assert bench.run(asked).cancel_requested

    def test_workers_that_left_are_not_there(self, session: Session) -> None:
        with session() as bench:
            before = bench.me

        with session() as bench:
            assert before not in [worker.id for worker in bench.storage.workers()]

    def test_a_failed_commit_is_not_there_and_an_acknowledged_one_is(self, session: Session) -> None:
        with session() as bench:
            run = bench.running()
            applied(bench.write(run, entry(0)))
            with raise_at("storage.commit.inside", KeyError("crash")), pytest.raises(KeyError):
                bench.write(run, entry(1))
            with raise_at("storage.commit.after", KeyError("crash")), pytest.raises(KeyError):
                bench.write(run, entry(2))

        with session() as bench:
            assert list(bench.storage.entries(run.id)) == [entry(0), entry(2)]

    def test_pruned_runs_stay_away(self, session: Session) -> None:
        with session() as bench:
            run = bench.running()
            bench.end(run)
            bench.clock.advance(1)
            bench.storage.prune(before=bench.clock.now())

        with session() as bench:
            assert bench.storage.run(run.id) is None


def look(bench: Bench) -> list[object]:
    """All that reads show of the store, but the workers."""
    storage = bench.storage
    runs = storage.runs(RunFilter())
    return [
        list(runs),
        [list(storage.entries(run.id)) for run in runs],
        [(storage.inbox(run.id)[0], list(storage.inbox(run.id)[1])) for run in runs],
        [list(storage.notes(run.id)) for run in runs],
        storage.effect("s", "k"),
        storage.needs(),
    ]
