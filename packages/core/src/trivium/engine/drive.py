"""One run under way in this process: what it waits for, when it is idle, how it leaves memory and how it ends.

The invariant behind parking: `_active` counts the coroutines of the run that are neither in one of our wait verbs nor
done. Only at zero is the run idle, only an idle run is parked, and while its park commit is under way no coroutine of
it goes on (they hold at `_settled`), so that nothing happens between the compare of `wake_seq` and its result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import Enum, auto
from typing import Any

import anyio
import anyio.abc

from trivium import faults
from trivium.clock import Micros
from trivium.engine.host import Host
from trivium.engine.journal import Journal
from trivium.engine.mailbox import Mailbox
from trivium.engine.timers import Timer
from trivium.engine.waiting import Wait, Waits
from trivium.errors import NotJson, Parked, TooLarge
from trivium.ids import RunId
from trivium.json import JsonValue, dumps, loads
from trivium.model.commit import Applied, Broken, ClaimedRun, End, Park, Refused, Release, Result, RunUnit, Woken
from trivium.model.drivers import Driver
from trivium.model.events import RunClaimed, RunEnded, RunParked, RunReleased, StepEnded
from trivium.model.failure import Failure, failure_of
from trivium.model.inbox import Item, ItemKind
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import FailureKind, RunStatus, StepStatus

_log = logging.getLogger("trivium.engine")

MAX_LOSSES = 3
"""Owners that may die with a run, without a commit between, before it is failed. The last of them had it alone."""


class Leaving(Enum):
    """Why a drive ends without ending its run."""

    PARKED = auto()
    RELEASED = auto()
    LOST = auto()


class Drive:
    """One claimed run. `run` is its life; everything else is called on the event loop while it lives."""

    def __init__(self, claimed: ClaimedRun, driver: Driver, host: Host) -> None:
        self.record = claimed.run
        self.run_id = claimed.run.id
        self.epoch = claimed.run.epoch
        self.definition = claimed.definition
        self.driver = driver
        self.host = host
        self.journal = Journal(claimed.entries, generation=claimed.run.generation)
        self.mailbox = Mailbox()
        self.leaving: Leaving | None = None
        self.stopping = False
        self.ended: End | None = None
        self.idle = False
        self.holds_slot = True
        """Of the worker's slots: until the run only waits, or ends."""
        self.finished = False
        self.takes_tasks = False
        """Whether its task group may be given more to do; threads that were given up may ask at any time."""
        self.writes = True
        """Whether its last unit is still to come."""
        self.open_entries: dict[int, Callable[[], Entry]] = {}
        """By seq: how to write down what has begun and not ended."""
        self.notes: list[str] = []
        self.stuck_labels: set[str] = set()
        """Calls that timed out and could not be stopped: while one runs, the run is neither parked nor handed over."""
        self.on_leaving: Callable[[], None] | None = None
        """Wakes verbs that wait for something else than an item or a time."""
        self._own_tasks: set[int] = set()
        self._noted: set[int] = set()
        self._unproven = claimed.run.losses > 0
        """Its last owner died with it, and nothing of it has ended since."""
        self._wake_seen = claimed.run.wake_seq
        self._waits = Waits()
        self._active = 1
        self._parking = False
        self._settled: anyio.Event | None = None
        self._park_timer: Timer | None = None
        self._cancel_reason: str | None = None
        self._timed_out = False
        self._fault: Failure | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._first_inbox: Sequence[Item] = claimed.inbox
        self._delivered: anyio.Event | None = None
        self._calls = 0
        self._calls_done: anyio.Event | None = None

    # --- life ------------------------------------------------------------------------------------

    async def run(self, body: Callable[[], Coroutine[Any, Any, JsonValue]]) -> None:
        """Drive until the run ends, parks, is released or lost. A fault of the run ends the run, never the worker."""
        record = self.record
        ending: End | None = None
        deadline = record.deadline
        timer = None if deadline is None else self.host.timers.at(deadline, self._time_out)
        try:
            self._look_before_driving()
            if record.losses >= MAX_LOSSES:
                ending = End(RunStatus.FAILED, error=_lost_too_often(record.losses))
            elif not self._cancelling:
                if self.host.listening:
                    self._emit_claimed()
                async with anyio.create_task_group() as tasks:
                    self._tasks = tasks
                    self.takes_tasks = True
                    self.adopt_task()
                    self.deliver(record.wake_seq, self._first_inbox)
                    ending = await self._outcome_of(body)
                    if self.leaving is Leaving.RELEASED:
                        await self._calls_end()  # what is under way may finish: its outcome is worth keeping
                    self.takes_tasks = False
                    tasks.cancel_scope.cancel()
            self.writes = False
            await self._leave(ending)
        finally:
            if timer is not None:
                timer.cancel()
            if self._park_timer is not None:
                self._park_timer.cancel()
            self.finished = True

    def _look_before_driving(self) -> None:
        """What was decided while nobody drove it: then no line of the user's code runs."""
        for item in self._first_inbox:
            if item.kind is ItemKind.CANCEL:
                self.cancel(str(loads(item.payload)))
        deadline = self.record.deadline
        if deadline is not None and self.host.clock.now() >= deadline:
            self._timed_out = True

    async def _outcome_of(self, body: Callable[[], Coroutine[Any, Any, JsonValue]]) -> End | None:
        """How the driver's function ended; None if it only unwound."""
        try:
            output = await body()
        except Parked:
            if self.leaving is None:
                return End(
                    RunStatus.FAILED, error=Failure(code="TRV-4012", message="the driver raised Parked by itself")
                )
            return None
        except BaseException as error:  # foreign code: the driver's function, or the user's below it
            if not is_of_user(error):
                raise
            return None if self.leaving else End(RunStatus.FAILED, error=failure_of(error))
        if self.leaving:
            return None
        try:
            return End(RunStatus.COMPLETED, output=dumps(output, what="output"))
        except (NotJson, TooLarge) as error:
            return End(RunStatus.FAILED, error=failure_of(error, kind=FailureKind.SCHEMA))

    async def _leave(self, ending: End | None) -> None:
        """Write down how it ended or left."""
        if self.leaving in (Leaving.LOST, Leaving.PARKED) or self.ended is not None:
            return
        if self.leaving is Leaving.RELEASED:
            await self._release()
            return
        if ending is None or ending.status is not RunStatus.COMPLETED:
            if self._cancel_reason is not None:
                error = Failure(code="TRV-4002", message=self._cancel_reason, kind=FailureKind.CANCELLED)
                ending = End(RunStatus.CANCELLED, error=error)
            elif self._timed_out:
                ending = End(RunStatus.FAILED, error=_timed_out(self.record.timeout))
            elif self._fault is not None:
                ending = End(RunStatus.FAILED, error=self._fault)
        if ending is not None:
            await self._end(ending)

    async def _end(self, ending: End) -> None:
        unit = RunUnit(
            run_id=self.run_id,
            epoch=self.epoch,
            entries=[self._cancelled(entry) for entry in self._left_open(ending)],
            notes=self._last_notes(ending),
            then=ending,
        )
        faults.reach("engine.before_end")
        result = await self.host.committer.commit(unit)
        if isinstance(result, (Broken, Refused)):  # the output was not to be stored: that is the run's end then
            ending = End(RunStatus.FAILED, error=failure_of(result.error, kind=FailureKind.SCHEMA))
            result = await self.host.committer.commit(RunUnit(run_id=self.run_id, epoch=self.epoch, then=ending))
        if not isinstance(result, Applied):
            self.lose()
            return
        self.end_is_durable(ending)

    def _left_open(self, ending: End) -> list[Entry]:
        """What had begun and is cut off by the end. The children of a run that completed go on without it."""
        entries = [make() for make in self.open_entries.values()]
        if ending.status is RunStatus.COMPLETED:
            entries = [entry for entry in entries if entry.kind is not EntryKind.CHILD]
        return entries

    def end_is_durable(self, ending: End) -> None:
        """The run has ended, in a commit that is done."""
        self.ended = ending
        self.host.run_ended(self, ending)
        if self.host.listening:
            record = self.record
            self.host.emit(
                RunEnded(
                    run_id=self.run_id,
                    root_id=record.root_id,
                    at=self.host.clock.now(),
                    kind=record.kind,
                    name=record.name,
                    status=ending.status,
                    error=ending.error,
                )
            )

    async def _release(self) -> None:
        if any(executor.is_stuck(f"{self.run_id}/") for executor in self.host.executors.values()):
            _log.warning(
                "run %s is not handed back yet: a step of it runs in a thread, which cannot be stopped", self.run_id
            )
            return
        unit = RunUnit(
            run_id=self.run_id, epoch=self.epoch, entries=self._unnoted(), notes=self.take_notes(), then=Release()
        )
        result = await self.host.committer.commit(unit)
        if self.host.listening:
            self._emit_released(lost=not isinstance(result, Applied))

    # --- what others tell it ----------------------------------------------------------------------

    def stop(self) -> None:
        """The worker shuts down: let the steps under way finish, begin nothing, hand the run back."""
        if self.leaving is None and self.ended is None and not self.stopping:
            self.stopping = True
            if not self._parking:
                self._unwind(Leaving.RELEASED)

    def cut_off(self) -> None:
        """The worker cannot wait for the steps under way any longer: they will run again elsewhere."""
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def lose(self) -> None:
        """Somebody else owns the run: stop at once and write nothing."""
        if self.leaving is Leaving.LOST:
            return
        _log.warning("run %s is owned by another worker now: what this one does is dropped", self.run_id)
        self.leaving = Leaving.LOST
        self._settle()
        if self.host.listening:
            self._emit_released(lost=True)
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def not_applied(self, result: Result) -> None:
        """A commit was not applied, and there is no verb to tell it to: stop. The run is somebody else's; or, if the
        store refused what is in it, the run ends with that."""
        if not isinstance(result, (Refused, Broken)):
            self.lose()
        else:
            self.break_off(failure_of(result.error, kind=FailureKind.CONFLICT))

    def break_off(self, fault: Failure) -> None:
        """The run cannot go on: cancel what runs, then end as failed."""
        if self._fault is None:
            self._fault = fault
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel()

    def cancel(self, reason: str) -> None:
        """Cancel what runs, then end as cancelled. An end that was committed before wins."""
        if self._cancel_reason is None:
            self._cancel_reason = reason or "cancelled"
            if self._tasks is not None and not self._parking:
                self._tasks.cancel_scope.cancel()

    @property
    def _cancelling(self) -> bool:
        return (
            self._cancel_reason is not None
            or self._timed_out
            or self._fault is not None
            or self.leaving is Leaving.LOST
        )

    @property
    def cancelling(self) -> bool:
        """What it began is to stop."""
        return self._cancelling or self.finished

    def _time_out(self) -> None:
        self._timed_out = True
        if self._tasks is not None and not self._parking:
            self._tasks.cancel_scope.cancel()

    def wake_seq_seen(self, wake_seq: int) -> None:
        """A commit or a ring told the stored `wake_seq`: look into the inbox if it is news."""
        if wake_seq > self._wake_seen:
            self.host.look_into_inbox(self)

    @property
    def wake_seen(self) -> int:
        """The `wake_seq` up to which the inbox was delivered."""
        return self._wake_seen

    def deliver(self, wake_seq: int, items: Iterable[Item]) -> None:
        """The inbox as it stands at `wake_seq`."""
        self._wake_seen = max(self._wake_seen, wake_seq)
        self._wake_delivered()
        for item in self.mailbox.deliver(items):
            if item.kind is ItemKind.CANCEL:
                self.cancel(str(loads(item.payload)))
                continue
            self.wake(item.kind, item.name)

    def wake(self, kind: ItemKind, name: str) -> None:
        """Have those who wait for such an item look again."""
        self._waits.came(kind, name)

    async def next_delivery(self, wake_seq: int) -> None:
        """Return when the inbox was delivered as it stood at `wake_seq`, or later."""
        while self._wake_seen < wake_seq and self.leaving is None:
            self.host.look_into_inbox(self)
            if self._delivered is None:
                self._delivered = anyio.Event()
            await self._delivered.wait()
        self.check_leaving()

    def _wake_delivered(self) -> None:
        if self._delivered is not None:
            self._delivered.set()
            self._delivered = None

    # --- waiting ---------------------------------------------------------------------------------

    def adopt_task(self) -> None:
        """The current task is one of the run's: a wait in it counts for parking."""
        self._own_tasks.add(anyio.get_current_task().id)

    def is_own_task(self) -> bool:
        """Whether the current task is one of the run's."""
        return anyio.get_current_task().id in self._own_tasks

    def release_task(self) -> None:
        self._own_tasks.discard(anyio.get_current_task().id)

    async def pin(self, what: str) -> bool:
        """What begins now keeps the run from parking. Whether it does so by itself, in a task that the context did not
        make: then `suspend` ends it."""
        if self.is_own_task():
            return False
        while self._parking and self._settled is not None:
            await self._settled.wait()
        self.check_leaving()
        self.note(f"{what} was asked for in a task that the context did not make: the run stays in memory for it")
        self.resume()
        return True

    async def wait(self, wait: Wait, *, own: bool | None = None) -> None:
        """Return when there is something to look at: an item that fits, or the time.

        `own` says whether the current task is one of the run's; None: find out.

        :raises Parked: the run leaves memory
        """
        self.check_leaving()
        host = self.host
        timer = None if wait.due_at is None else host.timers.at(wait.due_at, wait.event.set)
        counts = own if own is not None else self.is_own_task()
        if not counts:
            self.note(
                f"{wait.reason} {', '.join(sorted(wait.names))!r} was awaited in a task that the context did not make:"
                " the run stays in memory"
            )
        self._waits.add(wait)
        if counts:
            self.suspend()
        try:
            await wait.event.wait()
            while self._parking and self._settled is not None:
                await self._settled.wait()
        finally:
            self._waits.remove(wait)
            if timer is not None:
                timer.cancel()
            if counts and self.leaving is not Leaving.PARKED:
                self.resume()
        self.check_leaving()

    def call_begins(self) -> None:
        """A step is under way until `call_ends`."""
        self._calls += 1

    def call_ends(self) -> None:
        self._calls -= 1
        if self._calls == 0 and self._calls_done is not None:
            self._calls_done.set()

    async def _calls_end(self) -> None:
        while self._calls:
            self._calls_done = anyio.Event()
            await self._calls_done.wait()

    def check_leaving(self) -> None:
        """At the entry of every verb. Also what a cancelled driver calls while it unwinds must not begin: the
        cancellation that unwinds it is raised only where something waits, which a `def` step does too late."""
        if self.leaving is not None or self._cancelling:
            raise Parked

    def suspend(self) -> None:
        """One coroutine fewer is at work."""
        self._active -= 1
        if self._active == 0 and self.leaving is None:
            self.idle = True
            self.host.slot_freed(self)
            self._arm_park()

    def resume(self) -> None:
        """One more is at work."""
        self._active += 1
        if self.idle:
            self.idle = False
            if self._park_timer is not None:
                self._park_timer.cancel()
            self.host.slot_taken(self)

    # --- parking ---------------------------------------------------------------------------------

    def _arm_park(self) -> None:
        if self._park_timer is not None:
            self._park_timer.cancel()
        self._park_timer = self.host.timers.after(self.host.park_after, self._try_park)

    def _try_park(self) -> None:
        if not self.idle or self._parking or self.leaving or self._cancelling or not self._waits:
            return
        if any(wait.event.is_set() for wait in self._waits):
            return  # what it waited for is here, and its coroutine about to go on; the store knows that we have seen it
        if self.stuck_labels:
            self._arm_park()
            return
        faults.reach("engine.before_park")
        self._parking = True
        self._settled = anyio.Event()
        dues = [wait.due_at for wait in self._waits if wait.due_at is not None]
        if self.record.deadline is not None:
            dues.append(self.record.deadline)
        groups = tuple(frozenset(map(RunId, wait.missing)) for wait in self._waits if wait.kind is ItemKind.CHILD_END)
        park = Park(next(iter(self._waits)).reason, min(dues, default=None), groups)
        unit = RunUnit(
            run_id=self.run_id,
            epoch=self.epoch,
            entries=self._unnoted(),
            notes=list(self.notes),
            expect_wake=self._wake_seen,
            then=park,
        )
        self.host.committer.submit(unit, lambda result: self._parked(park, result))

    def _parked(self, park: Park, result: Result) -> None:
        self._parking = False
        if isinstance(result, Applied):
            self._unwind(Leaving.PARKED)
            self.host.run_parked(park.due_at)
            if self.host.listening:
                self.host.emit(
                    RunParked(
                        run_id=self.run_id,
                        root_id=self.record.root_id,
                        at=self.host.clock.now(),
                        reason=park.reason,
                        due_at=park.due_at,
                    )
                )
            return
        self._settle()
        if isinstance(result, Woken):
            self.wake_seq_seen(result.wake_seq)
            if self._cancelling and self._tasks is not None:
                self._tasks.cancel_scope.cancel()
            elif self.stopping:
                self._unwind(Leaving.RELEASED)
            elif self.idle:
                self._arm_park()
        else:
            self.not_applied(result)

    def _settle(self) -> None:
        self._parking = False
        if self._settled is not None:
            self._settled.set()

    def _unwind(self, leaving: Leaving) -> None:
        """Let every coroutine that waits raise `Parked`; the others raise it at their next verb."""
        self.leaving = leaving
        self._settle()
        self._waits.wake_all()
        self._wake_delivered()
        if self.on_leaving is not None:
            self.on_leaving()

    # --- what rides along ------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """A line for the history, with the next commit."""
        if text not in self.notes:
            self.notes.append(text)

    def take_notes(self) -> list[str]:
        """The lines that wait for a commit: they go with the one that is being made."""
        notes, self.notes = self.notes, []
        return notes

    def _last_notes(self, ending: End) -> list[str]:
        if ending.status is RunStatus.COMPLETED:
            unasked = self.journal.unasked()
            if unasked:
                self.note(f"{len(unasked)} journal entries were not asked for again, first {unasked[0]!r}")
        return self.take_notes()

    def _unnoted(self) -> list[Entry]:
        """What has begun and is not in the journal yet."""
        return [make() for seq, make in self.open_entries.items() if seq not in self._noted]

    def write_down_starts(self, begun_before: Micros) -> None:
        """Have long steps show in the store: called about once a second, never for each step."""
        if self.leaving or self._parking or self.ended:
            return
        if self._unproven:
            return  # any commit clears the losses: a step that kills its worker after a second would never be found out
        fresh = []
        for seq, make in self.open_entries.items():
            if seq not in self._noted:
                entry = make()
                if entry.started_at is not None and entry.started_at <= begun_before:
                    self._noted.add(seq)
                    fresh.append(entry)
        if fresh:
            unit = RunUnit(run_id=self.run_id, epoch=self.epoch, entries=fresh)
            self.host.committer.submit(unit, self.after_note)

    def after_note(self, result: Result) -> None:
        """The result of a commit that nobody waits for."""
        if isinstance(result, Applied):
            self.wake_seq_seen(result.wake_seq)
        else:
            self.not_applied(result)

    def closes(self, seq: int) -> None:
        """What had begun under `seq` has ended. Said when its last state is handed to the committer: from then on the
        older state must not be written any more, since it would land behind, and so over, the last one."""
        self.open_entries.pop(seq, None)
        self._noted.discard(seq)
        self._unproven = False

    def _cancelled(self, entry: Entry) -> Entry:
        entry.status = StepStatus.CANCELLED
        entry.wait_reason = None
        entry.due_at = None
        entry.finished_at = self.host.clock.now()
        return entry

    # --- events ----------------------------------------------------------------------------------

    def emit_entry(self, entry: Entry) -> None:
        """An entry has its last state."""
        self.host.emit(
            StepEnded(
                run_id=self.run_id,
                root_id=self.record.root_id,
                at=self.host.clock.now(),
                key=entry.key,
                name=entry.name,
                kind=entry.kind,
                status=entry.status,
                attempts=entry.attempts,
                error=entry.error,
                started_at=entry.started_at,
                finished_at=entry.finished_at,
            )
        )

    def _emit_claimed(self) -> None:
        record = self.record
        self.host.emit(
            RunClaimed(
                run_id=self.run_id,
                root_id=record.root_id,
                at=self.host.clock.now(),
                kind=record.kind,
                name=record.name,
                epoch=self.epoch,
                replayed=len(self.journal),
            )
        )

    def _emit_released(self, *, lost: bool) -> None:
        self.host.emit(
            RunReleased(run_id=self.run_id, root_id=self.record.root_id, at=self.host.clock.now(), lost=lost)
        )

    @property
    def tasks(self) -> anyio.abc.TaskGroup:
        """The group of all tasks of the run."""
        if self._tasks is None:
            raise RuntimeError("the drive has not begun")
        return self._tasks


def cancellation_is_ours() -> bool:
    """Whether a cancel scope around the current task is cancelled; else the exception came from somebody's own
    future."""
    return anyio.current_effective_deadline() == float("-inf")


def is_of_user(error: BaseException) -> bool:
    """Whether what came out of a user's function is its own doing, whatever it is, and so an outcome. What is not has
    to go on: the interpreter's interrupt, and the cancellation that is ours (of trio it may come in a group)."""
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return False
    return isinstance(error, Exception) or not cancellation_is_ours()


def _lost_too_often(losses: int) -> Failure:
    return Failure(
        code="TRV-4008",
        message=f"{losses} workers died while they drove this run, the last of them with nothing else to do",
        kind=FailureKind.LOST_WORKER,
    )


def _timed_out(timeout: Micros | None) -> Failure:
    seconds = (timeout or 0) / 1_000_000
    return Failure(code="TRV-4009", message=f"the run's timeout of {seconds:g} s has passed", kind=FailureKind.TIMEOUT)
