"""What one coroutine of a run waits for."""

from __future__ import annotations

import anyio

from trivium.clock import Micros
from trivium.model.inbox import ItemKind
from trivium.model.states import WaitReason


class Wait:
    """One coroutine in a wait verb: for an item of the inbox, a time, or both. Its event says: look again."""

    __slots__ = ("due_at", "event", "kind", "name", "reason")

    def __init__(
        self, reason: WaitReason, *, kind: ItemKind | None = None, name: str = "", due_at: Micros | None = None
    ) -> None:
        self.reason = reason
        self.kind = kind
        self.name = name
        self.due_at = due_at
        self.event = anyio.Event()
