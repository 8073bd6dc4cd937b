"""Time as an argument. Stored times are microseconds UTC, durations in memory are monotonic seconds."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import NewType

import anyio
from typing_extensions import override

Micros = NewType("Micros", int)

SECOND = 1_000_000


class Clock(ABC):
    """What the engine and the storages know of time. The test clock of `trivium.testing` is the other implementation."""

    @abstractmethod
    def now(self) -> Micros:
        """The wall clock, in microseconds UTC. Never runs backward within a process."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds from an arbitrary start, for durations; unmoved by changes of the wall clock."""

    @abstractmethod
    async def wait(self, event: anyio.Event, seconds: float | None) -> None:
        """Return when `event` is set or `seconds` have passed by this clock, whichever is first; None waits for ever."""


class SystemClock(Clock):
    """The clocks of the machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    @override
    def now(self) -> Micros:
        stamp = time.time_ns() // 1000
        with self._lock:
            self._last = stamp = max(stamp, self._last)
        return Micros(stamp)

    @override
    def monotonic(self) -> float:
        return time.monotonic()

    @override
    async def wait(self, event: anyio.Event, seconds: float | None) -> None:
        if seconds is None:
            await event.wait()
            return
        with anyio.move_on_after(max(0.0, seconds)):
            await event.wait()


def iso(at: Micros) -> str:
    """ISO 8601 with microseconds and `Z`."""
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
