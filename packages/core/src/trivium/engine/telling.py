"""The events of one run, made only where somebody listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trivium.clock import Clock, Micros
from trivium.model.commit import End, Park
from trivium.model.events import (
    Event,
    RunClaimed,
    RunEnded,
    RunParked,
    RunReleased,
    StepEnded,
    StepRetrying,
    StepStarted,
)
from trivium.model.failure import Failure
from trivium.model.journal import Entry
from trivium.model.runs import Run


class Listener(Protocol):
    """Where events go."""

    clock: Clock

    @property
    def listening(self) -> bool: ...
    def emit(self, event: Event) -> None: ...


class Teller:
    """Says what happens in a run."""

    def __init__(self, run: Run, listener: Listener) -> None:
        self._run = run
        self._listener = listener

    def claimed(self, replayed: int) -> None:
        run = self._run
        self._tell(
            lambda at: RunClaimed(
                run_id=run.id,
                root_id=run.root_id,
                at=at,
                kind=run.kind,
                name=run.name,
                epoch=run.epoch,
                replayed=replayed,
            )
        )

    def step_started(self, key: str, name: str, attempt: int) -> None:
        run = self._run
        self._tell(
            lambda at: StepStarted(run_id=run.id, root_id=run.root_id, at=at, key=key, name=name, attempt=attempt)
        )

    def step_retrying(self, key: str, name: str, attempt: int, error: Failure, due_at: Micros) -> None:
        run = self._run
        self._tell(
            lambda at: StepRetrying(
                run_id=run.id,
                root_id=run.root_id,
                at=at,
                key=key,
                name=name,
                attempt=attempt,
                error=error,
                due_at=due_at,
            )
        )

    def entry_ended(self, entry: Entry) -> None:
        run = self._run
        self._tell(lambda at: StepEnded.of(run, entry, at))

    def parked(self, park: Park) -> None:
        run = self._run
        self._tell(
            lambda at: RunParked(run_id=run.id, root_id=run.root_id, at=at, reason=park.reason, due_at=park.due_at)
        )

    def released(self, *, lost: bool) -> None:
        run = self._run
        self._tell(lambda at: RunReleased(run_id=run.id, root_id=run.root_id, at=at, lost=lost))

    def ended(self, end: End) -> None:
        run = self._run
        self._tell(
            lambda at: RunEnded(
                run_id=run.id,
                root_id=run.root_id,
                at=at,
                kind=run.kind,
                name=run.name,
                status=end.status,
                error=end.error,
            )
        )

    def _tell(self, event: Callable[[Micros], Event]) -> None:
        if self._listener.listening:
            self._listener.emit(event(self._listener.clock.now()))
