"""A worker's heartbeat, from a thread of its own: a step that hogs the event loop must not look dead.

The same thread looks after the others: a worker that is known to be gone, or whose beat has not moved for the timeout,
counted in this observer's own beats, is buried. Its runs are queued then, for whoever claims them.
"""

from __future__ import annotations

import logging
import math
import threading
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
    looks: int


class Observer:
    """Who is dead, as far as one observer can tell. Pure: records in, verdicts out.

    It counts its own looks, one behind each of its own beats, not time: an observer that was itself suspended, stopped
    or kept from writing, and a clock that jumped, kill nobody.
    """

    def __init__(self, *, looks: int) -> None:
        self._looks = looks
        self._seen: dict[WorkerId, _Seen] = {}

    def dead(self, workers: Sequence[WorkerRecord]) -> list[WorkerRecord]:
        """The workers to bury: those that are known to be gone, and those whose beat stood still for `looks` looks."""
        found = []
        fresh: dict[WorkerId, _Seen] = {}
        for worker in workers:
            seen = self._seen.get(worker.id)
            if seen is None or seen.beat != worker.beat:
                seen = _Seen(worker.beat, 0)
            else:
                seen.looks += 1
            fresh[worker.id] = seen
            if worker.gone or seen.looks >= self._looks:
                found.append(worker)
        self._seen = fresh
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
        self._observer = Observer(looks=max(1, math.ceil(timeout / interval)))
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
        for worker in self._observer.dead(self._others()):
            faults.reach("engine.before_bury")
            runs = self._storage.bury(worker.id, worker.beat)
            if runs:
                _log.warning("worker %s (%s) is dead; runs to take over: %d", worker.name, worker.id, runs)
            freed += runs
        return freed

    def _others(self) -> list[WorkerRecord]:
        return [worker for worker in self._storage.workers() if worker.id != self._worker_id]

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._interval):
                faults.reach("engine.before_beat")
                try:
                    if not self._storage.beat(self._worker_id):
                        self._on_buried()
                        return
                    self.look_around()
                    self._on_tick()
                except StoreBusy as busy:
                    _log.warning("no heartbeat, or no look around, this time: %s", busy)
        except BaseException as error:
            self._on_failure(error)
