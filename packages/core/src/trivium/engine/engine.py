"""The engine: an open store with its threads, and, where it works, a worker. What `Trivium` stands on."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial

import anyio
import anyio.abc
import anyio.to_thread

from trivium import faults
from trivium.bridge import Bridge
from trivium.engine.bell import BellThread
from trivium.engine.bus import Bus
from trivium.engine.committer import Committer
from trivium.engine.heart import Heart
from trivium.engine.patience import patiently
from trivium.engine.settings import EngineSettings
from trivium.engine.timers import Timers
from trivium.engine.watch import Watches
from trivium.engine.worker import Worker
from trivium.errors import Conflict, NotFound, TriviumError, WorkerFailed
from trivium.executors import Executor, InlineExecutor, ThreadExecutor
from trivium.ids import RunId, new_worker_id
from trivium.model.commit import Applied, Broken, End, Refused, Result, Ring, Unit
from trivium.model.drivers import Driver
from trivium.model.events import Observer
from trivium.model.runs import Run
from trivium.model.states import RunStatus
from trivium.registry import Registry
from trivium.storage.port import Storage, WorkerRecord

_log = logging.getLogger("trivium.engine")

POLL = 1.0
"""Seconds between two looks of a client that waits for runs: the net below the doorbells."""


class Engine:
    """Use `async with engine.running():` once."""

    def __init__(
        self,
        storage: Storage,
        *,
        registry: Registry,
        drivers: Sequence[Driver],
        observers: Sequence[Observer] = (),
        settings: EngineSettings,
        works: bool,
        roots: set[RunId] | None = None,
    ) -> None:
        self.storage = storage
        self.settings = settings
        self.works = works
        self.bus = Bus(observers)
        self.watches = Watches()
        self._registry = registry
        self._drivers = drivers
        self._roots = roots
        self._bell: BellThread | None = None
        self._heart: Heart | None = None
        self._presence: AbstractContextManager[None] | None = None
        self._failure: BaseException | None = None
        self._stopped = False
        self._booting = anyio.Lock()
        self._stopping = anyio.Lock()
        self._executors: dict[str, Executor] = {}
        self._lingers = False
        """Threads of steps go on after the end: so does the presence, or their runs would be driven elsewhere beside
        them."""
        self._deaf = False
        """No ring and no result arrives any more."""

    # --- lifetime --------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the store, start the threads, and work until the block is left; then stop gracefully.

        :raises WorkerFailed: a background loop ended; the block is cancelled then
        :raises StoreError: the store could not be opened, or failed for good
        """
        await anyio.to_thread.run_sync(self.storage.open)
        error: BaseException | None = None
        try:
            self._bridge = Bridge(self._fail)
            self.timers = Timers(self.storage.clock)
            self.committer = Committer(self.storage, self._bridge, on_ring=self._rung, on_broken=self._fail)
            self._executors = {"inline": InlineExecutor(), "thread": ThreadExecutor(self.settings.threads)}
            self.worker = Worker(
                storage=self.storage,
                clock=self.storage.clock,
                bridge=self._bridge,
                timers=self.timers,
                committer=self.committer,
                registry=self._registry,
                drivers=self._drivers,
                executors=self._executors,
                settings=self.settings,
                bus=self.bus,
                watches=self.watches,
                roots=self._roots,
                on_failure=self._fail,
            )
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self.bus.start()
                self.committer.start()
                for executor in self._executors.values():
                    executor.start(self._bridge)
                tasks.start_soon(self._supervised, self.timers.run)
                try:
                    await self._boot()
                    if not self.works:
                        tasks.start_soon(self._supervised, self._poll)
                    yield
                except anyio.get_cancelled_exc_class():
                    raise
                except BaseException as raised:  # kept out of the task group, which would wrap it into a group
                    error = raised
                finally:
                    with anyio.CancelScope(shield=True):
                        await self.stop()
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.bus.close)
                if self._lingers:
                    threading.Thread(target=self._linger, name="trivium-linger", daemon=True).start()
                else:
                    await anyio.to_thread.run_sync(self.storage.close)
        if self._failure is not None:
            if isinstance(self._failure, TriviumError):
                raise self._failure
            raise WorkerFailed(f"a background loop ended: {self._failure!r}") from self._failure
        if error is not None:
            raise error

    async def stop(self) -> None:
        """Stop working: let the steps under way finish within the grace, hand the runs back, leave. May be called
        twice."""
        self._stopped = True
        # Begun is finished: half of it would leave threads that use a closed store. Who comes second waits for it.
        with anyio.CancelScope(shield=True):
            async with self._stopping:
                if not self._deaf:
                    await self._stop()

    async def _stop(self) -> None:
        try:
            if self._failure is None:
                await self.worker.stop(self.settings.shutdown_grace)
                faults.reach("engine.before_leave")
            for executor in self._executors.values():
                executor.close()
            async with self._booting:  # a boot under way is waited for, or it would outlive its end
                self._lingers = self._presence is not None and any(each.running for each in self._executors.values())
                await self._unboot()
        finally:  # also where the store is too busy for us to leave it in order
            await self.committer.aclose()
            self._deaf = True
            self.watches.look_all()

    def _linger(self) -> None:
        """On a thread of its own: stay present, and beat, until the steps that cannot be stopped have ended. If the
        process ends before them, they end with it, and the runs are taken over as from any dead worker."""
        _log.info("worker %s stays until the steps that still run in threads have ended", self.worker_id)
        for executor in self._executors.values():
            executor.join()
        if self._heart is not None:
            self._heart.stop()
            self._heart.join()
        if self._presence is not None:
            self._presence.__exit__(None, None, None)
        self.storage.close()

    async def _supervised(self, loop: Callable[[], Awaitable[None]]) -> None:
        """A background loop: if it ends, so does the engine, and says so."""
        try:
            await loop()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """A background loop ended: nothing can go on. Called on the event loop."""
        if self._failure is None:
            self._failure = error
            _log.error("the engine stops: %s", error, exc_info=error)
            self._tasks.cancel_scope.cancel()

    # --- one boot --------------------------------------------------------------------------------

    async def _boot(self) -> None:
        """Register under a new id: the bell, and for a worker its presence and its heart."""
        self.worker_id = new_worker_id()
        self.committer.origin = self.worker_id
        bell = await anyio.to_thread.run_sync(self.storage.doorbell, self.worker_id)
        self._bell = BellThread(bell, on_ring=self._rung_from_outside, on_failure=self._fail_from_thread)
        self._bell.start()
        if not self.works:
            return
        self._presence = await anyio.to_thread.run_sync(patiently, self._enter)
        self._heart = Heart(
            self.storage,
            self.worker_id,
            interval=self.settings.beat_interval,
            timeout=self.settings.heartbeat_timeout,
            on_tick=self._ticked,
            on_buried=lambda: self._bridge.call_soon(self._buried),
            on_failure=self._fail_from_thread,
        )
        await anyio.to_thread.run_sync(patiently, self._heart.look_around)
        self._heart.start()
        if not self._stopped:
            self.worker.begin(self.worker_id, self._tasks)

    def _enter(self) -> AbstractContextManager[None]:
        presence = self.storage.presence(self._record())
        presence.__enter__()
        return presence

    async def _unboot(self) -> None:
        if self._bell is not None:
            await anyio.to_thread.run_sync(self._bell.stop)
            self._bell = None
        if self._lingers:
            return
        if self._heart is not None:
            self._heart.stop()
            await anyio.to_thread.run_sync(self._heart.join)
            self._heart = None
        if self._presence is not None:
            presence, self._presence = self._presence, None
            await anyio.to_thread.run_sync(partial(presence.__exit__, None, None, None))

    def _buried(self) -> None:
        """Somebody took this worker for dead (it was stopped, or hung): it goes on as a new one."""
        _log.warning("worker %s was taken for dead: its runs go on elsewhere", self.worker_id)
        self.worker.lose_all()
        if not self._stopped:
            self._tasks.start_soon(self._supervised, self._reboot)

    async def _reboot(self) -> None:
        with anyio.CancelScope(shield=True):
            async with self._booting:
                await self._unboot()
                if not self._stopped:
                    await self._boot()

    def _record(self) -> WorkerRecord:
        settings = self.settings
        now = self.storage.clock.now()
        return WorkerRecord(
            id=self.worker_id,
            name=settings.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=None if settings.queues is None else tuple(sorted(settings.queues)),
            concurrency=settings.concurrency,
            started_at=now,
            beat=0,
            beat_at=now,
        )

    # --- rings and ticks -------------------------------------------------------------------------

    def _rung(self, ring: Ring) -> None:
        self.watches.rung(ring)
        self.worker.rung(ring)

    def _rung_from_outside(self, ring: Ring) -> None:
        self._bridge.call_soon(lambda: self._rung(ring))

    def _fail_from_thread(self, error: BaseException) -> None:
        self._bridge.call_soon(lambda: self._fail(error))

    def _ticked(self) -> None:
        """On the heart's thread, once a second."""
        owned = self.storage.owned(self.worker_id)
        statuses = self._watched_statuses()
        self._bridge.call_soon(lambda: self._after_tick(owned, statuses))

    def _after_tick(self, owned: Mapping[RunId, tuple[int, int]], statuses: Mapping[RunId, RunStatus]) -> None:
        self.worker.tick(owned)
        self.watches.statuses(statuses)

    async def _poll(self) -> None:
        while True:
            await self.storage.clock.wait(anyio.Event(), POLL)
            self.watches.statuses(await anyio.to_thread.run_sync(patiently, self._watched_statuses))

    def _watched_statuses(self) -> Mapping[RunId, RunStatus]:
        watched = list(self.watches.watched())
        return self.storage.statuses(watched) if watched else {}

    # --- what users of the engine ask -------------------------------------------------------------

    async def commit(self, unit: Unit, *, first: Callable[[Result], None] | None = None) -> Applied:
        """Commit one unit; raises what refused it. `first` as of the committer."""
        result: Result = await self.committer.commit(unit, first=first)
        if isinstance(result, (Refused, Broken)):
            raise result.error
        if not isinstance(result, Applied):
            raise WorkerFailed(f"a unit that has no fence came back as {result!r}")
        return result

    async def wait_end(self, run_id: RunId) -> End:
        """Wait until a run has ended, wherever it is driven.

        :raises NotFound: there is no such run
        :raises Conflict: the engine was stopped, so that nobody would tell
        """
        watch = self.watches.add(run_id)
        try:
            if run_id in self.worker.driven:
                await watch.event.wait()
            while watch.end is None:
                watch.event = anyio.Event()
                run = await self.read_run(run_id)
                if run.status.terminal:
                    return End(run.status, run.output, run.error)
                if self._deaf:
                    raise Conflict(f"the engine was stopped; run {run_id} is {run.status}", hint="open the store again")
                await watch.event.wait()
            return watch.end
        finally:
            self.watches.remove(run_id, watch)

    async def read_run(self, run_id: RunId) -> Run:
        """One run, as stored.

        :raises NotFound: there is no such run
        """
        run = await anyio.to_thread.run_sync(self.storage.run, run_id)
        if run is None:
            raise NotFound("run", run_id, hint="trivium runs list")
        return run
