"""Who of a run's coroutines is at work, and who waits for what.

The invariant behind parking: `_active` counts the coroutines of the run that are neither in one of our wait verbs nor
done. Only at zero is the run idle, only an idle run is parked, and while its park commit is under way no coroutine of
it goes on (they hold at the gate), so that nothing happens between the compare of `wake_seq` and its result.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from trivium.engine.timers import Timers
from trivium.engine.waiting import Wait, Waits


class Activity:
    """The coroutines of one run, on the event loop. `check` is called where a verb begins or goes on, and raises if it
    must not; `on_idle` and `on_busy` when the run turns so; `note` writes a line for the history."""

    def __init__(
        self,
        timers: Timers,
        *,
        check: Callable[[], None],
        on_idle: Callable[[], None],
        on_busy: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self.idle = False
        self.waits = Waits()
        self._timers = timers
        self._check = check
        self._on_idle = on_idle
        self._on_busy = on_busy
        self._note = note
        self._own_tasks: set[int] = set()
        self._active = 1
        self._gate: anyio.Event | None = None
        """There while it is closed."""
        self._over = False

    # --- counting --------------------------------------------------------------------------------

    def suspend(self) -> None:
        """One coroutine fewer is at work."""
        self._active -= 1
        if self._active == 0 and not self._over:
            self.idle = True
            self._on_idle()

    def resume(self) -> None:
        """One more is at work."""
        self._active += 1
        if self.idle and not self._over:
            self.idle = False
            self._on_busy()

    def finish(self) -> None:
        """The run leaves: everybody who waits looks again, and from now on it does not turn idle any more."""
        self._over = True
        self.open_gate()
        self.waits.wake_all()

    # --- the gate --------------------------------------------------------------------------------

    @property
    def held(self) -> bool:
        """Whether the gate is closed."""
        return self._gate is not None

    def close_gate(self) -> None:
        """Let nobody who waits go on, until `open_gate`."""
        self._gate = anyio.Event()

    def open_gate(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.set()

    async def _pass_gate(self) -> None:
        while self._gate is not None:
            await self._gate.wait()

    # --- tasks -----------------------------------------------------------------------------------

    def adopt_task(self) -> None:
        """The current task is one of the run's: a wait in it counts."""
        self._own_tasks.add(anyio.get_current_task().id)

    def release_task(self) -> None:
        self._own_tasks.discard(anyio.get_current_task().id)

    def is_own_task(self) -> bool:
        """Whether the current task is one of the run's."""
        return anyio.get_current_task().id in self._own_tasks

    async def pin(self, what: str) -> bool:
        """What begins now keeps the run from parking. Whether it does so by itself, in a task that the context did not
        make: then `suspend` ends it."""
        if self.is_own_task():
            return False
        await self._pass_gate()
        self._check()
        self._note(f"{what} was asked for in a task that the context did not make: the run stays in memory for it")
        self.resume()
        return True

    # --- waiting ---------------------------------------------------------------------------------

    async def wait(self, wait: Wait, *, own: bool | None = None) -> None:
        """Return when there is something to look at: an item that fits, or the time.

        `own` says whether the current task is one of the run's; None: find out.

        :raises Parked: the run leaves memory
        """
        self._check()
        timer = None if wait.due_at is None else self._timers.at(wait.due_at, wait.event.set)
        counts = own if own is not None else self.is_own_task()
        if not counts:
            self._note(
                f"{wait.reason} {', '.join(sorted(wait.names))!r} was awaited in a task that the context did not make:"
                " the run stays in memory"
            )
        self.waits.add(wait)
        if counts:
            self.suspend()
        try:
            await wait.event.wait()
            await self._pass_gate()
        finally:
            self.waits.remove(wait)
            if timer is not None:
                timer.cancel()
            if counts:
                self.resume()
        self._check()
