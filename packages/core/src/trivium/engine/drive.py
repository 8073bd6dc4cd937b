"""One run under way in this process: how it goes on, how it leaves memory, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import Enum, auto
from typing import Any, NoReturn

import anyio
import anyio.abc

from trivium import faults
from trivium.clock import Micros
from trivium.engine.activity import Activity
from trivium.engine.host import Host
from trivium.engine.journal import Journal
from trivium.engine.mailbox import Mailbox
from trivium.engine.openings import Openings
from trivium.engine.telling import Teller
from trivium.engine.timers import Timer
from trivium.errors import NotJson, Parked, TooLarge
from trivium.ids import RunId
from trivium.json import JsonValue, dumps, loads
from trivium.model.commit import Applied, Broken, ClaimedRun, End, Park, Refused, Release, Result, RunUnit, Woken
from trivium.model.drivers import Driver
from trivium.model.failure import Failure, failure_of
from trivium.model.inbox import Item, ItemKind
from trivium.model.states import FailureKind, RunStatus

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

    def __init__(self, claimed: ClaimedRun, driver: Driver, host: Host[Drive]) -> None:
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
        self.holds_slot = True
        """Of the worker's slots: until the run only waits, or ends."""
        self.finished = False
        self.takes_tasks = False
        """Whether its task group may be given more to do; threads that were given up may ask at any time."""
        self.writes = True
        """Whether its last unit is still to come."""
        self.openings = Openings()
        self.teller = Teller(claimed.run, host)
        self.activity = Activity(
            host.timers,
            check=self.check_leaving,
            on_idle=self._turned_idle,
            on_busy=self._turned_busy,
            note=self.openings.note,
        )
        self.stuck_labels: set[str] = set()
        """Calls that timed out and could not be stopped: while one runs, the run is neither parked nor handed over."""
        self.on_leaving: Callable[[], None] | None = None
        """Wakes verbs that wait for something else than an item or a time."""
        self._unproven = claimed.run.losses > 0
        """Its last owner died with it, and nothing of it was committed since."""
        self._wake_seen = claimed.run.wake_seq
        self._park_timer: Timer | None = None
        self._cancel_reason: str | None = None
        self._timed_out = False
        self._fault: Failure | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._spawned = False
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
                self.teller.claimed(len(self.journal))
                async with anyio.create_task_group() as tasks:
                    self._tasks = tasks
                    self.takes_tasks = True
                    self.activity.adopt_task()
                    self.deliver(record.wake_seq, self._first_inbox)
                    ending = await self._outcome_of(body)
                    if self.leaving is Leaving.RELEASED:
                        await self._calls_end()  # what is under way may finish: its outcome is worth keeping
                    self.takes_tasks = False
                    if self._spawned:  # a cancel costs as much as a step, and most runs have nothing to cancel
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
            entries=self.openings.cut_off(self.host.clock.now(), children=ending.status is not RunStatus.COMPLETED),
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

    def end_is_durable(self, ending: End) -> None:
        """The run has ended, in a commit that is done."""
        self.ended = ending
        self.host.run_ended(self, ending)
        self.teller.ended(ending)

    async def _release(self) -> None:
        if any(executor.is_stuck_in(self.run_id) for executor in self.host.executors.values()):
            _log.warning(
                "run %s is not handed back yet: a step of it runs in a thread, which cannot be stopped", self.run_id
            )
            return
        unit = RunUnit(
            run_id=self.run_id,
            epoch=self.epoch,
            entries=self.openings.unnoted(),
            notes=self.openings.take_notes(),
            then=Release(),
        )
        result = await self.host.committer.commit(unit)
        self.teller.released(lost=not isinstance(result, Applied))

    # --- what others tell it ----------------------------------------------------------------------

    def stop(self) -> None:
        """The worker shuts down: let the steps under way finish, begin nothing, hand the run back."""
        if self.leaving is None and self.ended is None and not self.stopping:
            self.stopping = True
            if not self.activity.held:
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
        self.activity.open_gate()
        self.teller.released(lost=True)
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
            if self._tasks is not None and not self.activity.held:
                self._tasks.cancel_scope.cancel()

    def cancel(self, reason: str) -> None:
        """Cancel what runs, then end as cancelled. An end that was committed before wins."""
        if self._cancel_reason is None:
            self._cancel_reason = reason or "cancelled"
            if self._tasks is not None and not self.activity.held:
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
        if self._tasks is not None and not self.activity.held:
            self._tasks.cancel_scope.cancel()

    def got_on(self) -> None:
        """An outcome of the run is durable: it does not kill its workers, at least not at once."""
        if self._unproven:
            self._unproven = False
            self.host.run_got_on()

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
        self.activity.waits.came(kind, name)

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

    # --- at the verbs ----------------------------------------------------------------------------

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

    # --- parking ---------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether every coroutine of the run only waits."""
        return self.activity.idle

    def _turned_idle(self) -> None:
        self.host.slot_freed(self)
        self._arm_park()

    def _turned_busy(self) -> None:
        if self._park_timer is not None:
            self._park_timer.cancel()
        self.host.slot_taken(self)

    def _arm_park(self) -> None:
        if self._park_timer is not None:
            self._park_timer.cancel()
        self._park_timer = self.host.timers.after(self.host.park_after, self._try_park)

    def _try_park(self) -> None:
        waits = self.activity.waits
        if not self.idle or self.activity.held or self.leaving or self._cancelling or not waits:
            return
        if any(wait.event.is_set() for wait in waits):
            return  # what it waited for is here, and its coroutine about to go on; the store knows that we have seen it
        if self.stuck_labels:
            self._arm_park()
            return
        faults.reach("engine.before_park")
        self.activity.close_gate()
        dues = [wait.due_at for wait in waits if wait.due_at is not None]
        if self.record.deadline is not None:
            dues.append(self.record.deadline)
        groups = tuple(frozenset(map(RunId, wait.missing)) for wait in waits if wait.kind is ItemKind.CHILD_END)
        park = Park(next(iter(waits)).reason, min(dues, default=None), groups)
        unit = RunUnit(
            run_id=self.run_id,
            epoch=self.epoch,
            entries=self.openings.unnoted(),
            notes=list(self.openings.notes),
            expect_wake=self._wake_seen,
            then=park,
        )
        self.host.committer.submit(unit, lambda result: self._parked(park, result))

    def _parked(self, park: Park, result: Result) -> None:
        if isinstance(result, Applied):
            self._unwind(Leaving.PARKED)
            self.host.run_parked(park.due_at)
            self.teller.parked(park)
            return
        self.activity.open_gate()
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

    def _unwind(self, leaving: Leaving) -> None:
        """Let every coroutine that waits raise `Parked`; the others raise it at their next verb."""
        self.leaving = leaving
        self.activity.finish()
        self._wake_delivered()
        if self.on_leaving is not None:
            self.on_leaving()

    # --- what rides along ------------------------------------------------------------------------

    def _last_notes(self, ending: End) -> list[str]:
        if ending.status is RunStatus.COMPLETED:
            unasked = self.journal.unasked()
            if unasked:
                self.openings.note(f"{len(unasked)} journal entries were not asked for again, first {unasked[0]!r}")
        return self.openings.take_notes()

    def write_down_starts(self, begun_before: Micros) -> None:
        """Have long steps show in the store: called about once a second, never for each step."""
        if self.leaving or self.activity.held or self.ended:
            return
        if self._unproven:
            return  # any commit clears the losses: a step that kills its worker after a second would never be found out
        fresh = self.openings.noting(begun_before)
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
        """What had begun under `seq` has ended, and its last state is handed to the committer now."""
        self.openings.close(seq)

    @property
    def tasks(self) -> anyio.abc.TaskGroup:
        """The group of all tasks of the run, for starting one."""
        if self._tasks is None:
            raise RuntimeError("the drive has not begun")
        self._spawned = True
        return self._tasks


async def unwound() -> NoReturn:
    """Wait for the cancellation that is on its way."""
    while True:
        await anyio.sleep_forever()


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
