"""One deadline heap for everything that waits for a time: retries, sleeps, timeouts, grace periods."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import anyio

from trivium.clock import SECOND, Clock, Micros

_FEW = 1_000
"""Timers, cancelled ones among them, that are not worth a look."""


class Timer:
    """A call that will be made; `cancel` is cheap and may come at any time."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Timers:
    """Callbacks run on the event loop, from `run`. Not thread-safe."""

    def __len__(self) -> int:
        """Those that are kept, cancelled ones among them."""
        return len(self._heap)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._sweep_at = _FEW
        self._count = itertools.count()
        self._rearmed = anyio.Event()
        self._sleeps_until = 0.0

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call it in `seconds`; 0 or less means at the next turn of the loop."""
        timer = Timer(self._clock.monotonic() + seconds, callback)
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._heap, (timer.when, next(self._count), timer))
        if timer.when < self._sleeps_until:
            self._rearmed.set()
        return timer

    def _sweep(self) -> None:
        """Forget what was cancelled. Most timeouts are, long before their time: a million steps an hour under a timeout
        of a day would otherwise stay until tomorrow."""
        self._heap = [place for place in self._heap if place[2].callback is not None]
        heapq.heapify(self._heap)
        self._sweep_at = max(_FEW, 2 * len(self._heap))

    def at(self, due_at: Micros, callback: Callable[[], object]) -> Timer:
        """Call it when the wall clock reaches `due_at`."""
        return self.after((due_at - self._clock.now()) / SECOND, callback)

    async def run(self) -> None:
        """Fire what is due, for ever."""
        while True:
            self._rearmed = anyio.Event()
            while self._heap and self._heap[0][2].callback is None:
                heapq.heappop(self._heap)
            if self._heap:
                self._sleeps_until = self._heap[0][0]
                await self._clock.wait(self._rearmed, self._sleeps_until - self._clock.monotonic())
            else:
                self._sleeps_until = float("inf")
                await self._clock.wait(self._rearmed, None)
            self._sleeps_until = 0.0
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                callback = heapq.heappop(self._heap)[2].callback
                if callback is not None:
                    callback()
