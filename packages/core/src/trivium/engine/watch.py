"""Who waits for the end of which run, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import anyio

from trivium.ids import RunId
from trivium.model.commit import End, Ring
from trivium.model.states import RunStatus


class Watch:
    """One waiter for one run's end. `end` is set where the run ended in this process."""

    __slots__ = ("_notify", "end", "event")

    def __init__(self, notify: Callable[[], None] | None) -> None:
        self.event = anyio.Event()
        self.end: End | None = None
        self._notify = notify

    def look(self) -> None:
        """The run has ended: wake who waits."""
        self.event.set()
        if self._notify is not None:
            self._notify()


class Watches:
    """All waiters, by run."""

    def __init__(self) -> None:
        self._by_run: dict[RunId, list[Watch]] = {}

    def add(self, run_id: RunId, notify: Callable[[], None] | None = None) -> Watch:
        """Wait for the end; `notify` is called besides, for who waits for other things too."""
        watch = Watch(notify)
        self._by_run.setdefault(run_id, []).append(watch)
        return watch

    def remove(self, run_id: RunId, watch: Watch) -> None:
        watches = self._by_run.get(run_id, [])
        if watch in watches:
            watches.remove(watch)
            if not watches:
                del self._by_run[run_id]

    def ended(self, run_id: RunId, end: End) -> None:
        """The run ended here."""
        for watch in self._by_run.get(run_id, ()):
            watch.end = end
            watch.look()

    def left(self, run_id: RunId) -> None:
        """The run is not driven here any more: its end may have been rung for while it still seemed to be."""
        self._look(run_id)

    def rung(self, ring: Ring) -> None:
        """Runs ended somewhere; those who wait look for themselves."""
        for run_id in self._by_run if ring.everything else ring.ended & self._by_run.keys():
            self._look(run_id)

    def statuses(self, statuses: Mapping[RunId, RunStatus]) -> None:
        """What a poll found."""
        for run_id, status in statuses.items():
            if status.terminal:
                self._look(run_id)

    def look_all(self) -> None:
        """Have everybody look: nothing will be told any more."""
        for run_id in self.watched():
            self._look(run_id)

    def watched(self) -> Iterable[RunId]:
        return list(self._by_run)

    def _look(self, run_id: RunId) -> None:
        for watch in self._by_run.get(run_id, ()):
            watch.look()
