"""From a thread into the event loop, without waiting for it. The one place that knows asyncio from trio."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

import anyio.lowlevel

Callback: TypeAlias = Callable[[], object]


class _AsyncioLoop(Protocol):
    def call_soon_threadsafe(self, callback: Callback, *, context: contextvars.Context) -> object: ...


class _TrioToken(Protocol):
    def run_sync_soon(self, callback: Callback) -> None: ...


def _marked_context() -> contextvars.Context:
    """This task's context, in which anyio finds its backend also where no task runs, as in a callback.

    Where sniffio is installed, anyio asks it, and that looks for a mark, then for a task. `anyio.run` leaves the mark;
    on a loop that asyncio itself or a web server runs there is none.
    """
    context = contextvars.copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, "asyncio")
    return context


class Bridge:
    """Made on the event loop, in a task. `call_soon` may be used from any thread, also while the loop ends.

    A callback may start tasks in a task group and make anyio's primitives. It runs between tasks, not in one of its
    own: a task would cost a turn of the loop for each commit, a third of what a step of a chain takes. So what a
    callback raises is handed to `on_error`, as no task group sees it.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        native = anyio.lowlevel.current_token().native_token
        self._schedule: Callable[[Callback], object]
        if hasattr(native, "run_sync_soon"):
            self._schedule = cast(_TrioToken, native).run_sync_soon
        else:
            loop = cast(_AsyncioLoop, native)
            context = _marked_context()
            self._schedule = lambda callback: loop.call_soon_threadsafe(callback, context=context)

    def call_soon(self, callback: Callback) -> bool:
        """Have the loop call `callback`, in order for calls of one thread. False if the loop is gone."""

        def call() -> None:
            try:
                callback()
            except BaseException as error:
                self._on_error(error)

        try:
            self._schedule(call)
        except RuntimeError:  # asyncio: "Event loop is closed"; trio.RunFinishedError is a RuntimeError too
            return False
        return True
