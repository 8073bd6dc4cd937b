"""Threads of our own for `def` actions.

Daemonic, because a thread cannot be stopped: one that hangs must not keep the process from ending. A call that its
caller gave up keeps its thread and its place until it returns.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from typing_extensions import override

from trivium.bridge import Bridge
from trivium.executors.port import Call, Executor


@dataclass(slots=True)
class _Job:
    call: Call
    context: contextvars.Context
    done: anyio.Event
    value: object = None
    error: BaseException | None = None
    abandoned: bool = False


class ThreadExecutor(Executor):
    """At most `limit` calls at once; the others wait for a place, which does not count against their timeout."""

    name = "thread"
    local = True

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._places = limit
        self._waiting: deque[anyio.Event] = deque()
        self._stuck: Counter[str] = Counter()
        self._unstuck = anyio.Event()
        self._bridge: Bridge | None = None

    @property
    @override
    def stuck(self) -> int:
        return self._stuck.total()

    @property
    @override
    def all_stuck(self) -> bool:
        return self.stuck >= self._limit

    @override
    def start(self, bridge: Bridge) -> None:
        self._bridge = bridge

    @override
    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)  # each thread takes one, when it has nothing else to do
        self._idle = 0

    @override
    def join(self) -> None:
        while self._threads:
            self._threads.pop().join()

    @override
    async def run(self, call: Call) -> object:
        await self._take_place()
        if call.on_begin is not None:
            call.on_begin()
        job = _Job(call, contextvars.copy_context(), anyio.Event())
        if self._idle == 0:
            name = f"trivium-step-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads: the step fails, and its place is another's
                self._free_place()
                raise
            self._threads.append(thread)
        else:
            self._idle -= 1
        self._jobs.put(job)
        try:
            await job.done.wait()
        except BaseException:  # cancelled: the thread goes on, and we keep count of it
            if not job.done.is_set():
                job.abandoned = True
                self._stuck[call.label] += 1
            raise
        if job.error is not None:
            raise job.error
        return job.value

    async def _take_place(self) -> None:
        if self._places > 0:
            self._places -= 1
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()  # whoever sets it hands its place over: the count does not change
        except BaseException:
            if turn.is_set():
                self._free_place()
            else:
                self._waiting.remove(turn)
            raise

    def _free_place(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._places += 1

    @override
    async def wait_unstuck(self, label: str, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            while self._stuck[label]:
                await self._unstuck.wait()
        return self._stuck[label] == 0

    @override
    def is_stuck(self, label: str) -> bool:
        return self._stuck[label] > 0

    @override
    def is_stuck_in(self, run: str) -> bool:
        return any(count and label.startswith(f"{run}/") for label, count in self._stuck.items())

    @property
    @override
    def running(self) -> int:
        return self._limit - self._places

    # --- the threads -----------------------------------------------------------------------------

    def _work(self) -> None:
        bridge = self._bridge
        assert bridge is not None, "start() comes first"
        while (job := self._jobs.get()) is not None:
            try:
                job.value = job.context.run(job.call.function, **job.call.arguments)
            except BaseException as error:  # foreign code: SystemExit too is the step's, not the worker's
                job.error = error
            if not bridge.call_soon(self._finisher(job)):
                return
            del job

    def _finisher(self, job: _Job) -> Callable[[], object]:
        def finish() -> None:
            self._idle += 1
            self._free_place()
            job.done.set()
            if job.abandoned:
                self._stuck -= Counter([job.call.label])  # keeps no label without a call
                self._unstuck.set()
                self._unstuck = anyio.Event()

        return finish
