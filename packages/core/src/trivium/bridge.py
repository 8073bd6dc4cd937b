"""From a thread into the event loop, without waiting for it. The one place that knows asyncio from trio."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import anyio
import anyio.lowlevel


class _AsyncioLoop(Protocol):
    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object: ...


class _TrioToken(Protocol):
    def run_sync_soon(self, callback: Callable[[], object]) -> None: ...


class Bridge:
    """Made on the event loop. `call_soon` may be used from any thread, also while the loop ends; the callbacks run in the task
    that runs `run`, so they may start tasks, and what one raises ends that task and is seen."""

    def __init__(self) -> None:
        native = anyio.lowlevel.current_token().native_token
        if hasattr(native, "run_sync_soon"):
            self._schedule: Callable[[Callable[[], object]], object] = cast(_TrioToken, native).run_sync_soon
        else:
            self._schedule = cast(_AsyncioLoop, native).call_soon_threadsafe
        self._callbacks: deque[Callable[[], object]] = deque()
        self._arrived = anyio.Event()

    def call_soon(self, callback: Callable[[], object]) -> bool:
        """Have the loop call `callback`, in order for calls of one thread. False if the loop is gone."""
        self._callbacks.append(callback)
        try:
            self._schedule(self._wake)
        except RuntimeError:  # asyncio: "Event loop is closed"; trio.RunFinishedError is a RuntimeError too
            return False
        return True

    def _wake(self) -> None:
        self._arrived.set()

    async def run(self) -> None:
        """Make the calls, for ever."""
        callbacks = self._callbacks
        while True:
            # A callback that is appended behind this loop is followed by a wake, which runs on this thread: not before the wait.
            self._arrived = anyio.Event()
            while callbacks:
                callbacks.popleft()()
            await self._arrived.wait()
