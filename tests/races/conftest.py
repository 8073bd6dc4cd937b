"""What the tests of the races share: an engine in a thread of its own, and another hand on its store.

Nothing happens in an engine of these tests that the test did not ask for: its heart is held before the first beat, so
there is no second look, and its clock stands still where a test gives it one that does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from typing_extensions import override

from trivium import Clock, SystemClock, Trivium
from trivium.engine.settings import EngineSettings
from trivium.ids import NeedsId, RunId, WorkerId, new_run_id, new_worker_id
from trivium.json import NULL, dumps
from trivium.loading import load_module
from trivium.model.commit import (
    Applied,
    Batch,
    BatchResult,
    CancelUnit,
    ClaimRequest,
    End,
    NewSignal,
    Result,
    RetryUnit,
    RunUnit,
    SignalUnit,
    StartUnit,
    Unit,
)
from trivium.model.events import Event, RunEvent
from trivium.model.journal import Entry
from trivium.model.runs import NewRun, Run
from trivium.model.states import RunStatus
from trivium.storage.memory import MemoryStorage
from trivium.storage.port import RunFilter, Storage, WorkerRecord
from trivium.testing import TestClock
from trivium.testing.faults import pause_at
from trivium_storage_sqlite.store import SqliteStorage

PATIENCE = 30.0
"""Seconds after which what a test waits for will not come any more."""
NEVER = 3600.0


worker_process: Any = load_module(Path(__file__).with_name("worker_process.py"))
Scripts: Any = worker_process.Scripts


class Gate:
    """A place in an action at which its thread waits for the test."""

    def __init__(self) -> None:
        self.came = 0
        self._reached = threading.Event()
        self._open = threading.Event()

    def pass_through(self) -> None:
        self.came += 1
        self._reached.set()
        assert self._open.wait(PATIENCE)

    def wait_reached(self) -> None:
        assert self._reached.wait(PATIENCE)

    def open(self) -> None:
        self._open.set()


class Seen:
    """An observer that remembers, and for which a test can wait."""

    def __init__(self) -> None:
        self.events: list[RunEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, kind: type[RunEvent], run_id: RunId, *, times: int = 1) -> None:
        """Block until that many events of this kind were sent for the run."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.count(kind, run_id) >= times, PATIENCE), self.events

    def count(self, kind: type[RunEvent], run_id: RunId) -> int:
        return sum(isinstance(event, kind) and event.run_id == run_id for event in self.events)


class Seat:
    """An app whose event loop has a thread of its own; its methods are called from the test's, and block."""

    def __init__(self, app: Trivium, seen: Seen, backend: str, *, waits_until_idle: bool) -> None:
        self.app = app
        self._waits_until_idle = waits_until_idle
        self.seen = seen
        self._backend = backend
        self._stack = ExitStack()

    def __enter__(self) -> Seat:
        self._hearts = [
            self._stack.enter_context(pause_at("engine.before_beat", nth, counts=self._in_my_heart)) for nth in (1, 2)
        ]
        with pause_at("engine.before_wait") as idle:
            self.portal = self._stack.enter_context(start_blocking_portal(self._backend))
            self._stack.enter_context(self.portal.wrap_async_context_manager(self.app))
            if self._waits_until_idle:
                idle.wait_reached()
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _in_my_heart(self) -> bool:
        """Whether this is the heart's thread of this app: that of another seat is held by its own pauses alone, or it
        would wait for this one to be closed, which may wait for that."""
        engine = self.app._engine
        return engine is not None and engine._heart is not None and engine._heart._thread is threading.current_thread()

    def beat_once(self) -> None:
        """Let this boot's heart beat; that of the next one is held."""
        self._hearts[0].resume()

    def wait_booted_again(self) -> None:
        """Return when a second boot's heart is about to beat."""
        self._hearts[1].wait_reached()

    def close(self) -> None:
        """Stop the app and its loop. May be called twice."""
        self.beat()
        self._stack.close()

    def sent(self, kind: type[RunEvent], run_id: RunId) -> int:
        """How many events of this kind there were for the run. Closes: only then every event has been seen."""
        self.close()
        return self.seen.count(kind, run_id)

    def beat(self) -> None:
        """Let the heart beat from now on, and the second look come with it."""
        for heart in self._hearts:
            heart.resume()

    @property
    def worker_id(self) -> WorkerId:
        return self.app.engine.worker_id

    def start(self, target: str, inputs: Any = None, **options: Any) -> RunId:
        async def start() -> RunId:
            return (await self.app.start(target, inputs, **options)).id

        return self.portal.call(start)

    def end(self, run_id: RunId) -> End:
        """Wait for the run's end."""

        async def end() -> End:
            with anyio.fail_after(PATIENCE):
                return await self.app.engine.wait_end(run_id)

        return self.portal.call(end)

    def stop(self) -> None:
        self.portal.call(self.app.stop)

    def soon(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A future of a call that this thread does not wait for."""
        return self.portal.start_task_soon(function, *arguments)

    def settle(self) -> None:
        """Return when the event loop has done what it could without waiting."""

        async def turns() -> None:
            for _ in range(20):
                await anyio.lowlevel.checkpoint()

        self.portal.call(turns)


class Hand:
    """Another process's hand on the store: a worker that commits what the test says."""

    def __init__(self, storage: Storage, stack: ExitStack, scripts: Any) -> None:
        self.storage = storage
        self._stack = stack
        self._scripts = scripts
        self.me = self.worker("hand")

    def worker(self, name: str) -> WorkerId:
        """Another worker that is present."""
        now = self.storage.clock.now()
        record = WorkerRecord(
            id=new_worker_id(), name=name, host="here", pid=os.getpid(), queues=None, concurrency=10,
            started_at=now, beat=0, beat_at=now,
        )  # fmt: skip
        self._stack.enter_context(self.storage.presence(record))
        return record.id

    def commit(self, *units: Unit, claim: ClaimRequest | None = None) -> BatchResult:
        return self.storage.commit(Batch(units, claim))

    def one(self, unit: Unit) -> Result:
        return self.one_of(self.storage, unit)

    def one_of(self, storage: Storage, unit: Unit) -> Result:
        """Commit one unit through another storage object of the store."""
        (result,) = storage.commit(Batch([unit])).results
        return result

    def new(self, target: str, inputs: Any = None, **options: Any) -> NewRun:
        prepared = self._scripts.prepare(target, inputs, None)
        assert prepared is not None
        return NewRun(
            id=new_run_id(),
            target=prepared.target,
            definition=prepared.definition,
            inputs=NULL if inputs is None else dumps(inputs),
            limits=prepared.limits,
            **options,
        )

    def start(self, target: str, inputs: Any = None, **options: Any) -> RunId:
        applied = self.one(StartUnit(self.new(target, inputs, **options)))
        assert isinstance(applied, Applied)
        return applied.started[0].run_id

    def signal(self, run_id: RunId, name: str, payload: Any = None) -> Result:
        return self.one(SignalUnit(NewSignal(run_id, name, dumps(payload))))

    def cancel(self, run_id: RunId, reason: str = "enough") -> Result:
        return self.one(CancelUnit(run_id, reason))

    def retry(self, run_id: RunId) -> Result:
        return self.one(RetryUnit(run_id))

    def request(self, worker: WorkerId | None = None, *, limit: int = 100, suspects: bool = False) -> ClaimRequest:
        serves = frozenset(self.storage.needs())
        return ClaimRequest(worker_id=worker or self.me, limit=limit, serves=serves, suspects=suspects)

    def claim(self, worker: WorkerId | None = None, **options: Any) -> list[Run]:
        return [claimed.run for claimed in self.commit(claim=self.request(worker, **options)).claimed]

    def bury(self, worker: WorkerId) -> int:
        (beat,) = [each.beat for each in self.storage.workers() if each.id == worker]
        return self.storage.bury(worker, beat)

    def take_over(self, run_id: RunId, worker: WorkerId) -> Run:
        """Bury the worker and claim the run for this hand."""
        assert self.bury(worker) >= 1
        (run,) = [run for run in self.claim() if run.id == run_id]
        return run

    def finish(self, run: Run, output: Any = "by hand") -> Result:
        return self.one(RunUnit(run_id=run.id, epoch=run.epoch, then=End(RunStatus.COMPLETED, output=dumps(output))))

    def wait_ended(self, run_id: RunId) -> None:
        """Block until the run has ended, whoever drives it."""
        bell = self.storage.doorbell(new_worker_id())
        try:
            while not self.status(run_id).terminal:
                assert bell.wait(PATIENCE)
        finally:
            bell.close()

    def run(self, run_id: RunId) -> Run:
        run = self.storage.run(run_id)
        assert run is not None
        return run

    def runs(self) -> Sequence[Run]:
        return self.storage.runs(RunFilter())

    def status(self, run_id: RunId) -> RunStatus:
        return self.run(run_id).status

    def entries(self, run_id: RunId) -> dict[str, Entry]:
        return {entry.key: entry for entry in self.storage.entries(run_id)}


class HeldReads(MemoryStorage):
    """A store in memory that keeps the answer to a question back while a test likes."""

    needs_gate: Gate | None = None

    @override
    def needs(self) -> Mapping[NeedsId, frozenset[str]]:
        found = super().needs()
        gate, self.needs_gate = self.needs_gate, None
        if gate is not None:
            gate.pass_through()
        return found


class Store:
    """A store, and how to open it again."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.kind = kind
        self.path = folder / "store.db"
        self.url = "shared:" if kind == "memory" else f"sqlite:///{self.path}"
        self.clock: Clock = SystemClock()
        self.memory = HeldReads()
        self._stack = stack

    def opener(self) -> Storage:
        """A storage that is not open yet; the same one, where only that shares the store."""
        if self.kind == "memory":
            self.memory.clock = self.clock
            return self.memory
        return SqliteStorage(self.url, self.clock)

    def open(self) -> Storage:
        return self._stack.enter_context(self.opener())


@pytest.fixture
def scripts() -> Any:
    """The driver of a test; it knows what worker_process.py runs, too."""
    scripts = Scripts()
    worker_process.add_all(scripts)
    return scripts


@pytest.fixture
def mark() -> Callable[..., Any]:
    """The action that leaves traces."""
    action: Callable[..., Any] = worker_process.mark
    return action


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["memory-asyncio", "memory-trio", "sqlite-asyncio"])
def store_and_backend(request: pytest.FixtureRequest, tmp_path: Path, stack: ExitStack) -> tuple[Store, str]:
    kind, _, backend = request.param.partition("-")
    return Store(kind, tmp_path, stack), backend


@pytest.fixture
def store(store_and_backend: tuple[Store, str]) -> Store:
    return store_and_backend[0]


@pytest.fixture
def clock(store: Store) -> TestClock:
    """A clock that stands still. It is named before what opens the store: `seat`, `hand`."""
    store.clock = clock = TestClock()
    return clock


@pytest.fixture
def seat(store_and_backend: tuple[Store, str], scripts: Any, stack: ExitStack) -> Callable[..., Seat]:
    """Opens an app on the store: no second look, and no parking unless `park_after` says so."""
    store, backend = store_and_backend

    def open_seat(*actions: Callable[..., Any], waits_until_idle: bool = True, **settings: Any) -> Seat:
        seen = Seen()
        scheme = store.url.partition(":")[0]
        app = Trivium(
            store.url,
            actions=actions,
            clock=store.clock,
            plugins=scripts.plugins({scheme: lambda url, clock: store.opener()}),
            observers=[seen],
            settings=EngineSettings(
                **{"park_after": NEVER, "shutdown_grace": 5.0, "queues": frozenset({"default"}), **settings}
            ),
        )
        return stack.enter_context(Seat(app, seen, backend, waits_until_idle=waits_until_idle))

    return open_seat


@pytest.fixture
def hand(store: Store, scripts: Any, stack: ExitStack) -> Hand:
    return Hand(store.open(), stack, scripts)


class Process:
    """A worker in a process of its own."""

    def __init__(self, url: str, faults: str, *, starts: str = "", beats: bool) -> None:
        environment = {**os.environ, "TRIVIUM_FAULTS": faults, "TRIVIUM_RACES_BEAT": "1" if beats else ""}
        self._process = subprocess.Popen(
            [sys.executable, worker_process.__file__, url, *filter(None, [starts])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.pid = self._process.pid

    def wait_killed(self) -> None:
        """Return when it has killed itself."""
        assert self._process.wait(PATIENCE) == -signal.SIGKILL

    def wait_stopped(self) -> None:
        """Return when it has stopped itself."""
        found, status = os.waitpid(self.pid, os.WUNTRACED)
        assert found == self.pid
        assert os.WIFSTOPPED(status), status

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def leave(self) -> None:
        """Let it shut down in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(PATIENCE) == 0

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def process(store: Store, stack: ExitStack) -> Callable[..., Process]:
    """Starts a worker process on the store, which has to be SQLite's."""

    def start(faults: str = "", *, starts: str = "", beats: bool = False) -> Process:
        """A worker; or, with `starts`, a client that starts this target and does nothing else."""
        process = Process(store.url, faults, starts=starts, beats=beats)
        stack.callback(process.close)
        return process

    return start


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """The file in which runs leave traces."""
    return tmp_path / "traces"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """For what blocks while the test goes on."""
    with ThreadPoolExecutor(4) as threads:
        yield threads
