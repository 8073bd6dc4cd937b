"""A worker's heartbeat, from a thread of its own: a step that hogs the event loop must not look dead.

The same thread looks after the others: a worker that is known to be gone, or whose beat has not moved for the timeout on this
observer's own monotonic clock, is buried. Its runs are queued then, for whoever claims them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trivium import faults
from trivium.errors import StoreBusy
from trivium.ids import WorkerId
from trivium.storage.port import Storage, WorkerRecord

_log = logging.getLogger("trivium.engine")


@dataclass(slots=True)
class _Seen:
    beat: int
    since: float


class Observer:
    """Who is dead, as far as one observer can tell. Pure: records and times in, verdicts out."""

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._seen: dict[WorkerId, _Seen] = {}

    def dead(self, workers: Sequence[WorkerRecord], now: float) -> list[WorkerRecord]:
        """The workers to bury, at monotonic time `now`. A beat is stale when it was seen unmoved over the whole timeout,
        so that a suspended machine or a jump of its clock kills nobody."""
        found = []
        for worker in workers:
            seen = self._seen.get(worker.id)
            if seen is None or seen.beat != worker.beat:
                seen = self._seen[worker.id] = _Seen(worker.beat, now)
            if worker.gone or now - seen.since >= self._timeout:
                found.append(worker)
        self._seen = {worker.id: self._seen[worker.id] for worker in workers}
        return found


class Heart:
    """Beats for one worker until it is stopped; `on_tick` and `on_failure` are called from its thread."""

    def __init__(
        self,
        storage: Storage,
        worker_id: WorkerId,
        *,
        interval: float,
        timeout: float,
        on_tick: Callable[[], object],
        on_buried: Callable[[], object],
        on_failure: Callable[[BaseException], object],
    ) -> None:
        self._storage = storage
        self._worker_id = worker_id
        self._interval = interval
        self._observer = Observer(timeout=timeout)
        self._on_tick = on_tick
        self._on_buried = on_buried
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trivium-heart", daemon=True)

    def start(self) -> None:
        """Start the thread; the first beat comes one interval later."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end. `join` waits."""
        self._stop.set()

    def join(self) -> None:
        if self._thread.is_alive():
            self._thread.join()

    def look_around(self) -> int:
        """Bury the dead; how many runs came free. Also called once before the worker claims for the first time."""
        freed = 0
        for worker in self._observer.dead(self._others(), time.monotonic()):
            faults.reach("engine.before_bury")
            runs = self._storage.bury(worker.id, worker.beat)
            if runs:
                _log.warning("worker %s (%s) is dead: %d of its runs are taken over", worker.name, worker.id, runs)
            freed += runs
        return freed

    def _others(self) -> list[WorkerRecord]:
        return [worker for worker in self._storage.workers() if worker.id != self._worker_id]

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._interval):
                faults.reach("engine.before_beat")
                try:
                    alive = self._storage.beat(self._worker_id)
                    self.look_around()
                except StoreBusy as busy:
                    _log.warning("no heartbeat this time: %s", busy)
                    continue
                if not alive:
                    self._on_buried()
                    return
                self._on_tick()
        except BaseException as error:
            self._on_failure(error)
