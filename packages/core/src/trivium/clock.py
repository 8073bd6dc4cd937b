"""Time as an argument. Stored times are microseconds UTC, durations in memory are monotonic seconds."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import NewType

import anyio
from typing_extensions import override

Micros = NewType("Micros", int)

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1)  # naive: `iso` writes the zone itself


class Clock(ABC):
    """What the engine and the storages know of time. The test clock of `trivium.testing` is the other
    implementation."""

    @abstractmethod
    def now(self) -> Micros:
        """The wall clock, in microseconds UTC. Never runs backward within a process."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds from an arbitrary start, for durations; unmoved by changes of the wall clock."""

    @abstractmethod
    async def wait(self, event: anyio.Event, seconds: float | None) -> None:
        """Return when `event` is set or `seconds` have passed by this clock, whichever is first; None waits for
        ever."""


_lock = threading.Lock()
_last = 0


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # a thread that is not in the child may have held it


os.register_at_fork(after_in_child=_after_fork)


class SystemClock(Clock):
    """The clocks of the machine. All of its instances in a process share what they have shown."""

    @override
    def now(self) -> Micros:
        global _last
        stamp = time.time_ns() // 1000
        with _lock:
            _last = stamp = max(stamp, _last)
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
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds") + "Z"
