"""What a store should hold, worked out a second time in the simplest way: dicts, loops, and copies of everything.

Written from the port's docstrings and from no storage. It knows nothing of time but what it is told, keeps no history,
and does not tell a `queued` run with limits from one that waits for a `slot`: when that is queued again is left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import assert_never

from trivium.clock import Micros
from trivium.ids import RunId, WorkerId
from trivium.model.commit import (
    CancelUnit,
    ClaimRequest,
    End,
    NewSignal,
    Park,
    Release,
    RetryUnit,
    RunUnit,
    SignalUnit,
    StartUnit,
    Unit,
)
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.journal import Entry
from trivium.model.runs import SUSPECT_LOSSES, NewRun
from trivium.model.states import RunStatus, StepStatus, WaitReason

ENDED = {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}
HUNGRY = "hungry"
"""Queued or waiting for a slot, of a run with limits."""


class Refusal(Exception):
    """The unit is refused."""


@dataclass
class Sketch:
    """What the model knows of a run."""

    new: NewRun
    root: RunId
    status: RunStatus = RunStatus.QUEUED
    reason: WaitReason | None = None
    due: Micros | None = None
    owner: WorkerId | None = None
    epoch: int = 0
    generation: int = 0
    wake: int = 0
    losses: int = 0
    claimed: Micros | None = None
    finished: Micros | None = None
    asked: bool = False
    end: End | None = None
    inbox: dict[int, tuple[str, str]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    groups: list[set[RunId]] = field(default_factory=list)
    """Of unended children, as it parked; they mean something while it is `waiting`."""
    journal: dict[int, Entry] = field(default_factory=dict)
    holds: set[str] = field(default_factory=set)

    def copy(self) -> Sketch:
        return replace(
            self,
            inbox=dict(self.inbox),
            ids=set(self.ids),
            groups=[set(group) for group in self.groups],
            journal=dict(self.journal),
            holds=set(self.holds),
        )

    @property
    def shown(self) -> str:
        """The status, as far as the contract says it."""
        waits_for_slot = self.status is RunStatus.WAITING and self.reason is WaitReason.SLOT
        if self.new.limits and (self.status is RunStatus.QUEUED or waits_for_slot):
            return HUNGRY
        return self.status


@dataclass
class Expected:
    """What a unit should give: the name of its result, and for an applied one what that holds."""

    result: str
    wake: int = 0
    status: RunStatus | None = None
    started: tuple[tuple[RunId, bool, bool], ...] = ()


class Model:
    """A store in dicts."""

    def __init__(self) -> None:
        self.runs: dict[RunId, Sketch] = {}
        self.effects: dict[tuple[str, str], tuple[EffectStatus, RunId, int]] = {}
        self.beats: dict[WorkerId, int] = {}
        self.now = Micros(0)
        self.retried: list[RunId] = []
        """Claimed by the retries of this batch."""

    def apply(self, unit: Unit) -> Expected:
        """Apply one unit, or leave everything as it was."""
        runs, effects = {run_id: run.copy() for run_id, run in self.runs.items()}, dict(self.effects)
        try:
            expected = self._apply(unit)
        except Refusal:
            expected = Expected("Refused")
        if expected.result != "Applied":
            self.runs, self.effects = runs, effects
        return expected

    def _apply(self, unit: Unit) -> Expected:
        match unit:
            case RunUnit():
                return self._write(unit)
            case StartUnit(new):
                started = self._start(new)
                return Expected("Applied", self.runs[started[0]].wake, started=(started,))
            case SignalUnit(signal):
                return Expected("Applied", self._signal(signal).wake)
            case CancelUnit(run_id):
                run = self._unended(run_id)
                self._cancel(run_id)
                for below in self._below(run_id):
                    self._cancel(below)
                return Expected("Applied", run.wake, run.status)
            case RetryUnit(run_id, claim_by):
                return self._retry_tree(run_id, claim_by)
            case _:
                assert_never(unit)

    # --- units -----------------------------------------------------------------------------------

    def _write(self, unit: RunUnit) -> Expected:
        run = self.runs.get(unit.run_id)
        if run is None or run.status is not RunStatus.RUNNING or run.epoch != unit.epoch:
            return Expected("Stale")
        if unit.expect_wake not in (None, run.wake):
            return Expected("Woken")
        seen = run.wake
        started = tuple(self._start(new) for new in unit.starts)
        for signal in unit.signals:
            self._signal(signal)
        for change in unit.effects:
            self._change(unit, change)
        run.journal.update({entry.seq: entry for entry in unit.entries})
        for seq in unit.consumed:
            run.inbox.pop(seq, None)
        if unit.shows_progress:
            run.losses = 0
        match unit.then:
            case Park(reason, due, groups) if run.wake == seen and all(self._unended_of(unit.run_id, groups)):
                run.groups = self._unended_of(unit.run_id, groups)
                run.status, run.reason, run.due, run.owner = RunStatus.WAITING, reason, due, None
            case Park() | Release():
                run.status, run.owner = RunStatus.QUEUED, None
            case End() as end:
                self._end(unit.run_id, end)
                if end.status is not RunStatus.COMPLETED:
                    for below in self._below(unit.run_id):
                        self._cancel(below)
            case None:
                return Expected("Applied", run.wake, None, started)
        return Expected("Applied", run.wake, run.status, started)

    def _start(self, new: NewRun) -> tuple[RunId, bool, bool]:
        for run_id, run in self.runs.items():
            if new.key is not None and (run.new.target, run.new.key) == (new.target, new.key):
                if run.new.inputs != new.inputs:
                    raise Refusal
                return run_id, True, False
        if new.id in self.runs:
            run = self.runs[new.id]
            if (run.new.target, run.new.key, run.new.inputs) != (new.target, new.key, new.inputs):
                raise Refusal
            return new.id, True, False
        run = self.runs[new.id] = Sketch(new, new.root_id or new.id)
        if new.not_before is not None and new.not_before > self.now:
            run.status, run.reason, run.due = RunStatus.WAITING, WaitReason.TIMER, new.not_before
        return new.id, False, self._claim_by(new.id, new.claim_by)

    def _claim_by(self, run_id: RunId, worker: WorkerId | None) -> bool:
        run = self.runs[run_id]
        rivals = [
            other
            for other in self.runs.values()
            if other.status is RunStatus.QUEUED
            and other.new.queue == run.new.queue
            and other.new.priority > run.new.priority
        ]
        if worker not in self.beats or run.new.limits or run.status is not RunStatus.QUEUED or rivals:
            return False
        self._take(run_id, worker)
        return True

    def _signal(self, signal: NewSignal) -> Sketch:
        run = self.runs.get(signal.run_id)
        if run is None:
            raise Refusal
        if signal.id in run.ids:
            return run
        self._unended(signal.run_id)
        if signal.id is not None:
            run.ids.add(signal.id)
        self._put(signal.run_id, "signal", signal.name)
        return run

    def _change(self, unit: RunUnit, change: EffectChange) -> None:
        place = (change.scope, change.key)
        stands = self.effects.get(place)
        if change.status is EffectStatus.INTENDED:
            if stands not in (None, (EffectStatus.INTENDED, unit.run_id, unit.epoch)):
                raise Refusal
        else:
            open_elsewhere = stands is not None and stands[0] is not EffectStatus.CONFIRMED
            if stands is None or not (stands[1] == unit.run_id or (change.takes_over and open_elsewhere)):
                raise Refusal
        if change.status is None:
            del self.effects[place]
        else:
            self.effects[place] = (change.status, unit.run_id, unit.epoch)

    def _retry_tree(self, run_id: RunId, claim_by: WorkerId | None) -> Expected:
        again = [run_id]
        if run_id not in self.runs or self.runs[run_id].status not in ENDED - {RunStatus.COMPLETED}:
            raise Refusal
        for above in again:
            again += [
                below
                for below, run in self.runs.items()
                if run.new.parent_id == above and run.status in ENDED - {RunStatus.COMPLETED}
            ]
        for each in again:
            run = self.runs[each]
            run.status, run.end, run.finished, run.claimed, run.asked = RunStatus.QUEUED, None, None, None, False
            run.losses = 0
            run.epoch += 1
            run.generation += 1
        if self._claim_by(run_id, claim_by):
            self.retried.append(run_id)
        return Expected("Applied", self.runs[run_id].wake, self.runs[run_id].status)

    # --- what several units do --------------------------------------------------------------------

    def _unended(self, run_id: RunId) -> Sketch:
        run = self.runs.get(run_id)
        if run is None or run.status in ENDED:
            raise Refusal
        return run

    def _unended_of(self, run_id: RunId, groups: Iterable[frozenset[RunId]]) -> list[set[RunId]]:
        unended = {child for child, run in self.runs.items() if run.new.parent_id == run_id and run.status not in ENDED}
        return [unended & group for group in groups]

    def _below(self, run_id: RunId) -> Iterator[RunId]:
        for child in sorted(child for child, run in self.runs.items() if run.new.parent_id == run_id):
            yield child
            yield from self._below(child)

    def _put(self, run_id: RunId, kind: str, name: str, *, wakes: bool = True) -> None:
        run = self.runs[run_id]
        run.wake += 1
        run.inbox[run.wake] = (kind, name)
        if wakes and run.status is RunStatus.WAITING and run.claimed is not None:
            run.status, run.reason, run.due = RunStatus.QUEUED, None, None

    def _cancel(self, run_id: RunId) -> None:
        run = self.runs[run_id]
        if run.status in ENDED:
            return
        if run.owner is None:
            run.epoch += 1
            self._end(run_id, End(RunStatus.CANCELLED))
        elif not run.asked:
            run.asked = True
            self._put(run_id, "cancel", "")

    def _end(self, run_id: RunId, end: End) -> None:
        run = self.runs[run_id]
        run.status, run.end, run.finished = end.status, end, self.now
        run.owner = run.reason = run.due = None
        completed = end.status is RunStatus.COMPLETED
        run.inbox = {} if completed else {seq: item for seq, item in run.inbox.items() if item[0] == "signal"}
        run.holds = set()
        parent = run.new.parent_id
        if parent in self.runs and self.runs[parent].status not in ENDED:
            groups = self.runs[parent].groups
            wakes = {run_id} in groups
            self.runs[parent].groups = [group - {run_id} for group in groups]
            self._put(parent, "child_end", run_id, wakes=wakes)

    # --- claims ----------------------------------------------------------------------------------

    def claim(self, request: ClaimRequest) -> list[RunId]:
        """The runs that the claim gives, in order."""
        for run in self.runs.values():
            if run.due is not None and run.due <= self.now:
                run.status, run.reason, run.due = RunStatus.QUEUED, None, None
        if request.worker_id not in self.beats:
            return []
        claimed: list[RunId] = []
        while len(claimed) < (min(1, request.limit) if request.suspects else request.limit):
            # From the start each time: who was passed over may share the keys that the last one took.
            found = (each for each in self._claimable(request) if self._suspect(each) == request.suspects)
            run_id = next(filter(self._admit, found), None)
            if run_id is None:
                break
            self._take(run_id, request.worker_id)
            claimed.append(run_id)
        return claimed

    def suspects(self, request: ClaimRequest) -> tuple[bool, bool]:
        """Whether a suspect is certainly claimable, and whether one may be."""
        found = [self.runs[run_id] for run_id in filter(self._suspect, self._claimable(request))]
        # One that held only a part may lack the rest by now: what it shared went with the run above.
        return any(run.holds.issuperset(limit.key for limit in run.new.limits) for run in found), bool(found)

    def next_due(self) -> Micros | None:
        return min((run.due for run in self.runs.values() if run.due is not None), default=None)

    def _claimable(self, request: ClaimRequest) -> list[RunId]:
        found = [
            run_id
            for run_id, run in self.runs.items()
            if run.shown in (RunStatus.QUEUED, HUNGRY)
            and run.new.definition.needs_id in request.serves
            and (request.queues is None or run.new.queue in request.queues)
            and (request.roots is None or run.root in request.roots)
        ]
        return sorted(found, key=lambda run_id: (-self.runs[run_id].new.priority, run_id))

    def _suspect(self, run_id: RunId) -> bool:
        return self.runs[run_id].losses >= SUSPECT_LOSSES

    def _admit(self, run_id: RunId) -> bool:
        run = self.runs[run_id]
        family = run.holds | {key for above in self._above(run_id) for key in self.runs[above].holds}
        lacking = [limit for limit in run.new.limits if limit.key not in family]
        for limit in lacking:
            if sum(limit.key in other.holds for other in self.runs.values()) >= limit.limit:
                return False
        run.holds |= {limit.key for limit in lacking}
        return True

    def _above(self, run_id: RunId) -> Iterator[RunId]:
        parent = self.runs[run_id].new.parent_id
        if parent in self.runs:
            yield parent
            yield from self._above(parent)

    def _take(self, run_id: RunId, worker: WorkerId | None) -> None:
        run = self.runs[run_id]
        run.status, run.reason, run.owner = RunStatus.RUNNING, None, worker
        run.epoch += 1
        run.claimed = self.now if run.claimed is None else run.claimed

    def entries(self, run_id: RunId) -> list[Entry]:
        """What a claim gives of the journal."""
        run = self.runs[run_id]
        return [
            entry
            for _, entry in sorted(run.journal.items())
            if entry.generation == run.generation or entry.status is StepStatus.COMPLETED or entry.child_id is not None
        ]

    # --- workers ---------------------------------------------------------------------------------

    def bury(self, worker: WorkerId, beat: int) -> int:
        if self.beats.get(worker) != beat:
            return 0
        del self.beats[worker]
        orphans = [run for run in self.runs.values() if run.owner == worker]
        for run in orphans:
            run.status, run.owner = RunStatus.QUEUED, None
            run.epoch += 1
            run.losses += 1
        return len(orphans)

    def leave(self, worker: WorkerId) -> None:
        self.beats.pop(worker, None)
        for run in self.runs.values():
            if run.owner == worker:
                run.status, run.owner = RunStatus.QUEUED, None
