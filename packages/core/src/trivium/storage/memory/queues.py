"""An ordered set of runs: what is claimed first, what is due first."""

from __future__ import annotations

import heapq
from typing import TypeAlias

from trivium.ids import RunId

Place: TypeAlias = tuple[int, RunId]
"""Where a run stands: the smallest comes first."""


class Queue:
    """Runs by place. A heap, in which what was discarded stays until it comes to the top or outweighs the rest."""

    def __init__(self) -> None:
        self._places: dict[RunId, Place] = {}
        self._heap: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, place: Place) -> None:
        self._places[place[1]] = place
        heapq.heappush(self._heap, place)

    def discard(self, run_id: RunId) -> None:
        if self._places.pop(run_id, None) is not None and len(self._heap) > 2 * len(self._places) + 64:
            self._heap = sorted(self._places.values())

    def first(self) -> Place | None:
        """The smallest place; it stays."""
        while self._heap:
            place = self._heap[0]
            if self._places.get(place[1]) == place:
                return place
            heapq.heappop(self._heap)
        return None
