"""What a person sees while a run is driven: lines on a pipe, a small moving table on a terminal. All of it on stderr.

A watcher gets events from two threads (the observers' and the event loop) and may get one twice: it keeps what it
knows in a `Tally`, under a lock, and tells only what is new.
"""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from typing_extensions import override

from trivium.cli.exits import say
from trivium.cli.output import STYLES, one_line
from trivium.clock import SECOND, Micros
from trivium.graph.captions import duration, shortened
from trivium.ids import RunId
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
from trivium.model.states import StepStatus

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SHOWN = 12
"""Steps in the moving table."""
MOST_LINES = 2_000
"""Lines about steps on a pipe; a run with more is told about by its failures alone."""


@dataclass(slots=True)
class Line:
    """A step as it stands."""

    name: str
    status: str
    since: float
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """What is known of a run's steps: those under way in full, those that ended by number."""

    under_way: dict[tuple[RunId, str], Line] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    recent: deque[tuple[str, Line]] = field(default_factory=lambda: deque(maxlen=SHOWN))
    waits: str = ""
    replayed: int = 0
    _told: set[tuple[RunId, str, int, str]] = field(default_factory=set)

    def take(self, event: Event, now: float) -> bool:
        """Take an event in; False if it was known."""
        match event:
            case StepStarted():
                if not self.know(event.run_id, event.key, event.attempt, "started"):
                    return False
                detail = f"attempt {event.attempt}" if event.attempt > 1 else ""
                self.under_way[event.run_id, event.key] = Line(event.name, StepStatus.RUNNING, now, detail)
                self.waits = ""
            case StepRetrying():
                if not self.know(event.run_id, event.key, event.attempt, "retrying"):
                    return False
                line = Line(event.name, StepStatus.WAITING, now, _retrying(event))
                self.under_way[event.run_id, event.key] = line
            case StepEnded():
                if not self.know(event.run_id, event.key, event.finished_at or 0, "ended"):
                    return False
                self.under_way.pop((event.run_id, event.key), None)
                self.ended[event.status] = self.ended.get(event.status, 0) + 1
                line = Line(event.name, event.status, now, _ended(event))
                self.recent.append((event.key, line))
            case RunParked():
                if not self.know(event.run_id, "", event.at, "parked"):
                    return False
                self.waits = str(event.reason)
            case RunClaimed():
                if not self.know(event.run_id, "", event.epoch, "claimed"):
                    return False
                self.replayed = max(self.replayed, event.replayed)
                self.waits = ""
            case RunReleased() | RunEnded():
                self.waits = ""
        return True

    def counts(self) -> str:
        """`12 completed, 1 failed, 3 under way`."""
        parts = [f"{count:,} {status}" for status, count in self.ended.items()]
        if self.under_way:
            parts.append(f"{len(self.under_way):,} under way")
        return ", ".join(parts)

    def know(self, run_id: RunId, key: str, mark: int, what: str) -> bool:
        """Whether it is news; from now on it is none."""
        known = (run_id, key, mark, what)
        if known in self._told:
            return False
        self._told.add(known)
        return True


class Watcher(ABC):
    """Somebody who is told what happens. A context manager: on leaving, the terminal is as it was."""

    listens: ClassVar[bool] = True
    """Events are wanted: they cost the engine a little, so that they are not made for nobody."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self.tally.take(event, time.monotonic()):
                self.told(event)

    def know(self, run: Run, entries: Sequence[Entry]) -> None:
        """What the journal had before we looked is no news."""
        with self._lock:
            for entry in entries:
                if entry.status.terminal:
                    self.tally.know(run.id, entry.key, entry.finished_at or 0, "ended")

    def catch_up(self, run: Run, entries: Sequence[Entry]) -> None:
        """Tell what the journal has and no event said: the run was driven elsewhere, or faster than we listen."""
        for entry in entries:
            if entry.status.terminal:
                self(StepEnded.of(run, entry, entry.finished_at or Micros(0)))

    @abstractmethod
    def told(self, event: Event) -> None:
        """The tally has taken a new event in."""

    def show(self) -> None:  # noqa: B027 - most need nothing here
        """Begin to draw, if it draws."""

    def hide(self) -> None:  # noqa: B027 - as above
        """Leave the terminal as it was. May be called twice."""

    def __enter__(self) -> Self:
        self.show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hide()


class Silent(Watcher):
    """Says nothing."""

    listens: ClassVar[bool] = False

    @override
    def told(self, event: Event) -> None:
        pass


class Lines(Watcher):
    """A line for each step that ended, is tried again, or waits."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = 0

    @override
    def told(self, event: Event) -> None:
        match event:
            case StepEnded():
                self._lines += 1
                if self._lines <= MOST_LINES or event.status is not StepStatus.COMPLETED:
                    self._say(event.status, event.key, _ended(event))
                elif self._lines == MOST_LINES + 1:
                    say("  ... and so on; from here on only what did not complete")
            case StepRetrying():
                self._say("retrying", event.key, _retrying(event))
            case RunParked():
                self._say("waiting", str(event.reason), "")
            case RunClaimed(replayed=replayed) if replayed:
                say(f"  goes on behind {replayed:,} recorded step{'s' if replayed != 1 else ''}")
            case _:
                pass

    @staticmethod
    def _say(status: str, key: str, detail: str) -> None:
        say(f"  {status:<10} {one_line(key)}" + (f"  {one_line(detail)}" if detail else ""))


class Moving(Watcher):
    """The last steps in a table that is drawn anew a few times a second."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._begin = time.monotonic()
        self._live: Live | None = None

    @override
    def told(self, event: Event) -> None:
        pass  # the table is drawn from the tally, by its own clock

    @override
    def show(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(stderr=True), get_renderable=self._draw, refresh_per_second=8, redirect_stdout=False
        )
        self._live.start()

    @override
    def hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        with self._lock:
            active = [(key, line) for (_, key), line in islice(self.tally.under_way.items(), SHOWN)]
            lines = [*list(self.tally.recent)[len(active) - SHOWN :], *active] if len(active) < SHOWN else active
            counts, waits = self.tally.counts(), self.tally.waits
        table = Table.grid(padding=(0, 2))
        for key, line in lines:
            under_way = line.status in (StepStatus.RUNNING, StepStatus.WAITING)
            detail = line.detail or (duration(Micros(int((now - line.since) * SECOND))) if under_way else "")
            table.add_row(
                Text(_MARKS.get(line.status, "·"), style=STYLES.get(line.status, "")),
                Text(shortened(key, 48)),
                Text(line.status, style=STYLES.get(line.status, "")),
                Text(shortened(detail, 90), style="dim"),
            )
        elapsed = duration(Micros(int((now - self._begin) * SECOND)))
        foot = " · ".join(part for part in (counts, f"waits: {waits}" if waits else "", elapsed) if part)
        whole = Table.grid()
        whole.add_row(Text(shortened(self._title, 100), style="bold"))
        whole.add_row(table)
        whole.add_row(Text(foot, style="dim"))
        return whole


_MARKS = {"running": "▸", "waiting": "◦", "completed": "✓", "failed": "✗", "cancelled": "–", "skipped": "–"}


def watcher(title: str, *, quiet: bool) -> Watcher:
    """The one that suits this stderr; with `quiet`, only a terminal is told anything."""
    if sys.stderr.isatty():
        return Moving(title)
    return Silent() if quiet else Lines()


def _ended(event: StepEnded) -> str:
    parts: list[str] = []
    if event.started_at is not None and event.finished_at is not None:
        parts.append(duration(Micros(event.finished_at - event.started_at)))
    if event.attempts > 1:
        parts.append(f"{event.attempts} attempts")
    if event.error is not None:
        parts.append(_reason(event.error))
    return ", ".join(parts)


def _retrying(event: StepRetrying) -> str:
    delay = duration(Micros(max(0, event.due_at - event.at)))
    return f"attempt {event.attempt} failed: {_reason(event.error)}; again in {delay}"


def _reason(error: Failure) -> str:
    return shortened(error.message.strip().partition("\n")[0], 200)
