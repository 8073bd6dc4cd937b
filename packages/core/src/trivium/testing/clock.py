"""A clock that stands still until a test moves it."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from typing import Protocol, cast

import anyio
from anyio.lowlevel import EventLoopToken, checkpoint, current_token
from typing_extensions import override

from trivium.clock import SECOND, Clock, Micros

START = Micros(1_767_225_600 * SECOND)
"""2026-01-01T00:00:00Z, where a test clock begins unless told otherwise."""


class TestClock(Clock):
    """Time for tests: `now` and `monotonic` move by `advance` alone, and whoever waits wakes in the order of the times.

    Everything but `wait` and `sleepers` may be called from any thread. Waiters may sit in several event loops, of
    asyncio and of trio; they leave `wait` in order, but what those of two loops do then is no longer in this order.
    """

    __test__ = False  # pytest, this is no class of tests

    def __init__(self, start: Micros = START) -> None:
        self._lock = threading.Lock()
        self._now = int(start)
        self._elapsed = 0  # microseconds, so that sums of small steps are exact
        self._alarms: list[_Alarm] = []
        self._count = 0
        self._watchers: list[tuple[int, EventLoopToken, anyio.Event]] = []

    @override
    def now(self) -> Micros:
        with self._lock:
            return Micros(self._now)

    @override
    def monotonic(self) -> float:
        with self._lock:
            return self._elapsed / SECOND

    def advance(self, seconds: float) -> None:
        """Move on. Returns at once; the waiters that became due wake one after the other, each when the one before it
        has left its `wait`."""
        step = round(seconds * SECOND)
        if step < 0:
            raise ValueError("time does not run backward")
        with self._lock:
            self._now += step
            self._elapsed += step
        self._wake_next()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, as a machine does that was suspended: durations do not notice."""
        if seconds < 0:
            raise ValueError("now never runs backward")
        with self._lock:
            self._now += round(seconds * SECOND)

    @override
    async def wait(self, event: anyio.Event, seconds: float | None) -> None:
        if seconds is None:
            await event.wait()
            return
        if event.is_set() or seconds <= 0:
            await checkpoint()
            return
        with anyio.CancelScope() as scope:
            alarm = self._set_alarm(seconds, scope.cancel)
            try:
                await event.wait()
            finally:
                self._remove(alarm)
                self._wake_next()

    async def sleepers(self, count: int = 1) -> None:
        """Return when at least `count` waits with a time are under way: to be awaited before the clock is moved."""
        event = anyio.Event()
        with self._lock:
            if len(self._alarms) < count:
                self._watchers.append((count, current_token(), event))
            else:
                event.set()
        await event.wait()

    # --- alarms ----------------------------------------------------------------------------------

    def _set_alarm(self, seconds: float, ring: Callable[[], None]) -> _Alarm:
        with self._lock:
            self._count += 1
            alarm = _Alarm(self._elapsed + round(seconds * SECOND), self._count, ring, current_token())
            heapq.heappush(self._alarms, alarm)
            seen = [each for each in self._watchers if each[0] <= len(self._alarms)]
            self._watchers = [each for each in self._watchers if each not in seen]
        for _, token, event in seen:
            _soon(token, event.set)
        return alarm

    def _remove(self, alarm: _Alarm) -> None:
        with self._lock:
            self._alarms = [each for each in self._alarms if each is not alarm]
            heapq.heapify(self._alarms)

    def _wake_next(self) -> None:
        """Ring the earliest alarm that is due. The next one is rung when this one's waiter has left: an event loop may
        resume what becomes ready together in any order, and trio does."""
        while True:
            with self._lock:
                alarm = self._alarms[0] if self._alarms else None
                if alarm is None or alarm.due > self._elapsed or alarm.rung:
                    return
                alarm.rung = True
            if _soon(alarm.token, alarm.ring):
                return
            self._remove(alarm)  # its event loop is gone, and its waiter with it


class _Alarm:
    def __init__(self, due: int, number: int, ring: Callable[[], None], token: EventLoopToken) -> None:
        self.due, self.number, self.ring, self.token = due, number, ring, token
        self.rung = False

    def __lt__(self, other: _Alarm) -> bool:
        return (self.due, self.number) < (other.due, other.number)


class _Asyncio(Protocol):
    def call_soon_threadsafe(self, callback: Callable[[], None], /) -> object: ...


class _Trio(Protocol):
    def run_sync_soon(self, callback: Callable[[], None], /) -> object: ...


def _soon(token: EventLoopToken, call: Callable[[], None]) -> bool:
    """Have `call` run in its event loop, without waiting for it; False if that loop has ended.

    anyio's `from_thread` waits, and refuses within the loop itself; both loops have this under a name of their own.
    """
    loop = token.native_token
    try:
        if hasattr(loop, "run_sync_soon"):
            cast(_Trio, loop).run_sync_soon(call)
        else:
            cast(_Asyncio, loop).call_soon_threadsafe(call)
    except RuntimeError:  # asyncio: "Event loop is closed"; trio.RunFinishedError is one too
        return False
    return True
