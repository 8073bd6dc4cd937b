"""Processes to kill, and the means to judge what they left: the store as it was at the moment of the crash, and the
witness file that the steps wrote outside of it.

Nothing here sleeps: a test waits for a line on a child's wire or for the child's end, with a deadline.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from trivium.hooks import Plugins
from trivium.ids import RunId
from trivium.json import JsonValue, loads
from trivium.model.journal import Entry
from trivium.model.runs import Run
from trivium.model.states import RunStatus, StepStatus
from trivium.storage.open import open_storage
from trivium.storage.port import Note, RunFilter, WorkerRecord

HERE = Path(__file__).parent
ACTIONS = HERE / "witness.py"
PATIENCE = 30.0
"""Seconds after which what a test waits for will not come any more."""
SEED = int(os.environ.get("TRIVIUM_CRASH_SEED", "20"))
KILLS = os.environ.get("TRIVIUM_CRASH_KILLS", "5")
"""Kills at one fault point of one scenario, spread evenly over the times that it is reached; `all` is each of them."""


def dice(*salt: object) -> random.Random:
    """Randomness that a failure can be repeated with: its seed is printed, and set by TRIVIUM_CRASH_SEED."""
    print(f"seed {SEED} (TRIVIUM_CRASH_SEED)")
    return random.Random(f"{SEED} {salt}")


def spread(count: int, *salt: object, times: int = 1) -> list[int]:
    """Which of `count` times to kill at: the first, the last, and some between; `times` as many as usual."""
    wanted = count if KILLS == "all" else min(count, times * int(KILLS))
    if wanted == count:
        return list(range(1, count + 1))
    between = dice("spread", *salt).sample(range(2, count), wanted - 2) if wanted > 2 else []
    return sorted({1, count, *between})


# --- processes -------------------------------------------------------------------------------------


class Life:
    """A process from its beginning to its end: after that its id may be somebody else's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self._ended = threading.Event()

    def end(self, code: int) -> None:
        self.code = code
        self._ended.set()

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens to a process that has ended."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, patience: float) -> int:
        assert self._ended.wait(patience), f"process {self.pid} did not end"
        assert self.code is not None
        return self.code


class CommandLife(Life):
    """That of a process of our own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(process.pid)
        self._process = process

    @override
    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    @override
    def wait(self, patience: float) -> int:
        return self._process.wait(patience)


class Child:
    """A process under test. What it says comes line by line down its wires; they end with it."""

    def __init__(self, life: Life, wires: Sequence[int], log: Path | None) -> None:
        self.pid = life.pid
        self._life = life
        self._log = log
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self._open = len(wires)
        self._listeners = [threading.Thread(target=self._listen, args=[wire], daemon=True) for wire in wires]
        for listener in self._listeners:
            listener.start()

    def _listen(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as wire:
            for line in wire:
                with self._heard:
                    self._lines.append(line.decode().rstrip())
                    self._heard.notify_all()
        with self._heard:
            self._open -= 1
            self._heard.notify_all()

    def wait_line(self, wanted: str, times: int = 1) -> None:
        """Block until `times` lines that begin so have come.

        :raises AssertionError: the child ended before, or nothing came in time
        """

        def count() -> int:
            return sum(line.startswith(wanted) for line in self._lines)

        with self._heard:
            self._heard.wait_for(lambda: count() >= times or not self._open, PATIENCE)
            assert count() >= times, f"{times} x {wanted!r} did not come, but {self._lines[-5:]}\n{self.said()}"

    def wait_lines_or_end(self, count: int) -> None:
        """Block until so many lines have come, or the child has ended."""
        with self._heard:
            assert self._heard.wait_for(lambda: len(self._lines) >= count or not self._open, PATIENCE)

    def told(self, word: str) -> int:
        """The number that came with a word. For children that have ended."""
        (line,) = [line for line in self._lines if line.startswith(f"{word} ")]
        return int(line.removeprefix(f"{word} "))

    def signal(self, number: signal.Signals) -> None:
        self._life.signal(number)

    def kill(self) -> int:
        """SIGKILL, and wait until it is dead; how it ended, if it was faster."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        code = self._life.wait(PATIENCE)
        for listener in self._listeners:
            listener.join(PATIENCE)
        return code

    @property
    def has_ended(self) -> bool:
        return self._life.code is not None

    def said(self) -> str:
        """What it logged, or, for a command, what it printed, with the witness's lines between."""
        if self._log is None:
            return "\n".join(self._lines)
        return self._log.read_text() if self._log.exists() else ""


class Nursery:
    """The zygote, and its children's ends. One for a session of tests."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-m", "crash.zygote", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        self._lives: dict[int, Life] = {}
        self._born: list[Life] = []
        self._told = threading.Condition()
        self._request = threading.Lock()
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.shutdown(socket.SHUT_WR)
        assert self._process.wait(PATIENCE) == 0
        self._channel.close()

    def _listen(self) -> None:
        with self._channel.makefile("rb") as answers:
            for line in answers:
                answer = json.loads(line)
                with self._told:
                    if "code" in answer:
                        self._lives.pop(answer["pid"]).end(answer["code"])
                    else:
                        life = self._lives[answer["pid"]] = Life(answer["pid"])
                        self._born.append(life)
                    self._told.notify_all()

    def spawn(self, role: str, arguments: Mapping[str, Any], environment: Mapping[str, str], log: Path) -> Child:
        """Fork a child for a role of `roles`."""
        wire, far_end = os.pipe()
        request = {"role": role, "arguments": arguments, "environment": environment, "log": str(log)}
        with self._request, self._told:
            socket.send_fds(self._channel, [json.dumps(request).encode()], [far_end])
            os.close(far_end)
            assert self._told.wait_for(lambda: self._born, PATIENCE), "the zygote does not answer"
            life = self._born.pop()
        return Child(life, [wire], log)

    def wait_any(self, children: Sequence[Child]) -> Child:
        """The first of them to end; it has ended."""
        with self._told:
            ended = self._told.wait_for(lambda: [child for child in children if child.has_ended], PATIENCE)
        assert ended, "none of the processes ended"
        return ended[0]


# --- what they leave -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the witness."""

    word: str
    run_id: str
    key: str
    attempt: int
    pid: int

    @property
    def step(self) -> tuple[str, str]:
        return self.run_id, self.key


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store at one moment."""

    runs: Mapping[RunId, Run]
    entries: Mapping[RunId, Sequence[Entry]]
    notes: Mapping[RunId, Sequence[Note]]
    unconsumed: int

    @property
    def completed(self) -> frozenset[tuple[str, str]]:
        """The steps whose completion is in a journal."""
        return frozenset(
            (run_id, entry.key)
            for run_id, entries in self.entries.items()
            for entry in entries
            if entry.status is StepStatus.COMPLETED
        )

    @property
    def failed_attempts(self) -> frozenset[tuple[str, str, int]]:
        """The attempts whose failure is in a journal: they are not made again."""
        return frozenset(
            (run_id, entry.key, attempt)
            for run_id, entries in self.entries.items()
            for entry in entries
            if entry.status is StepStatus.WAITING
            for attempt in range(1, entry.attempts + 1)
        )

    def by_key(self, key: str) -> Run:
        (run,) = [run for run in self.runs.values() if run.key == key]
        return run

    def entry(self, run_id: str, key: str) -> Entry:
        (entry,) = [entry for entry in self.entries[RunId(run_id)] if entry.key == key]
        return entry

    def outputs(self) -> dict[str, JsonValue]:
        """Of the runs that have a key."""
        return {
            run.key: None if run.output is None else loads(run.output)
            for run in self.runs.values()
            if run.key is not None
        }


class Site:
    """One store with its witness, in a folder of its own."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.folder = folder
        self.path = folder / "store.db"
        self.url = f"sqlite:///{self.path}"
        self._nursery = nursery
        self._witness = folder / "witness"
        self._children: list[Child] = []
        self._copies = 0
        self._gates: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.signal(signal.SIGKILL)
        for child in self._children:
            child.wait()
        for gate in self._gates:
            os.close(gate)

    # --- processes -------------------------------------------------------------------------------

    def spawn(self, role: str, *, faults: str = "", counts: Path | None = None, **arguments: Any) -> Child:
        """A child of the zygote in a role; `faults` is what `TRIVIUM_FAULTS` says."""
        environment = {
            "CRASH_WITNESS": str(self._witness),
            "CRASH_COUNTS": "" if counts is None else str(counts),
            "TRIVIUM_FAULTS": faults,
        }
        log = self.folder / f"log-{len(self._children)}"
        child = self._nursery.spawn(role, {"url": self.url, **arguments}, environment, log)
        self._children.append(child)
        return child

    def command(self, *words: str | Path) -> Child:
        """`trivium WORDS` as a user calls it, in a new interpreter. What it prints comes down a wire of its own, since
        it does not write its lines whole."""
        wire, far_end = os.pipe()
        output, far_output = os.pipe()
        environment = {**os.environ, "CRASH_WITNESS": str(self._witness), "CRASH_WIRE": str(far_end)}
        environment.pop("TRIVIUM_STORE", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "trivium.cli", *map(str, words), "--store", self.url],
            stdin=subprocess.DEVNULL,
            stdout=far_output,
            stderr=far_output,
            cwd=self.folder,
            env=environment,
            pass_fds=[far_end],
        )
        os.close(far_end)
        os.close(far_output)
        child = Child(CommandLife(process), [wire, output], None)
        self._children.append(child)
        return child

    def gate(self, name: str) -> Gate:
        """A place where steps wait (`at_gate`)."""
        path = self.folder / name
        os.mkfifo(path)
        return Gate(path, self._gates)

    # --- judging ---------------------------------------------------------------------------------

    def witnessed(self) -> list[Line]:
        """All lines so far."""
        if not self._witness.exists():
            return []
        found = []
        for text in self._witness.read_text().splitlines():
            word, run_id, key, attempt, pid = text.split()
            found.append(Line(word, run_id, key, int(attempt), int(pid)))
        return found

    def autopsy(self) -> Snapshot:
        """The store as the dead have left it, read from a copy: the next process shall find it untouched. For moments
        when nobody lives."""
        self._copies += 1
        place = self.folder / f"copy-{self._copies}"
        place.mkdir()
        for suffix in ("", "-wal"):
            source = self.path.with_name(self.path.name + suffix)
            if source.exists():
                shutil.copy(source, place / source.name)
        copy = place / self.path.name
        connection = sqlite3.connect(copy)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        return read(f"sqlite:///{copy}")

    def look(self) -> Snapshot:
        """The store as it is, beside those who write to it."""
        return read(self.url)

    def workers(self) -> Sequence[WorkerRecord]:
        with open_storage(self.url, openers=Plugins.load().storages) as storage:
            return storage.workers()


class Gate:
    """Closed until it is opened, then open for ever."""

    def __init__(self, path: Path, opened: list[int]) -> None:
        self.path = path
        self._opened = opened

    def open(self) -> None:
        """Let through those who wait and those who come."""
        # For reading and writing: then opening needs no partner, and whoever comes later finds a writer.
        self._opened.append(os.open(self.path, os.O_RDWR))


def read(url: str) -> Snapshot:
    with open_storage(url, openers=Plugins.load().storages) as storage:
        runs = {run.id: run for run in storage.runs(RunFilter(limit=100_000))}
        return Snapshot(
            runs=runs,
            entries={run_id: storage.entries(run_id) for run_id in runs},
            notes={run_id: storage.notes(run_id) for run_id in runs},
            unconsumed=sum(len(storage.inbox(run.id)[1]) for run in runs.values() if run.status.terminal),
        )


# --- the verdict -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Crash:
    """A moment after a crash: what was committed, and how much had been witnessed."""

    snapshot: Snapshot
    lines: int


def check_nothing_repeated(lines: Sequence[Line], crashes: Sequence[Crash]) -> None:
    """No step that was committed before a crash ran again after it, and each crash repeats an attempt at most once."""
    for crash in crashes:
        after = [line for line in lines[crash.lines :] if line.word == "start"]
        again = [line for line in after if line.step in crash.snapshot.completed]
        assert not again, f"completed, and ran again: {again}"
        again = [line for line in after if (*line.step, line.attempt) in crash.snapshot.failed_attempts]
        assert not again, f"failed for good, and was attempted again: {again}"
    starts = Counter((*line.step, line.attempt) for line in lines if line.word == "start")
    often = {attempt: count for attempt, count in starts.items() if count > 1 + len(crashes)}
    assert not often, f"ran more than once more: {often}"
    effects = Counter(line.step for line in lines if line.word == "effect")
    assert all(count == 1 for count in effects.values()), f"effects repeated: {effects}"


def check_journal(snapshot: Snapshot) -> None:
    """No step stands in a journal twice."""
    for run_id, entries in snapshot.entries.items():
        keys = Counter((entry.generation, entry.key) for entry in entries)
        assert len(keys) == len(entries), f"run {run_id} has keys twice: {keys.most_common(3)}"
        assert len({entry.seq for entry in entries}) == len(entries)


def check_accepted(lines: Sequence[Line], snapshot: Snapshot) -> None:
    """Every run whose start had returned is there, under the one id that its key gave every time."""
    accepted: dict[str, set[str]] = {}
    for line in lines:
        if line.word == "accepted":
            accepted.setdefault(line.key, set()).add(line.run_id)
    for key, ids in accepted.items():
        assert ids == {snapshot.by_key(key).id}, f"key {key!r} was accepted as {ids}"


def check_completed(snapshot: Snapshot) -> None:
    """Every run has completed, and left nothing behind."""
    others = [
        (run.id, run.status, run.error) for run in snapshot.runs.values() if run.status is not RunStatus.COMPLETED
    ]
    assert not others, f"not completed: {others}"
    assert snapshot.unconsumed == 0
