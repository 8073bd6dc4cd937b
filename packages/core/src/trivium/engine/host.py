"""What one run under way asks of its worker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from trivium.bridge import Bridge
from trivium.clock import Clock, Micros
from trivium.engine.committer import Committer
from trivium.engine.timers import Timers
from trivium.executors.port import Executor
from trivium.ids import RunId, WorkerId
from trivium.json import JsonValue
from trivium.model.commit import End, Started
from trivium.model.drivers import Prepared
from trivium.model.events import Event
from trivium.model.runs import Definition, NewRun, Run
from trivium.registry import Registry
from trivium.storage.port import Storage

D = TypeVar("D")


class Host(ABC, Generic[D]):
    """The worker, as its drives see it. Everything is called on the event loop."""

    bridge: Bridge
    clock: Clock
    timers: Timers
    committer: Committer
    storage: Storage
    registry: Registry
    executors: Mapping[str, Executor]
    park_after: float
    """Seconds that a run stays in memory while it only waits."""

    @property
    @abstractmethod
    def listening(self) -> bool:
        """Somebody wants events: only then are they made."""

    @abstractmethod
    def emit(self, event: Event) -> None:
        """Send an event to whoever listens."""

    @abstractmethod
    def slot_freed(self, drive: D) -> None:
        """The run only waits now."""

    @abstractmethod
    def slot_taken(self, drive: D) -> None:
        """The run goes on, in place; this may exceed the worker's concurrency for a moment."""

    @abstractmethod
    def run_ended(self, drive: D, ending: End) -> None:
        """The run's end is durable."""

    @abstractmethod
    def run_got_on(self) -> None:
        """A run that had lost owners is no suspect any more."""

    @abstractmethod
    def run_parked(self, due_at: Micros | None) -> None:
        """A run left memory; it wants to be claimed at `due_at`."""

    @abstractmethod
    def look_into_inbox(self, drive: D) -> None:
        """Read the run's inbox soon and deliver what is new."""

    @abstractmethod
    def prepare(self, target: object, inputs: JsonValue) -> Prepared:
        """Resolve a target through the drivers. Raises `NotFound`, `DefinitionError`, `InvalidInput`."""

    @abstractmethod
    def claimer(self, definition: Definition) -> WorkerId | None:
        """The worker, if it may claim one more run at once, and can drive such a one."""

    @abstractmethod
    def adopt(self, new: NewRun, started: Started) -> None:
        """Drive a run that was inserted as claimed by this worker."""

    @abstractmethod
    async def read_run(self, run_id: RunId) -> Run | None:
        """One run, read in a thread."""
