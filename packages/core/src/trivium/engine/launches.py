"""Steps that a graph driver launched: they begin in waves, and their outcomes are collected."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from trivium.engine.drive import Drive
from trivium.engine.step import StepCall, StepPerformer
from trivium.errors import UsageError
from trivium.model.context import Outcome

WAVE = 256
"""Launched steps that begin between two turns of the event loop."""


class Launches:
    """What one driver launched and has not collected."""

    def __init__(self, drive: Drive, steps: StepPerformer) -> None:
        self._drive = drive
        self._steps = steps
        self._queue: deque[StepCall] = deque()
        self._outcomes: list[Outcome] = []
        self._under_way = 0
        self._collecting = False
        """The driver waits in `collect`: it counts as suspended."""
        self._arrived: anyio.Event | None = None
        self.done = self._done
        """Bound once: of a hundred thousand calls each would hold a bound method of its own."""

    def add(self, call: StepCall) -> None:
        """A step to begin at the next `collect`; its `done` is ours."""
        self._queue.append(call)

    def add_outcome(self, outcome: Outcome) -> None:
        """A step that stands in the journal."""
        self._outcomes.append(outcome)

    def wake(self) -> None:
        """Have a `collect` that waits look again."""
        if self._arrived is not None:
            self._arrived.set()

    async def collect(self, *, wait: bool) -> Sequence[Outcome]:
        """As `RunContext.collect`."""
        drive, queue = self._drive, self._queue
        drive.check_leaving()
        if wait and len(queue) == 1 and self._under_way == 0:
            # A chain needs no task for each step: its only step is performed in the driver's own.
            call = self._begin()
            self._collecting = True
            # Made before the commit is on its way, which races this thread for the interpreter.
            self._arrived = anyio.Event()
            drive.activity.suspend()
            await self._steps.perform(call)
        while queue and not self._outcomes:
            # In waves: steps that end at once have ended, and freed what they held, before the next ones begin.
            for _ in range(min(WAVE, len(queue))):
                drive.tasks.start_soon(self._steps.perform, self._begin())
            if queue or not wait:
                await anyio.lowlevel.checkpoint()
                drive.check_leaving()
        if wait and not self._outcomes:
            await self._await_outcome()
        drive.check_leaving()
        taken, self._outcomes = self._outcomes, []
        return taken

    def _begin(self) -> StepCall:
        self._under_way += 1
        self._drive.activity.resume()
        return self._queue.popleft()

    async def _await_outcome(self) -> None:
        if not self._collecting:
            if self._under_way == 0:
                raise UsageError("collect() without a launched step would wait for ever")
            self._collecting = True
            self._arrived = anyio.Event()
            self._drive.activity.suspend()
        if self._arrived is not None:
            await self._arrived.wait()

    def _done(self, outcome: Outcome) -> None:
        """A launched step is durable: the driver's coroutine goes on in its stead, so the run is not idle between."""
        activity = self._drive.activity
        self._outcomes.append(outcome)
        self._under_way -= 1
        if self._collecting:
            self._collecting = False
            activity.resume()
        self.wake()
        activity.suspend()
