"""One store for each test, hands to use it, and child processes that talk in lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from trivium.testing.clock import TestClock
from trivium.testing.storage_contract import Bench
from trivium_storage_sqlite.store import SqliteStorage

CHILD_PRELUDE = """
import os, sys, threading
from trivium.clock import Micros, SystemClock
from trivium.ids import new_run_id, new_worker_id
from trivium.model.commit import Batch, RunUnit, StartUnit
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import Definition, NewRun
from trivium.model.states import StepStatus
from trivium.storage.port import WorkerRecord
from trivium.testing.faults import kill_at, stop_at
from trivium_storage_sqlite.store import SqliteStorage

me, mine, definition = new_worker_id(), new_run_id(), Definition.of("test", "child", {})
storage = SqliteStorage(sys.argv[1], SystemClock())

def say(*words):
    print(*words, flush=True)

def hear():
    return sys.stdin.readline().strip()

def enter():
    "Open the store and stand among its workers, owning the run `mine`."
    storage.open()
    zero = Micros(0)
    record = WorkerRecord(id=me, name="child", host="", pid=os.getpid(), queues=None, concurrency=1, started_at=zero,
                          beat=0, beat_at=zero)
    global presence
    presence = storage.presence(record)
    presence.__enter__()
    start(mine, me)
    say(me, mine)

def start(run_id=None, claim_by=None):
    run = NewRun(id=run_id or new_run_id(), target="t", definition=definition, claim_by=claim_by)
    storage.commit(Batch([StartUnit(run)]))
    return run.id

def write(seq):
    entry = Entry(seq=seq, key=f"s{seq}", kind=EntryKind.STEP, name="s", status=StepStatus.COMPLETED, generation=0)
    return storage.commit(Batch([RunUnit(run_id=mine, epoch=1, entries=[entry])])).results[0]
"""


class Child:
    """A Python process with `storage` (not opened), `say` and `hear`."""

    def __init__(self, url: str, script: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD_PRELUDE + script, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def hear(self) -> str:
        """The next line that it says; empty when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def storage(url: str, clock: TestClock) -> Iterator[SqliteStorage]:
    with SqliteStorage(url, clock) as storage:
        yield storage


@pytest.fixture
def bench(storage: SqliteStorage, clock: TestClock) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(storage, clock, stack)


@pytest.fixture
def child(url: str) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(script: str) -> Child:
        children.append(Child(url, script))
        return children[-1]

    yield start
    for each in children:
        each.close()
