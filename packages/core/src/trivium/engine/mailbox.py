"""A run's inbox in memory: items in the order of their commits, each delivered once, taken once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from trivium.model.inbox import Item, ItemKind


class Mailbox:
    """What came, by kind and name, until a verb takes it."""

    def __init__(self) -> None:
        self._items: dict[tuple[ItemKind, str], deque[Item]] = {}
        self._last_seen = -1

    def deliver(self, items: Iterable[Item]) -> list[Item]:
        """Keep the items that are new; an inbox is read again whenever it has changed."""
        fresh = [item for item in items if item.seq > self._last_seen]
        for item in fresh:
            self._items.setdefault((item.kind, item.name), deque()).append(item)
            self._last_seen = max(self._last_seen, item.seq)
        return fresh

    def take(self, kind: ItemKind, name: str) -> Item | None:
        """The oldest of that kind and name. It is consumed by the commit of the verb that took it."""
        found = self._items.get((kind, name))
        return found.popleft() if found else None
