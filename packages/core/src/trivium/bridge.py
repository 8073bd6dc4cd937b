"""From a thread into the event loop, without waiting for it. The one place that knows asyncio from trio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import anyio.lowlevel


class _AsyncioLoop(Protocol):
    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object: ...
    def is_closed(self) -> bool: ...


class _TrioToken(Protocol):
    def run_sync_soon(self, callback: Callable[[], object]) -> None: ...


class Bridge:
    """Made on the event loop; `call_soon` may be used from any thread, also while the loop ends."""

    def __init__(self) -> None:
        native = anyio.lowlevel.current_token().native_token
        if hasattr(native, "run_sync_soon"):
            self._schedule: Callable[[Callable[[], object]], object] = cast(_TrioToken, native).run_sync_soon
        else:
            self._schedule = cast(_AsyncioLoop, native).call_soon_threadsafe

    def call_soon(self, callback: Callable[[], object]) -> bool:
        """Have the loop call `callback`; in order for calls of one thread. False if the loop is gone."""
        try:
            self._schedule(callback)
        except RuntimeError:  # asyncio: "Event loop is closed"; trio.RunFinishedError is a RuntimeError too
            return False
        return True
