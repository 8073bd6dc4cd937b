"""The hands of the contract's tests: one call for what takes three through the port."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeAlias, TypeVar

from trivium.clock import SECOND, Clock, Micros
from trivium.errors import TriviumError
from trivium.ids import RunId, WorkerId, new_run_id, new_worker_id
from trivium.json import NULL, JsonText, dumps
from trivium.model.commit import (
    Applied,
    Batch,
    BatchResult,
    CancelUnit,
    ClaimedRun,
    ClaimRequest,
    End,
    NewSignal,
    Park,
    Refused,
    Release,
    Result,
    RetryUnit,
    RunUnit,
    SignalUnit,
    Started,
    StartUnit,
    Unit,
)
from trivium.model.effects import EffectChange
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import DEFAULT_QUEUE, SUSPECT_LOSSES, Cause, Definition, Limit, NewRun, Run
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.storage.port import Storage, WorkerRecord
from trivium.testing.clock import TestClock

MakeStorage: TypeAlias = Callable[[Clock], Storage]
"""What a test module gives: a storage, not yet opened. Calls within one test give the same store, where it lasts."""

E = TypeVar("E", bound=TriviumError)

DEFINITION = Definition.of("test", "plain", {"steps": []})
COMPLETED = End(RunStatus.COMPLETED, output=JsonText("1"))
FAILED = End(RunStatus.FAILED, error=Failure(code="TRV-4010", message="it broke"))
CANCELLED = End(RunStatus.CANCELLED, error=Failure(code="TRV-4002", message="stopped"))


def new_run(
    *,
    run_id: RunId | None = None,
    target: str = "test:plain",
    definition: Definition = DEFINITION,
    inputs: JsonText = NULL,
    key: str | None = None,
    queue: str = DEFAULT_QUEUE,
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    parent: Run | None = None,
    cause: Cause | None = None,
    limits: Sequence[Limit] = (),
    timeout: Micros | None = None,
    not_before: Micros | None = None,
    claim_by: WorkerId | None = None,
) -> NewRun:
    """A run to start; below `parent` if that is given."""
    return NewRun(
        id=run_id or new_run_id(),
        target=target,
        definition=definition,
        inputs=inputs,
        key=key,
        queue=queue,
        priority=priority,
        labels=labels or {},
        root_id=None if parent is None else parent.root_id,
        parent_id=None if parent is None else parent.id,
        cause=cause or (None if parent is None else Cause(parent.id, "spawn")),
        limits=tuple(limits),
        timeout=timeout,
        not_before=not_before,
        claim_by=claim_by,
    )


def entry(
    seq: int,
    key: str | None = None,
    *,
    status: StepStatus = StepStatus.COMPLETED,
    kind: EntryKind = EntryKind.STEP,
    generation: int = 0,
    output: JsonText | None = None,
    child_id: RunId | None = None,
) -> Entry:
    """A journal entry; its key is made from `seq` unless it is given."""
    return Entry(
        seq=seq,
        key=key or f"step{seq}",
        kind=kind,
        name="work",
        status=status,
        generation=generation,
        attempts=1,
        output=output,
        child_id=child_id,
    )


def applied(result: Result) -> Applied:
    """The result, which has to be `Applied`."""
    assert isinstance(result, Applied), result
    return result


def refused(result: Result, error: type[E]) -> E:
    """The error of a result, which has to be `Refused` with that error."""
    assert isinstance(result, Refused), result
    assert isinstance(result.error, error), result.error
    return result.error


class Bench:
    """A storage with its clock, and short words for its verbs.

    Verbs that are named after a unit commit it alone, and insist that it is applied. `worker()` gives a worker that is
    present until the test ends; `self.me` is one that stands there from the beginning.
    """

    def __init__(self, storage: Storage, clock: TestClock, stack: ExitStack) -> None:
        self.storage = storage
        self.clock = clock
        self._stack = stack
        self.me = self.worker()

    # --- commits ---------------------------------------------------------------------------------

    def commit(self, *units: Unit, claim: ClaimRequest | None = None, origin: WorkerId | None = None) -> BatchResult:
        return self.storage.commit(Batch(units, claim, origin))

    def one(self, unit: Unit) -> Result:
        """The result of a unit that is committed alone."""
        (result,) = self.commit(unit).results
        return result

    def start(self, new: NewRun | None = None) -> RunId:
        """Start a run (a plain one, unless it is given) from outside; its id."""
        return self.started(new or new_run()).run_id

    def started(self, new: NewRun) -> Started:
        (started,) = applied(self.one(StartUnit(new))).started
        return started

    def starts(self, count: int) -> list[RunId]:
        """Start plain runs, one after the other."""
        return [self.start() for _ in range(count)]

    def write(self, run: Run, *entries: Entry, epoch: int | None = None) -> Result:
        """Commit entries as the run's owner."""
        return self.one(RunUnit(run_id=run.id, epoch=run.epoch if epoch is None else epoch, entries=entries))

    def spawn(self, parent: Run, *new: NewRun) -> list[RunId]:
        """Start runs in a unit of `parent`, which has to be owned; their ids."""
        result = self.one(RunUnit(run_id=parent.id, epoch=parent.epoch, starts=new))
        return [started.run_id for started in applied(result).started]

    def end(self, run: Run, end: End = COMPLETED) -> Applied:
        return applied(self.one(RunUnit(run_id=run.id, epoch=run.epoch, then=end)))

    def park(self, run: Run, reason: WaitReason = WaitReason.SIGNAL, due_at: Micros | None = None) -> Applied:
        """Park the run, whose inbox its owner has seen wholly."""
        seen, _ = self.storage.inbox(run.id)
        unit = RunUnit(run_id=run.id, epoch=run.epoch, expect_wake=seen, then=Park(reason, due_at))
        return applied(self.one(unit))

    def release(self, run: Run) -> Applied:
        return applied(self.one(RunUnit(run_id=run.id, epoch=run.epoch, then=Release())))

    def signal(self, run_id: RunId, name: str = "go", payload: JsonText = NULL, id: str | None = None) -> Applied:
        return applied(self.one(SignalUnit(NewSignal(run_id, name, payload, id))))

    def cancel(self, run_id: RunId, reason: str = "") -> Applied:
        return applied(self.one(CancelUnit(run_id, reason)))

    def retry(self, run_id: RunId, claim_by: WorkerId | None = None) -> Applied:
        return applied(self.one(RetryUnit(run_id, claim_by)))

    def effect(self, run: Run, change: EffectChange) -> Result:
        return self.one(RunUnit(run_id=run.id, epoch=run.epoch, effects=(change,)))

    # --- claims ----------------------------------------------------------------------------------

    def request(
        self,
        worker: WorkerId | None = None,
        *,
        limit: int = 100,
        serves: Sequence[Definition] = (DEFINITION,),
        queues: frozenset[str] | None = None,
        roots: frozenset[RunId] | None = None,
        suspects: bool = False,
    ) -> ClaimRequest:
        return ClaimRequest(
            worker_id=worker or self.me,
            limit=limit,
            serves=frozenset(definition.needs_id for definition in serves),
            queues=queues,
            roots=roots,
            suspects=suspects,
        )

    def claim(self, request: ClaimRequest | None = None) -> list[ClaimedRun]:
        """Everything that `me` can get, unless a request says otherwise."""
        return list(self.commit(claim=request or self.request()).claimed)

    def claim_ids(self, request: ClaimRequest | None = None) -> list[RunId]:
        return [claimed.run.id for claimed in self.claim(request)]

    def claim_one(self, request: ClaimRequest | None = None) -> Run:
        """The run of a claim that gives exactly one."""
        (claimed,) = self.claim(request)
        return claimed.run

    def running(self, new: NewRun | None = None, worker: WorkerId | None = None) -> Run:
        """A run that was started and claimed, by `me` unless a worker is given; nothing else may be claimable."""
        run_id = self.start(new)
        run = self.claim_one(self.request(worker))
        assert run.id == run_id
        return run

    def parked(self, reason: WaitReason = WaitReason.SIGNAL, due_at: Micros | None = None) -> Run:
        """A run that was started, claimed and parked."""
        run = self.running()
        self.park(run, reason, due_at)
        return self.run(run.id)

    # --- workers ---------------------------------------------------------------------------------

    def record(self, name: str = "worker") -> WorkerRecord:
        """A worker that is not present yet."""
        return WorkerRecord(
            id=new_worker_id(),
            name=name,
            host="here",
            pid=4711,
            queues=None,
            concurrency=10,
            started_at=Micros(0),
            beat=0,
            beat_at=Micros(0),
        )

    def worker(self, name: str = "worker") -> WorkerId:
        """A worker that is present from now on."""
        record = self.record(name)
        self._stack.enter_context(self.storage.presence(record))
        return record.id

    def bury(self, worker: WorkerId) -> int:
        """Bury a worker that beats no more."""
        (beat,) = [record.beat for record in self.storage.workers() if record.id == worker]
        return self.storage.bury(worker, beat)

    def lose(self, run_id: RunId, times: int = 1) -> None:
        """Let workers claim the run and die with it; nothing else may be claimable."""
        for _ in range(times):
            worker = self.worker("mortal")
            suspects = self.run(run_id).losses >= SUSPECT_LOSSES
            assert self.claim_ids(self.request(worker, suspects=suspects)) == [run_id]
            assert self.bury(worker) == 1

    # --- looks -----------------------------------------------------------------------------------

    def run(self, run_id: RunId) -> Run:
        """A run that has to be there."""
        run = self.storage.run(run_id)
        assert run is not None, f"run {run_id} is not there"
        return run

    def status(self, run_id: RunId) -> RunStatus:
        return self.run(run_id).status

    def notes(self, run_id: RunId) -> list[str]:
        return [note.text for note in self.storage.notes(run_id)]

    def in_seconds(self, seconds: float) -> Micros:
        """The time that it will be then."""
        return Micros(self.clock.now() + round(seconds * SECOND))


def text(value: object) -> JsonText:
    """Canonical JSON text."""
    return dumps(value)
