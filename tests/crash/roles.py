"""What the child processes do. A role is a function; its arguments come as JSON from the test, and what it returns is
the exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio

from crash import trees, witness
from trivium import RunHandle, Trivium, faults
from trivium.clock import Micros
from trivium.engine.settings import EngineSettings
from trivium.errors import RunIsTerminal
from trivium.hooks import Plugins
from trivium.model.states import TERMINAL_RUNS, RunStatus
from trivium.storage.open import open_storage
from trivium.storage.port import RunFilter
from trivium.testing import install_from_env

UNENDED = frozenset(set(RunStatus) - TERMINAL_RUNS)


def play(role: str, arguments: dict[str, Any]) -> int:
    """Play one of the roles below."""
    os.set_blocking(int(os.environ["CRASH_WIRE"]), False)
    logging.basicConfig(level=logging.INFO, format="%(process)d %(threadName)s %(message)s")
    counts = os.environ.get("CRASH_COUNTS")
    if counts:
        reached: Counter[str] = Counter()
        faults.install(lambda point: reached.update([point]))
        code = int(ROLES[role](**arguments) or 0)
        Path(counts).write_text(json.dumps(reached))
        return code
    install_from_env("TRIVIUM_FAULTS")
    return int(ROLES[role](**arguments) or 0)


def app(url: str, *, worker: bool = True, **settings: Any) -> Trivium:
    return Trivium(
        url,
        modules=[Path(__file__).with_name("witness.py")],
        worker=worker,
        plugins=Plugins.load(extra=[trees]),
        settings=EngineSettings(name=f"worker-{os.getpid()}", **{"shutdown_grace": 5.0, **settings}),
    )


# --- one process that does everything --------------------------------------------------------------


def drive(url: str, starts: list[dict[str, Any]], signals: int = 0, backend: str = "asyncio") -> int:
    """Start runs under their keys, signal each, and drive all to their ends. May be called again after every crash."""

    async def main() -> None:
        async with app(url, park_after=0.005, heartbeat_timeout=0.5) as trivium:
            handles = [await _start(trivium, start) for start in starts]
            for number in range(1, signals + 1):
                for handle in handles:
                    await _signal(handle, number)
            for handle in handles:
                await handle.wait()
            await _all_ended(trivium)

    anyio.run(main, backend=backend)
    return 0


async def _start(trivium: Trivium, start: dict[str, Any]) -> RunHandle:
    handle = await trivium.start(start["target"], start["inputs"], key=start["key"])
    witness.say("accepted", handle.id, start["key"])
    return handle


async def _signal(handle: RunHandle, number: int) -> None:
    try:
        await handle.signal("go", number, id=f"go {number}")
    except RunIsTerminal:  # it took both before it was retold; an id that it had is dropped, so this cannot be
        raise AssertionError("a run ended without its signals") from None


async def _all_ended(trivium: Trivium) -> None:
    while await trivium.runs(RunFilter(statuses=UNENDED, limit=1)):  # noqa: ASYNC110  # they may end in other processes
        await anyio.sleep(0.01)


# --- processes that share the work -----------------------------------------------------------------


def work(url: str, until_all_ended: bool = False, **settings: Any) -> int:
    """A worker: until SIGTERM, or until all runs have ended."""

    @asynccontextmanager
    async def termination() -> Any:
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            yield signals

    async def main() -> None:
        async with app(url, **settings) as trivium, termination() as signals:
            witness.tell(f"ready {os.getpid()}\n".encode())
            if until_all_ended:
                await _all_ended(trivium)
                return
            async for _ in signals:
                return

    anyio.run(main)
    return 0


def start(url: str, starts: list[dict[str, Any]]) -> int:
    """A client that starts runs, one after the other, and drives nothing."""

    async def main() -> None:
        async with app(url, worker=False) as trivium:
            for each in starts:
                await _start(trivium, each)

    anyio.run(main)
    return 0


# --- processes that only use the store --------------------------------------------------------------


def open_store(url: str, die_behind: int = 0) -> int:
    """Open the store, which makes or migrates it, and close it again."""
    storage = open_storage(url, openers=Plugins.load().storages)
    with calls_counted(die_behind) as count, storage:
        pass
    witness.tell(f"calls {count()}\n".encode())
    return 0


def prune(url: str, before: int, die_behind: int = 0) -> int:
    with open_storage(url, openers=Plugins.load().storages) as storage, calls_counted(die_behind) as count:
        storage.prune(before=Micros(before))
    witness.tell(f"calls {count()}\n".encode())
    return 0


@contextmanager
def calls_counted(die_behind: int) -> Iterator[Callable[[], int]]:
    """Count what this thread calls of SQLite and of the system, and die behind a certain one of these calls: finer than
    any named points are."""
    calls = 0

    def look(frame: FrameType, event: str, called: object) -> None:
        nonlocal calls
        if event == "c_return" and _touches_disk(called):
            calls += 1
            if calls == die_behind:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)


def _touches_disk(called: object) -> bool:
    owner = getattr(called, "__self__", None)
    return isinstance(owner, sqlite3.Connection | sqlite3.Cursor) or getattr(owner, "__name__", "") in (
        "posix",
        "fcntl",
    )


ROLES: dict[str, Callable[..., int]] = {
    "drive": drive,
    "work": work,
    "start": start,
    "open_store": open_store,
    "prune": prune,
}
