"""The worker: claims runs while it has slots, and drives them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import anyio
import anyio.abc
import anyio.to_thread
from typing_extensions import override

from trivium import faults
from trivium.bridge import Bridge
from trivium.clock import Clock, Micros
from trivium.engine.bus import Bus
from trivium.engine.committer import Committer
from trivium.engine.context import DriveContext
from trivium.engine.drive import Drive
from trivium.engine.host import Host
from trivium.engine.patience import patiently
from trivium.engine.settings import EngineSettings
from trivium.engine.targets import prepare
from trivium.engine.timers import Timer, Timers
from trivium.engine.watch import Watches
from trivium.errors import WorkerFailed
from trivium.executors.port import Executor
from trivium.ids import NeedsId, RunId, WorkerId
from trivium.json import JsonValue
from trivium.model.commit import BatchResult, ClaimedRun, ClaimRequest, End, Release, Ring, RunUnit, Started
from trivium.model.drivers import Driver, Prepared
from trivium.model.events import Event
from trivium.model.runs import Definition, NewRun, Run
from trivium.model.states import RunStatus
from trivium.registry import Registry
from trivium.storage.port import Storage

_log = logging.getLogger("trivium.engine")

SUSPECT_PATIENCE = 30.0
"""Seconds after which a busy worker stops claiming other runs, so that a suspect can have it alone."""

NOTED_AFTER = 200_000
"""Microseconds after which a step that runs is written down at the next tick."""


class Worker(Host[Drive]):
    """What claims and drives, on the event loop. Its threads and its lifetime are the engine's matter."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        bridge: Bridge,
        timers: Timers,
        committer: Committer,
        registry: Registry,
        drivers: Sequence[Driver],
        executors: Mapping[str, Executor],
        settings: EngineSettings,
        bus: Bus,
        watches: Watches,
        roots: set[RunId] | None,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.storage = storage
        self.clock = clock
        self.bridge = bridge
        self.timers = timers
        self.committer = committer
        self.registry = registry
        self.executors = executors
        self.park_after = settings.park_after
        self.drivers = {driver.kind: driver for driver in drivers}
        self.roots = roots
        """None: claim from every tree; else only from these."""
        self._settings = settings
        self._bus = bus
        self._watches = watches
        self._on_failure = on_failure
        self._id: WorkerId | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._accepting = False
        self._drives: dict[RunId, Drive] = {}
        self._busy = 0
        self._drained = anyio.Event()
        self._claiming = False
        self._claim_again = False
        self._backlog = False
        self._solo = False
        """A suspect is driven, or waits for the others to finish: nothing else is claimed."""
        self._suspect_next = False
        self._suspect_since: float | None = None
        self._refreshing = False
        self._look_again = False
        self._served: frozenset[NeedsId] = frozenset()
        self._unmet: dict[NeedsId, frozenset[str]] = {}
        """Sets of needs that lack something here, or were not looked at yet."""
        self._undriven: dict[RunId, int] = {}
        """Runs that the store says are ours and that nobody here drove at the last tick, with their epochs."""
        self._due_at: Micros | None = None
        self._due_timer: Timer | None = None
        self._looking: dict[Drive, bool] = {}
        self._rung_early: set[RunId] = set()
        """Runs of ours whose inbox was rung for before the commit that claimed them was handed out."""

    # --- lifetime --------------------------------------------------------------------------------

    def begin(self, worker_id: WorkerId, tasks: anyio.abc.TaskGroup) -> None:
        """Start claiming as `worker_id`."""
        self._id = worker_id
        self._tasks = tasks
        self._accepting = True
        self.look_for_work()

    async def stop(self, grace: float) -> None:
        """Claim nothing more; let the steps under way finish for up to `grace` seconds, then hand all runs back."""
        self._accepting = False
        for drive in list(self._drives.values()):
            drive.stop()
        with anyio.move_on_after(grace):
            await self._until_drained()
        if self._drives:
            _log.warning("%d runs had steps that did not finish in %g s: they are cut off", len(self._drives), grace)
            for drive in list(self._drives.values()):
                drive.cut_off()
            with anyio.move_on_after(5):
                await self._until_drained()

    def lose_all(self) -> None:
        """The worker was buried: every run of it has, or will have, another owner."""
        self._accepting = False
        for drive in list(self._drives.values()):
            drive.lose()

    async def _until_drained(self) -> None:
        while self._drives:
            self._drained = anyio.Event()
            await self._drained.wait()

    @property
    def driven(self) -> Mapping[RunId, Drive]:
        """The runs under way here."""
        return self._drives

    # --- looking for work ------------------------------------------------------------------------

    def look_for_work(self) -> None:
        """Runs may have become claimable, of definitions that this worker has not seen."""
        if self._accepting and self._tasks is not None:
            self._look_again = True
            if not self._refreshing:
                self._refreshing = True
                self._tasks.start_soon(self._refresh)

    async def _refresh(self) -> None:
        """Look, and again for whoever rang meanwhile: what was read may be older than the run that was rung for."""
        try:
            while self._look_again:
                self._look_again = False
                self._learn_all(await anyio.to_thread.run_sync(patiently, self.storage.needs))
                self._claim()
        except Exception as error:  # the store's: nothing can be claimed any more
            self._on_failure(error)
        finally:
            self._refreshing = False

    def serves(self) -> frozenset[NeedsId]:
        """The sets of needs that this worker can meet: worked out once for each that it can, as nothing is ever
        unregistered."""
        met = [mark for mark, needs in self._unmet.items() if self._meets(needs)]
        if met:
            for mark in met:
                del self._unmet[mark]
            self._served |= frozenset(met)
        return self._served

    def _learn_all(self, needs: Mapping[NeedsId, frozenset[str]]) -> None:
        """All sets of needs that the store has now."""
        self._served &= needs.keys()
        self._unmet = {mark: names for mark, names in needs.items() if mark not in self._served}

    def _meets(self, needs: frozenset[str]) -> bool:
        for need in needs:
            what, _, name = need.partition(":")
            if not (self.registry.has_action(name) if what == "action" else what == "driver" and name in self.drivers):
                return False
        return True

    def _claim(self) -> None:
        if not self._accepting or self._id is None or (self.roots is not None and not self.roots):
            return
        if self._claiming:
            self._claim_again = True
            return
        free = self._settings.concurrency - self._busy
        if free <= 0 or (self._solo and self._drives):
            self._backlog = True
            return
        self._claiming = True
        self._claim_again = self._backlog = False
        suspects = self._suspect_next and not self._drives
        request = ClaimRequest(
            worker_id=self._id,
            limit=1 if suspects else free,
            serves=self.serves(),
            queues=self._settings.queues,
            roots=None if self.roots is None else frozenset(self.roots),
            suspects=suspects,
        )
        self.committer.claim(request, lambda result: self._claimed(request, result))

    def _claimed(self, request: ClaimRequest, result: BatchResult) -> None:
        self._claiming = False
        if self._id != request.worker_id:
            # Claimed by a boot that was buried since: those runs are taken over like all others of it.
            self._claim()  # the boot that there is now may have wanted to meanwhile
            return
        if not self._accepting:
            return  # the worker shuts down: what it leaves unfinished is handed back when it goes
        for claimed in result.claimed:
            self._drive(claimed)
        self._suspect_next = result.suspects
        self._solo = (request.suspects and bool(result.claimed)) or self._out_of_patience(suspects=result.suspects)
        self._claim_at(result.next_due)
        full = len(result.claimed) == request.limit
        more = full or (result.suspects and not request.suspects and not self._drives)
        if self._claim_again or more:
            self._claim()
        else:
            faults.reach("engine.before_wait")

    def _claim_at(self, due_at: Micros | None) -> None:
        """Claim again when the first run that nobody owns is due."""
        if self._due_timer is not None:
            self._due_timer.cancel()
        self._due_at = due_at
        self._due_timer = None if due_at is None else self.timers.at(due_at, self._claim)

    def _out_of_patience(self, *, suspects: bool) -> bool:
        """A suspect is for an empty worker. One that never is empty drains after a while, so that the suspect gets its
        turn."""
        if not suspects:
            self._suspect_since = None
            return False
        now = self.clock.monotonic()
        if self._suspect_since is None:
            self._suspect_since = now
        return now - self._suspect_since >= SUSPECT_PATIENCE

    # --- driving ---------------------------------------------------------------------------------

    def _drive(self, claimed: ClaimedRun) -> None:
        driver = self.drivers.get(claimed.run.kind)
        if driver is None or self._tasks is None:
            raise WorkerFailed(
                f"run {claimed.run.id} of kind {claimed.run.kind!r} was claimed, which nobody drives here"
            )
        drive = Drive(claimed, driver, self)
        self._drives[drive.run_id] = drive
        self._busy += 1
        self._tasks.start_soon(self._live, drive, driver)
        if drive.run_id in self._rung_early:
            self._rung_early.remove(drive.run_id)
            self.look_into_inbox(drive)

    async def _live(self, drive: Drive, driver: Driver) -> None:
        try:
            context = DriveContext(drive)
            await drive.run(lambda: driver.drive(context))
        except Exception as error:  # ours: whatever the run does is an outcome, so this is a fault of the engine
            self._on_failure(error)
        finally:
            if self._drives.get(drive.run_id) is drive:
                del self._drives[drive.run_id]
            self._watches.left(drive.run_id)
            self._give_slot(drive)
            if not self._drives:
                self._solo = False
                self._drained.set()
                if self._suspect_next or self._backlog:
                    self._claim()

    def _give_slot(self, drive: Drive) -> None:
        """Let another run have the drive's slot: this one only waits, or has ended, though it may still unwind."""
        if not drive.holds_slot:
            return
        drive.holds_slot = False
        self._busy -= 1
        if self._backlog:
            self._claim()

    # --- what the engine tells it -----------------------------------------------------------------

    def rung(self, ring: Ring) -> None:
        """A doorbell, or a commit of our own."""
        if ring.work or ring.everything:
            self.look_for_work()
        for run_id in ring.inbox:
            drive = self._drives.get(run_id)
            if drive is not None:
                self.look_into_inbox(drive)
            else:
                self._rung_early.add(run_id)

    def tick(self, owned: Mapping[RunId, tuple[int, int]]) -> None:
        """Once a second: what the rings may have missed. `owned` is what the store says this worker owns."""
        self._rung_early.clear()  # this look makes up for them, and what was rung for and never driven must not pile up
        noted_before = Micros(self.clock.now() - NOTED_AFTER)
        for run_id, drive in list(self._drives.items()):
            found = owned.get(run_id)
            if found is not None and found[0] == drive.epoch:
                drive.wake_seq_seen(found[1])
            drive.write_down_starts(noted_before)
        self._hand_back_undriven(owned)
        for name, executor in self.executors.items():
            if executor.all_stuck:
                self._on_failure(
                    WorkerFailed(
                        f"every place of executor {name!r} is held by a step that timed out and still runs",
                        hint="restart the worker; give such steps an end of their own",
                    )
                )
        self.look_for_work()

    def _hand_back_undriven(self, owned: Mapping[RunId, tuple[int, int]]) -> None:
        """The net below all ends of a drive: a run that is ours over two ticks, and that nobody drives, is queued. What
        was claimed a moment ago has been handed over by the second."""
        undriven = {run_id: epoch for run_id, (epoch, _) in owned.items() if run_id not in self._drives}
        for run_id, epoch in undriven.items():
            if self._undriven.get(run_id) == epoch and self._accepting:
                _log.warning("run %s was ours and not driven: it is handed back", run_id)
                note = "handed back: its worker owned it and did not drive it"
                unit = RunUnit(run_id=run_id, epoch=epoch, notes=[note], then=Release())
                self.committer.submit(unit, lambda result: None)
        self._undriven = undriven

    # --- Host ------------------------------------------------------------------------------------

    @property
    @override
    def listening(self) -> bool:
        return self._bus.listening

    @override
    def emit(self, event: Event) -> None:
        self._bus.emit(event)

    @override
    def slot_freed(self, drive: Drive) -> None:
        self._give_slot(drive)

    @override
    def slot_taken(self, drive: Drive) -> None:
        if not drive.holds_slot and drive.ended is None:
            drive.holds_slot = True
            self._busy += 1

    @override
    def run_ended(self, drive: Drive, ending: End) -> None:
        self._give_slot(drive)  # before anybody hears of the end: who then starts the next run finds it free
        self._watches.ended(drive.run_id, ending)

    @override
    def run_got_on(self) -> None:
        if self._solo:
            self._solo = False
            self._claim()

    @override
    def run_parked(self, due_at: Micros | None) -> None:
        if due_at is not None and (self._due_at is None or due_at < self._due_at):
            self._claim_at(due_at)

    @override
    def look_into_inbox(self, drive: Drive) -> None:
        if drive in self._looking:
            self._looking[drive] = True
        elif self._tasks is not None:
            self._looking[drive] = False
            self._tasks.start_soon(self._look, drive)

    async def _look(self, drive: Drive) -> None:
        try:
            while not drive.finished:
                self._looking[drive] = False
                wake_seq, items = await anyio.to_thread.run_sync(self.storage.inbox, drive.run_id)
                drive.deliver(wake_seq, items)
                if not self._looking[drive]:
                    return
        except Exception as error:  # the store's: nothing that comes would be seen any more
            self._on_failure(error)
        finally:
            del self._looking[drive]

    @override
    def prepare(self, target: object, inputs: JsonValue) -> Prepared:
        return prepare(self.drivers.values(), target, inputs, self.registry)

    @override
    def claimer(self, definition: Definition) -> WorkerId | None:
        free = self._accepting and not self._solo and self._busy < self._settings.concurrency
        return self._id if free and self._meets(definition.needs) else None

    @override
    def adopt(self, new: NewRun, started: Started) -> None:
        self.learn(new.definition)
        if started.claimed and new.claim_by == self._id and self._accepting:
            self._drive(ClaimedRun(fresh_run(new, self.clock.now()), new.definition, (), ()))
        elif started.status is RunStatus.QUEUED:
            self._claim()

    def learn(self, definition: Definition) -> None:
        """A definition that was just stored: its needs may be new."""
        if definition.needs_id not in self._served:
            self._unmet.setdefault(definition.needs_id, definition.needs)

    @override
    async def read_run(self, run_id: RunId) -> Run | None:
        return await anyio.to_thread.run_sync(self.storage.run, run_id)


def fresh_run(new: NewRun, now: Micros) -> Run:
    """The row of a run that was inserted as claimed, without reading it back."""
    return Run(
        id=new.id,
        kind=new.definition.kind,
        name=new.definition.name,
        target=new.target,
        definition_id=new.definition.id,
        status=RunStatus.RUNNING,
        inputs=new.inputs,
        queue=new.queue,
        priority=new.priority,
        root_id=new.root_id or new.id,
        epoch=1,
        generation=0,
        wake_seq=0,
        losses=0,
        created_at=now,
        key=new.key,
        owner=new.claim_by,
        parent_id=new.parent_id,
        cause=new.cause,
        labels=new.labels,
        timeout=new.timeout,
        first_claimed_at=now,
    )
