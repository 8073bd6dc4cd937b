"""A Hypothesis state machine that drives a storage at random, stale epochs included, and compares it with the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from trivium.clock import Clock, Micros
from trivium.ids import RunId, WorkerId, new_run_id
from trivium.json import JsonText
from trivium.model.commit import (
    Applied,
    CancelUnit,
    ClaimedRun,
    ClaimRequest,
    End,
    NewSignal,
    Park,
    Release,
    Result,
    RetryUnit,
    RunUnit,
    SignalUnit,
    StartUnit,
    Unit,
)
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.runs import Definition, Limit, NewRun
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.storage.port import RunFilter, Storage
from trivium.testing.clock import TestClock
from trivium.testing.storage_contract.bench import (
    CANCELLED,
    COMPLETED,
    DEFINITION,
    FAILED,
    Bench,
    entry,
)
from trivium.testing.storage_contract.model import HUNGRY, Expected, Model, Sketch

MakeFreshStorage: TypeAlias = Callable[[Clock], Storage]
"""Gives a new, empty store at every call, not yet opened."""

OTHER = Definition.of("test", "other", {}, frozenset({"action:rare"}))
LIMITS = {"one": Limit("one", 1), "two": Limit("two", 2)}

somebody_owns_a_run = precondition(lambda self: any(run.owner is not None for run in self.model.runs.values()))
picks = st.integers(0, 1_000)
"""Which of the runs or workers there are, by number modulo their count."""


def storage_machine(make_storage: MakeFreshStorage) -> type[RuleBasedStateMachine]:
    """The machine for a storage; a test module binds its `TestCase` to a name that begins with `Test`."""

    class Machine(StorageMachine):
        make = staticmethod(make_storage)

    Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
    return Machine


class StorageMachine(RuleBasedStateMachine):
    """Rules gather units into a batch; committing it, and whatever else changes the store, is compared at once."""

    make: MakeFreshStorage

    def __init__(self) -> None:
        super().__init__()
        self.clock = TestClock()
        self.stack = ExitStack()
        self.storage = self.stack.enter_context(self.make(self.clock))
        self.bench = Bench(self.storage, self.clock, self.stack)
        self.model = Model()
        self.model.now = self.clock.now()
        self.model.beats[self.bench.me] = 0
        self.workers: list[WorkerId] = [self.bench.me]
        self.batch: list[Unit] = []
        self.size = 1
        self.seq = 0

    @override
    def teardown(self) -> None:
        self.stack.close()

    @initialize(size=st.sampled_from([1, 1, 3, 100]))
    def two_runs_stand(self, size: int) -> None:
        """Rules need runs to pick from. `size` is that of the batches, unless a claim or a commit closes one early."""
        self._commit(None, *(StartUnit(NewRun(id=new_run_id(), target="t", definition=DEFINITION)) for _ in range(2)))
        self.size = size

    # --- units -----------------------------------------------------------------------------------

    @rule(
        key=st.sampled_from([None, None, None, "a", "b"]),
        inputs=st.sampled_from(["null", "null", "1"]),
        priority=st.sampled_from([0, 0, 1, -1]),
        queue=st.sampled_from(["default", "slow"]),
        definition=st.sampled_from([DEFINITION, DEFINITION, OTHER]),
        delay=st.sampled_from([None, None, 0, 5]),
        claimer=st.one_of(st.none(), picks),
        parent=st.one_of(st.none(), picks),
    )
    def start(
        self,
        key: str | None,
        inputs: str,
        priority: int,
        queue: str,
        definition: Definition,
        delay: int | None,
        claimer: int | None,
        parent: int | None,
    ) -> None:
        self._start(
            self._below(
                parent,
                NewRun(
                    id=new_run_id(),
                    target="t",
                    definition=definition,
                    inputs=JsonText(inputs),
                    key=key,
                    priority=priority,
                    queue=queue,
                    not_before=None if delay is None else Micros(self.clock.now() + delay * 1_000_000),
                    claim_by=None if claimer is None else self._worker(claimer),
                ),
            )
        )

    @rule(
        keys=st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, max_size=2, unique=True),
        wider=st.sampled_from([0, 0, 1]),
        priority=st.sampled_from([0, 1, -1]),
        definition=st.sampled_from([DEFINITION, DEFINITION, OTHER]),
        parent=st.one_of(st.none(), picks, picks),
    )
    def start_with_limits(
        self, keys: list[str], wider: int, priority: int, definition: Definition, parent: int | None
    ) -> None:
        # In a queue of their own: whether they are `queued` at a moment is open, and `claim_by` would look at that.
        limits = tuple(replace(LIMITS[key], limit=LIMITS[key].limit + wider) for key in keys)
        new = NewRun(
            id=new_run_id(), target="t", definition=definition, queue="limited", priority=priority, limits=limits
        )
        self._start(self._below(parent, new))

    @rule(
        pick=picks,
        drift=st.sampled_from([0, 0, 0, 0, 1, -1]),
        status=st.sampled_from(list(StepStatus)),
        again=st.booleans(),
    )
    def write(self, pick: int, drift: int, status: StepStatus, again: bool) -> None:
        self.seq += 0 if again else 1
        run_id = self._owned(pick)
        generation = self.model.runs[run_id].generation
        child = run_id if self.seq % 3 == 0 else None
        written = entry(self.seq, status=status, generation=generation, child_id=child)
        self._add(
            RunUnit(
                run_id=run_id,
                epoch=self._epoch(run_id, drift),
                entries=(written,),
                consumed=tuple(self._items(run_id))[:1],
            )
        )

    @somebody_owns_a_run
    @rule(pick=picks, drift=st.sampled_from([0, 0, 0, 1]), other=picks, known=st.booleans(), again=st.booleans())
    def write_with_verbs(self, pick: int, drift: int, other: int, known: bool, again: bool) -> None:
        """Starts a child and signals another run: sometimes one that does not exist, so that all of it is refused."""
        run_id = self._owned(pick)
        child = NewRun(id=new_run_id(), target="child", definition=DEFINITION, key="c" if again else None)
        signals = [NewSignal(child.id if again else self._id(other), "verb")]
        if not known:
            signals.append(NewSignal(RunId("nobody"), "verb"))
        root = self.model.runs[run_id].root
        child = replace(child, parent_id=run_id, root_id=root)
        self._add(
            RunUnit(
                run_id=run_id,
                epoch=self._epoch(run_id, drift),
                starts=(child,),
                signals=signals,
                entries=(entry(0, "verbs"),),
            )
        )

    @somebody_owns_a_run
    @rule(
        pick=picks,
        drift=st.sampled_from([0, 0, 0, 1]),
        unseen=st.sampled_from([0, 0, 1]),
        delay=st.sampled_from([None, 0, 5]),
        groups=st.lists(st.lists(picks, max_size=3), max_size=2),
    )
    def park(self, pick: int, drift: int, unseen: int, delay: int | None, groups: list[list[int]]) -> None:
        run_id = self._owned(pick)
        due_at = None if delay is None else Micros(self.clock.now() + delay * 1_000_000)
        wake = self.model.runs[run_id].wake - unseen
        self._add(
            RunUnit(
                run_id=run_id,
                epoch=self._epoch(run_id, drift),
                expect_wake=wake,
                then=Park(WaitReason.SIGNAL, due_at, self._groups(run_id, groups)),
            )
        )

    @somebody_owns_a_run
    @rule(pick=picks, count=st.integers(1, 4), split=st.integers(0, 2), ended=st.integers(0, 4))
    def start_children_and_park_for_them(self, pick: int, count: int, split: int, ended: int) -> None:
        """In two groups, or in one; some of the children end at once."""
        run_id = self._owned(pick)
        above = self.model.runs[run_id]
        children = [
            NewRun(
                id=new_run_id(),
                target="child",
                definition=DEFINITION,
                parent_id=run_id,
                root_id=above.root,
                claim_by=above.owner,
            )
            for _ in range(count)
        ]
        ids = [child.id for child in children]
        groups = tuple(frozenset(group) for group in (ids[:split], ids[split:]) if group)
        self._add(
            RunUnit(
                run_id=run_id,
                epoch=self._epoch(run_id, 0),
                expect_wake=above.wake,
                starts=children,
                then=Park(WaitReason.CHILD, children=groups),
            )
        )
        for child in ids[:ended]:
            self._add(RunUnit(run_id=child, epoch=1, then=COMPLETED))

    @precondition(lambda self: bool(self._awaited()))
    @rule(pick=picks, many=st.integers(1, 3), end=st.sampled_from([COMPLETED, FAILED]))
    def end_children_of_parked_runs(self, pick: int, many: int, end: End) -> None:
        awaited = self._awaited()
        for run_id in awaited[pick % len(awaited) :][:many]:
            self._add(RunUnit(run_id=run_id, epoch=self._epoch(run_id, 0), then=end))

    @somebody_owns_a_run
    @rule(pick=picks)
    def signal_itself_and_park(self, pick: int) -> None:
        run_id = self._owned(pick)
        wake = self.model.runs[run_id].wake
        signals = (NewSignal(run_id, "self"),)
        self._add(
            RunUnit(
                run_id=run_id,
                epoch=self._epoch(run_id, 0),
                expect_wake=wake,
                signals=signals,
                then=Park(WaitReason.SIGNAL),
            )
        )

    @somebody_owns_a_run
    @rule(pick=picks, drift=st.sampled_from([0, 0, 0, -1]), end=st.sampled_from([COMPLETED, FAILED, CANCELLED]))
    def end(self, pick: int, drift: int, end: End) -> None:
        run_id = self._owned(pick)
        self._add(RunUnit(run_id=run_id, epoch=self._epoch(run_id, drift), entries=(entry(1, "last"),), then=end))

    @somebody_owns_a_run
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        run_id = self._owned(pick)
        self._add(RunUnit(run_id=run_id, epoch=self._epoch(run_id, 0), then=Release()))

    @rule(pick=picks, signal_id=st.sampled_from([None, None, "x", "y"]))
    def signal(self, pick: int, signal_id: str | None) -> None:
        self._add(SignalUnit(NewSignal(self._id(pick), "outside", id=signal_id)))

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self._add(CancelUnit(self._id(pick), "because"))

    @rule(pick=picks, claimer=st.one_of(st.none(), picks))
    def retry(self, pick: int, claimer: int | None) -> None:
        failed = [
            each for each, run in self.model.runs.items() if run.status in (RunStatus.FAILED, RunStatus.CANCELLED)
        ]
        run_id = failed[pick % len(failed)] if failed else self._id(pick)
        self._add(RetryUnit(run_id, None if claimer is None else self._worker(claimer)))

    @somebody_owns_a_run
    @rule(
        pick=picks,
        status=st.sampled_from([*EffectStatus, EffectStatus.INTENDED, None]),
        key=st.sampled_from("ab"),
        takes_over=st.booleans(),
    )
    def effect(self, pick: int, status: EffectStatus | None, key: str, takes_over: bool) -> None:
        change = EffectChange(scope="s", key=key, status=status, step_key="x", takes_over=takes_over)
        run_id = self._owned(pick)
        self._add(RunUnit(run_id=run_id, epoch=self._epoch(run_id, 0), effects=(change,)))

    # --- what is compared ------------------------------------------------------------------------

    @precondition(lambda self: bool(self.batch))
    @rule()
    def commit(self) -> None:
        self._commit(None)

    @rule(
        pick=picks,
        limit=st.sampled_from([1, 2, 100]),
        serves=st.sampled_from([(DEFINITION,), (DEFINITION, OTHER), (OTHER,)]),
        queues=st.sampled_from([None, None, frozenset({"default", "limited"}), frozenset({"slow"})]),
        root=st.one_of(st.none(), st.none(), picks),
        suspects=st.sampled_from([False, False, True]),
    )
    def claim(
        self,
        pick: int,
        limit: int,
        serves: tuple[Definition, ...],
        queues: frozenset[str] | None,
        root: int | None,
        suspects: bool,
    ) -> None:
        roots = None if root is None else frozenset({self.model.runs[self._id(root)].root})
        worker = self._worker(pick)
        self._commit(
            self.bench.request(worker, limit=limit, serves=serves, queues=queues, roots=roots, suspects=suspects)
        )

    @rule()
    def claim_everything(self) -> None:
        present = [worker for worker in self.workers if worker in self.model.beats]
        self._commit(self.bench.request(present[0] if present else None, serves=(DEFINITION, OTHER)))

    @rule()
    def a_worker_takes_everything_and_dies(self) -> None:
        worker = self.bench.worker()
        self.model.beats[worker] = 0
        self.workers.append(worker)
        self._commit(self.bench.request(worker, serves=(DEFINITION, OTHER)))
        self._commit(self.bench.request(worker, serves=(DEFINITION, OTHER), suspects=True))
        assert self.bench.bury(worker) == self.model.bury(worker, 0)

    @rule(seconds=st.sampled_from([1, 3, 5]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.now = self.clock.now()

    @precondition(lambda self: len(self.model.beats) < 4)
    @rule()
    def a_worker_comes(self) -> None:
        worker = self.bench.worker()
        self.model.beats[worker] = 0
        self.workers.append(worker)

    @rule(pick=picks)
    def a_worker_beats(self, pick: int) -> None:
        worker = self._worker(pick)
        assert self.storage.beat(worker) == (worker in self.model.beats)
        if worker in self.model.beats:
            self.model.beats[worker] += 1

    @rule(pick=picks, late=st.sampled_from([0, 0, 1]))
    def a_worker_is_buried(self, pick: int, late: int) -> None:
        worker = self._worker(pick)
        beat = self.model.beats.get(worker, 0) - late
        assert self.storage.bury(worker, beat) == self.model.bury(worker, beat)

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        stored = {run.id: run for run in self.storage.runs(RunFilter(limit=10_000))}
        assert stored.keys() == self.model.runs.keys()
        for run_id, sketch in self.model.runs.items():
            self._compare(run_id, sketch)
        assert {worker.id: worker.beat for worker in self.storage.workers()} == self.model.beats
        for worker in self.workers:
            owned = {run_id: (run.epoch, run.wake) for run_id, run in self.model.runs.items() if run.owner == worker}
            assert self.storage.owned(worker) == owned
        for key in "ab":
            effect = self.storage.effect("s", key)
            found = None if effect is None else (effect.status, effect.run_id, effect.epoch)
            assert found == self.model.effects.get(("s", key))

    # --- how -------------------------------------------------------------------------------------

    def _start(self, new: NewRun) -> None:
        self._add(StartUnit(new))

    def _below(self, parent: int | None, new: NewRun) -> NewRun:
        if parent is None:
            return new
        run_id = self._id(parent)
        return replace(new, parent_id=run_id, root_id=self.model.runs[run_id].root)

    def _add(self, unit: Unit) -> None:
        self.batch.append(unit)
        if len(self.batch) >= self.size:
            self._commit(None)

    def _commit(self, claim: ClaimRequest | None, *more: Unit) -> None:
        units, self.batch = [*self.batch, *more], []
        result = self.bench.commit(*units, claim=claim)
        self.model.retried = []
        expected = [self.model.apply(unit) for unit in units]
        for unit, found, wanted in zip(units, result.results, expected, strict=True):
            _compare_result(unit, found, wanted)
        retried = len(self.model.retried)
        claimed = list(self.model.retried)
        if claim is not None:
            claimed += self.model.claim(claim)
            certain, possible = self.model.suspects(claim)
            assert certain <= result.suspects <= possible
            assert result.next_due == self.model.next_due()
        assert [each.run.id for each in result.claimed] == claimed
        for each in result.claimed[retried:]:  # those before are as they were in the middle of the batch
            self._compare_claimed(each)

    def _compare(self, run_id: RunId, sketch: Sketch) -> None:
        run = self.bench.run(run_id)
        slot = run.status is RunStatus.WAITING and run.wait_reason is WaitReason.SLOT
        shown = HUNGRY if sketch.new.limits and (slot or run.status is RunStatus.QUEUED) else run.status
        assert shown == sketch.shown
        if shown != HUNGRY:
            assert run.wait_reason == sketch.reason
        assert (run.owner, run.epoch, run.generation) == (sketch.owner, sketch.epoch, sketch.generation)
        assert (run.wake_seq, run.losses, run.due_at) == (sketch.wake, sketch.losses, sketch.due)
        assert (run.first_claimed_at, run.finished_at) == (sketch.claimed, sketch.finished)
        assert (run.cancel_requested, run.root_id) == (sketch.asked, sketch.root)
        assert run.output == (None if sketch.end is None else sketch.end.output)
        wake_seq, items = self.storage.inbox(run_id)
        assert wake_seq == sketch.wake
        assert [(item.seq, (item.kind, item.name)) for item in items] == sorted(sketch.inbox.items())
        assert [each for _, each in sorted(sketch.journal.items())] == list(self.storage.entries(run_id))

    def _compare_claimed(self, claimed: ClaimedRun) -> None:
        run_id = claimed.run.id
        sketch = self.model.runs[run_id]
        assert claimed.run.epoch == sketch.epoch
        assert claimed.definition == sketch.new.definition
        assert list(claimed.entries) == self.model.entries(run_id)
        assert [item.seq for item in claimed.inbox] == sorted(sketch.inbox)

    def _epoch(self, run_id: RunId, drift: int) -> int:
        return self.model.runs[run_id].epoch + drift

    def _id(self, pick: int) -> RunId:
        """Any run."""
        known = list(self.model.runs)
        return known[pick % len(known)]

    def _owned(self, pick: int) -> RunId:
        """A run that has an owner, or any if none has."""
        owned = [run_id for run_id, run in self.model.runs.items() if run.owner is not None]
        return owned[pick % len(owned)] if owned else self._id(pick)

    def _groups(self, run_id: RunId, wanted: list[list[int]]) -> tuple[frozenset[RunId], ...]:
        """Groups of the run's children, or of any runs if it has none."""
        family = [each for each, run in self.model.runs.items() if run.new.parent_id == run_id] or list(self.model.runs)
        return tuple(frozenset(family[pick % len(family)] for pick in group) for group in wanted)

    def _awaited(self) -> list[RunId]:
        """Owned children of parked runs."""
        runs = self.model.runs
        return [
            run_id
            for run_id, run in runs.items()
            if run.owner is not None
            and run.new.parent_id in runs
            and runs[run.new.parent_id].status is RunStatus.WAITING
        ]

    def _worker(self, pick: int) -> WorkerId:
        """Any worker that ever came."""
        return self.workers[pick % len(self.workers)]

    def _items(self, run_id: RunId) -> list[int]:
        return sorted(self.model.runs[run_id].inbox)


def _compare_result(unit: Unit, found: Result, wanted: Expected) -> None:
    assert type(found).__name__ == wanted.result, (unit, found, wanted)
    if isinstance(found, Applied):
        started = tuple((each.run_id, each.existed, each.claimed) for each in found.started)
        assert (found.wake_seq, found.status, started) == (wanted.wake, wanted.status, wanted.started), unit
