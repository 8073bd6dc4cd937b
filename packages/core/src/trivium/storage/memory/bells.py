"""Doorbells between the threads of one process, and what a commit rings."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field

from typing_extensions import override

from trivium.ids import RunId, WorkerId
from trivium.model.commit import Ring
from trivium.storage.port import Doorbell


@dataclass(slots=True)
class Echo:
    """What a unit, a batch or a burial did that somebody else may be waiting for."""

    queued: set[RunId] = field(default_factory=set)
    """Runs that became claimable; they ring only if they still are when all is done."""
    timers: bool = False
    """A new run waits for its time: idle workers look again when that is."""
    inbox: defaultdict[WorkerId, set[RunId]] = field(default_factory=lambda: defaultdict(set))
    ended: set[RunId] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.queued or self.timers or self.inbox or self.ended)

    def add(self, other: Echo) -> None:
        self.queued |= other.queued
        self.timers |= other.timers
        self.ended |= other.ended
        for owner, runs in other.inbox.items():
            self.inbox[owner] |= runs

    def ring(self, owner: WorkerId | None, *, work: bool) -> Ring:
        """What the doorbell of `owner` hears."""
        own = self.inbox.get(owner, ()) if owner is not None else ()
        return Ring(work=work, inbox=frozenset(own), ended=frozenset(self.ended))


class Bell(Doorbell):
    """A doorbell: rings add up until they are heard."""

    def __init__(self, owner: WorkerId, bells: Bells) -> None:
        self.owner = owner
        self._bells = bells
        self._changed = threading.Condition()
        self._pending = Ring()
        self._closed = False

    @override
    def wait(self, timeout: float) -> Ring:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed, timeout)
            heard, self._pending = self._pending, Ring()
            return heard

    @override
    def close(self) -> None:
        self._bells.remove(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def ring(self, ring: Ring) -> None:
        with self._changed:
            self._pending |= ring
            self._changed.notify_all()


class Bells:
    """All doorbells of a store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bells: list[Bell] = []

    def add(self, owner: WorkerId) -> Bell:
        bell = Bell(owner, self)
        with self._lock:
            self._bells.append(bell)
        return bell

    def remove(self, bell: Bell) -> None:
        with self._lock:
            if bell in self._bells:
                self._bells.remove(bell)

    def close(self) -> None:
        for bell in tuple(self._bells):
            bell.close()

    def ring(self, echo: Echo, *, work: bool, origin: WorkerId | None) -> None:
        """Ring all but the origin's. Called without the store's lock: who wakes will want it."""
        with self._lock:
            bells = [bell for bell in self._bells if bell.owner != origin]
        for bell in bells:
            if ring := echo.ring(bell.owner, work=work):
                bell.ring(ring)
