"""What the coroutines of a run wait for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import anyio

from trivium.clock import Micros
from trivium.model.inbox import ItemKind
from trivium.model.states import WaitReason


class Wait:
    """One coroutine in a wait verb: for an item of each of these names, a time, or both. Its event says: look again."""

    __slots__ = ("due_at", "event", "kind", "missing", "names", "reason")

    def __init__(
        self,
        reason: WaitReason,
        *,
        kind: ItemKind | None = None,
        names: Iterable[str] = (),
        due_at: Micros | None = None,
    ) -> None:
        self.reason = reason
        self.kind = kind
        self.names = frozenset(names)
        self.missing = set(self.names)
        """Those of which nothing came yet."""
        self.due_at = due_at
        self.event = anyio.Event()

    def came(self, name: str) -> None:
        """An item of this name is there."""
        self.missing.discard(name)
        if not self.missing:
            self.event.set()


class Waits:
    """All waits of a run, in the order in which they began; an item finds its own without looking at the others."""

    def __init__(self) -> None:
        self._all: dict[Wait, None] = {}
        self._by_item: dict[tuple[ItemKind, str], list[Wait]] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def __iter__(self) -> Iterator[Wait]:
        return iter(self._all)

    def add(self, wait: Wait) -> None:
        self._all[wait] = None
        if wait.kind is not None:
            for name in wait.names:
                self._by_item.setdefault((wait.kind, name), []).append(wait)

    def remove(self, wait: Wait) -> None:
        del self._all[wait]
        if wait.kind is not None:
            for name in wait.names:
                found = self._by_item[wait.kind, name]
                found.remove(wait)
                if not found:
                    del self._by_item[wait.kind, name]

    def came(self, kind: ItemKind, name: str) -> None:
        """Have those who wait for such an item look again, if it was the last that they missed."""
        for wait in self._by_item.get((kind, name), ()):
            wait.came(name)

    def wake_all(self) -> None:
        """Have everybody look again."""
        for wait in self._all:
            wait.event.set()
