"""The events of one tree as an async iterator, whoever drives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

import anyio.to_thread

from trivium.ids import RunId
from trivium.model.events import Event, RunEnded, StepEnded
from trivium.model.journal import Entry
from trivium.model.runs import Run

if TYPE_CHECKING:
    from trivium.engine.engine import Engine

PATIENCE = 0.5
"""Seconds without an event of our own after which the journal is looked at."""
LONGEST_PATIENCE = 5.0
"""A look reads the whole journal; where nothing happens, they become rare."""


async def follow(engine: Engine, run_id: RunId) -> AsyncIterator[Event]:
    """Events until the run's `RunEnded`, which always comes last. What another process drives is seen in the journal:
    ends of steps and of the run itself, each once."""
    root_id = (await engine.read_run(run_id)).root_id
    subscription = engine.bus.subscribe(root_id)
    watch = engine.watches.add(run_id, subscription.poke)
    told = Told(run_id)
    patience = 0.0  # the first look is at once: it may have ended before
    try:
        while not told.ended:
            event = await subscription.get(patience)
            if event is not None:
                if told.is_new(event):
                    yield event
            elif run_id not in engine.worker.driven:
                patience = min(LONGEST_PATIENCE, max(PATIENCE, patience * 1.5))
                run = await engine.read_run(run_id)
                entries = await anyio.to_thread.run_sync(engine.storage.entries, run_id)
                for found in told.from_store(run, entries):
                    patience = PATIENCE
                    yield found
            else:  # it has been claimed meanwhile, and all that happens to it comes by itself
                patience = max(PATIENCE, patience)
    finally:
        engine.watches.remove(run_id, watch)
        subscription.close()


class Told:
    """What a follower has been told, so that nothing comes twice. Pure."""

    def __init__(self, run_id: RunId) -> None:
        self._run_id = run_id
        self._entries: set[tuple[RunId, str, int]] = set()
        self.ended = False

    def is_new(self, event: Event) -> bool:
        if isinstance(event, RunEnded) and event.run_id == self._run_id:
            self.ended = True
        if isinstance(event, StepEnded):
            mark = (event.run_id, event.key, event.finished_at or 0)
            if mark in self._entries:
                return False
            self._entries.add(mark)
        return True

    def from_store(self, run: Run, entries: Sequence[Entry]) -> Iterator[Event]:
        """The ends that the journal has and that were not told."""
        for entry in entries:
            if entry.status.terminal:
                event = StepEnded.of(run, entry, entry.finished_at or run.created_at)
                if self.is_new(event):
                    yield event
        if run.status.terminal and not self.ended:
            self.ended = True
            yield RunEnded(
                run_id=run.id,
                root_id=run.root_id,
                at=run.finished_at or run.created_at,
                kind=run.kind,
                name=run.name,
                status=run.status,
                error=run.error,
            )
