"""What the machine can do without us: commits, rows, a round trip between two processes, a bare interpreter.

The engine's figures mean little alone: a disk of another make, or a busy neighbour, moves them by half. So the limit is
measured right before and right after each repetition, in the same folder, and the ratio is taken from those.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Figure, Required, Spread

SECONDS = 0.25
"""How long one look at a limit takes."""
GROUP = 1_000
PAYLOAD = "x" * 200
"""About what a journal entry of a no-op step takes."""


class RawSqlite:
    """One table in a file of its own, WAL and synchronous=FULL, written by nobody else."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    def __enter__(self) -> RawSqlite:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def commits(self) -> float:
        """Commits of one row each, a second."""
        return _rate(self.commit)

    def commit(self) -> int:
        """One commit of one row, as an engine would: it takes the lock, writes, commits."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute("INSERT INTO raw (text) VALUES (?)", (PAYLOAD,))
        execute("COMMIT")
        return 1

    def rows(self) -> float:
        """Rows a second, a thousand to a commit."""
        return _rate(self._group)

    def _group(self) -> int:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO raw (text) VALUES (?)", [(PAYLOAD,)] * GROUP)
        self._connection.execute("COMMIT")
        return GROUP


def _rate(act: Callable[[], int]) -> float:
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS:
        done += act()
    return done / elapsed


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition, and the limit around it."""

    value: float
    limit: float


async def interleaved(
    repeats: int, once: Callable[[], Awaitable[float]], limit: Callable[[], float]
) -> Sequence[Sample]:
    """Repetitions, each between two looks at the limit; one to warm up comes before and does not count."""
    await once()
    found: list[Sample] = []
    before = limit()
    for _ in range(repeats):
        value = await once()
        after = limit()
        found.append(Sample(value, (before + after) / 2))
        before = after
    return found


def figure(
    samples: Sequence[Sample],
    *,
    row: str,
    what: str,
    unit: str,
    limit_is: str,
    required: Required | None = None,
    peer: str = "",
) -> Figure:
    """The figure that follows from interleaved samples."""
    return Figure(
        row=row,
        what=what,
        unit=unit,
        value=Spread.of([sample.value for sample in samples]),
        limit=Spread.of([sample.limit for sample in samples]).median,
        limit_is=limit_is,
        ratio=Spread.of([sample.value / sample.limit for sample in samples]).median,
        required=required,
        peer=peer,
    )


# --- processes ----------------------------------------------------------------------------------


def interpreter() -> float:
    """Seconds from the start of a bare interpreter to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


@contextmanager
def round_trips(folder: Path) -> Iterator[Callable[[], float]]:
    """Seconds of the least that a start in one process, done in another, costs: a commit here, a datagram there, a
    commit there, a datagram back."""
    path = folder / "raw.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
        here.bind(str(path))
        echo = subprocess.Popen([sys.executable, "-m", "benchmarks.limits", str(folder)])
        try:
            _, there = here.recvfrom(1)
            with RawSqlite(folder) as raw:

                def once() -> float:
                    started = time.perf_counter()
                    raw.commit()
                    here.sendto(b"x", there)
                    here.recv(1)
                    return time.perf_counter() - started

                yield once
        finally:
            echo.kill()
            echo.wait()
            path.unlink()


def _echo(folder: Path) -> None:
    own = folder / f"raw-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there, RawSqlite(folder) as raw:
        there.bind(str(own))
        there.connect(str(folder / "raw.sock"))
        there.send(b"x")
        while True:
            there.recv(1)
            raw.commit()
            there.send(b"x")


if __name__ == "__main__":
    _echo(Path(sys.argv[1]))
