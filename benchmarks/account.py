"""Where each microsecond and each commit of a step goes: `python -m benchmarks profile`.

Without a profiler, which would cost more than what it measures: each layer is called alone, with what it gets in a real
run, and timed. What the layers do not explain is the rest: the engine's bookkeeping, and whatever waits for whom. Rows
and statements are counted by SQLite itself, in a pass of its own.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from benchmarks import chain, fan_out, flows, many_runs
from benchmarks.limits import RawSqlite
from benchmarks.report import Spread, number
from benchmarks.setting import Setting, app_on, seconds_of, sqlite_url
from trivium import Trivium
from trivium.bridge import Bridge
from trivium.engine.committer import Committer
from trivium.engine.runs import new_root
from trivium.executors import InlineExecutor
from trivium.executors.port import Call
from trivium.ids import new_run_id, new_worker_id
from trivium.json import digest, dumps, loads
from trivium.model.commit import Applied, Batch, Ring, RunUnit, StartUnit, Unit
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import StepStatus
from trivium.storage.open import open_storage
from trivium.storage.port import Storage, WorkerRecord
from trivium_dag.loading import load_flow
from trivium_dag.plan import compile_flow
from trivium_dag.state import Progress
from trivium_storage_sqlite.turnstile import Turnstile

LOOPS = 2_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of a step: by the clock, and on a processor, which a busy neighbour changes less."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    @classmethod
    def median(cls, costs: Sequence[Cost]) -> Cost:
        return cls(Spread.of([one.wall for one in costs]).median, Spread.of([one.cpu for one in costs]).median)


NOTHING = Cost(0, 0)


class Watch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def cost(self, steps: int) -> Cost:
        """Of one of the steps that were done since."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Cost(wall / steps * 1e6, cpu / steps * 1e6)


@dataclass(frozen=True, slots=True)
class Layer:
    """One line of an account."""

    name: str
    cost: Cost


def text(setting: Setting) -> str:
    """The whole account."""
    folder = setting.below("account")
    loops = LOOPS // 10 if setting.quick else LOOPS
    steps = 1_000
    common = [*_values(loops), _executor(loops), _driver(folder, loops)]
    rounds = [_round(folder, steps, loops, number_) for number_ in range(setting.repeats)]
    median = {name: Cost.median([one[name] for one in rounds]) for name in rounds[0]}
    chain_layers = [
        *common,
        Layer("committer: to its thread and back into the loop", median["hop"]),
        Layer("storage: turn among processes (two flocks)", median["turn"]),
        Layer("storage: the rest of a transaction of one unit", median["unit"] - median["turn"] - median["raw"]),
        Layer("a raw SQLite commit of one row, synchronous=FULL", median["raw"]),
    ]
    fan_out_layers = [
        *common,
        Layer("anyio: a task, started and ended", anyio.run(_task, loops)),
        Layer("storage: a unit, 1,000 in a transaction", median["units"]),
    ]
    lines = [
        *_table(f"A step of a chain of {steps:,}", chain_layers, median["chain"], median["chain memory"]),
        *_table(f"A step of a fan-out of {steps:,}", fan_out_layers, median["fan-out"], median["fan-out memory"]),
        *_counts(setting),
    ]
    return "\n".join(lines)


def _round(folder: Path, steps: int, loops: int, number_: int) -> dict[str, Cost]:
    """All that depends on the disk or on the neighbours, measured within a second or two."""
    flow, wide = flows.chain(folder, steps), flows.fan_out(folder, steps)
    with RawSqlite(folder) as raw:
        raw_commit = _cost(raw.commit, loops)
    url = sqlite_url(folder, f"whole-{number_}.db")
    return {
        "raw": raw_commit,
        "turn": _turn(folder, loops),
        "unit": _storage_units(folder, f"one-{number_}.db", 1, loops),
        "units": _storage_units(folder, f"many-{number_}.db", 1_000, loops),
        "hop": anyio.run(_hop, loops),
        "chain": anyio.run(_whole, url, flow, steps),
        "chain memory": anyio.run(_whole, "memory:", flow, steps),
        "fan-out": anyio.run(_whole, url, wide, steps),
        "fan-out memory": anyio.run(_whole, "memory:", wide, steps),
    }


def _table(title: str, layers: Sequence[Layer], whole: Cost, without_disk: Cost) -> list[str]:
    explained = sum((layer.cost for layer in layers), NOTHING)
    rows = [
        *layers,
        Layer("rest: bookkeeping, waking, waiting; less what overlaps", whole - explained),
        Layer("whole, SQLite synchronous=full", whole),
        Layer("whole, memory: (no disk)", without_disk),
    ]
    lines = [f"{title + ', microseconds':<68}{'wall':>8}{'cpu':>8}", ""]
    lines += [f"  {row.name:<66}{number(row.cost.wall):>8}{number(row.cost.cpu):>8}" for row in rows]
    return [*lines, ""]


# --- timing --------------------------------------------------------------------------------------


def _cost(act: Callable[[], object], loops: int) -> Cost:
    """Of one call; the median of five rounds, after one that warms up."""
    rounds = []
    for _ in range(6):
        watch = Watch()
        for _ in range(loops):
            act()
        rounds.append(watch.cost(loops))
    return Cost.median(rounds[1:])


def _noop() -> Trivium:
    return app_on("memory:", worker=False)


def _values(loops: int) -> list[Layer]:
    noop = _noop().registry.action("noop")
    text, output = dumps({}, what="input"), noop.output.encode(None, what="output")
    return [
        Layer("schemas: bind the input, encode the output", _cost(lambda: noop.input.bind(text), loops)
              + _cost(lambda: noop.output.encode(None, what="output"), loops)),
        Layer("json: input to canonical text and hash, output read for the driver",
              _cost(lambda: digest(dumps({}, what="input")), loops) + _cost(lambda: loads(output), loops)),
    ]  # fmt: skip


def _executor(loops: int) -> Layer:
    noop = _noop().registry.action("noop")
    executor = InlineExecutor()

    async def calls() -> Cost:
        async def once() -> None:
            for _ in range(loops):
                await executor.run(Call(noop.function, {}, noop.is_async, "run/step"))

        watch = Watch()
        await once()
        return watch.cost(loops)

    return Layer("executor: await the action", anyio.run(calls))


def _driver(folder: Path, loops: int) -> Layer:
    """The flow's walk alone: which steps are ready, their arguments, their outcomes."""
    plan = compile_flow(load_flow(flows.chain(folder, loops)))

    def walk() -> Cost:
        watch = Watch()
        progress = Progress(plan, {}, "run")
        while not progress.done:
            for step in progress.take():
                progress.arguments(step)
                progress.would_finish(step.id)
                progress.complete(step.id, None)
        return watch.cost(loops)

    return Layer("driver: what is ready, its arguments, its outcome", Cost.median([walk() for _ in range(5)]))


async def _task(loops: int) -> Cost:
    async def nothing() -> None:
        return None

    watch = Watch()
    async with anyio.create_task_group() as tasks:
        for _ in range(loops):
            tasks.start_soon(nothing)
    return watch.cost(loops)


async def _hop(loops: int) -> Cost:
    """A unit that nobody owns, which a storage in memory refuses at once: what remains is the way there and back."""
    storage = open_storage("memory:")
    unit = RunUnit(run_id=new_run_id(), epoch=1)
    with storage:
        direct = _cost(lambda: storage.commit(Batch((unit,))), loops)
        committer = Committer(storage, Bridge(_must_not_be), on_ring=_no_ring, on_broken=_must_not_be)
        committer.start()
        watch = Watch()
        for _ in range(loops):
            await committer.commit(unit)
        whole = watch.cost(loops)
        await committer.aclose()
    return whole - direct


def _must_not_be(error: BaseException) -> None:
    raise error


def _no_ring(ring: Ring) -> None:
    return None


async def _whole(url: str, flow: Path, steps: int) -> Cost:
    async with app_on(url) as app:
        await seconds_of(app, flow)
        found = []
        for _ in range(3):
            watch = Watch()
            await seconds_of(app, flow)
            found.append(watch.cost(steps))
    return Cost.median(found)


# --- the storage alone ---------------------------------------------------------------------------


def _turn(folder: Path, loops: int) -> Cost:
    """The turn that each write takes among all processes on the file, where nobody else wants it."""
    turnstile = Turnstile(folder)
    turnstile.open()

    def take_and_give_back() -> None:
        turnstile.take()
        turnstile.give_back()

    cost = _cost(take_and_give_back, loops)
    turnstile.close()
    return cost


def _storage_units(folder: Path, store: str, size: int, loops: int) -> Cost:
    """A unit with one finished entry, `size` of them in each transaction."""
    app = _noop()
    flow = flows.chain(folder, 1)
    storage = open_storage(sqlite_url(folder, store), openers=app.plugins.storages)
    with storage, storage.presence(_record(storage)) as _:
        (worker,) = storage.workers()
        new = new_root(app.prepare(str(flow)), claim_by=worker.id)
        (started,) = storage.commit(Batch((StartUnit(new),))).results
        if not isinstance(started, Applied) or not started.started[0].claimed:
            raise AssertionError(f"the run was not claimed: {started!r}")
        seq = 0

        def commit() -> Cost:
            nonlocal seq
            watch = Watch()
            units: list[Unit] = []
            for _ in range(size):
                seq += 1
                units.append(RunUnit(run_id=new.id, epoch=1, entries=(_entry(storage, seq),)))
            results = storage.commit(Batch(units)).results
            if not all(isinstance(result, Applied) for result in results):
                raise AssertionError("a unit was not applied")
            return watch.cost(size)

        costs = [commit() for _ in range(max(5, loops // size) + 1)]
        return Cost.median(costs[1:])


def _entry(storage: Storage, seq: int) -> Entry:
    now = storage.clock.now()
    return Entry(
        seq=seq,
        key=f"s{seq}",
        kind=EntryKind.STEP,
        name="noop",
        status=StepStatus.COMPLETED,
        generation=0,
        attempts=1,
        input_hash="0" * 32,
        output=dumps(None),
        started_at=now,
        finished_at=now,
    )


def _record(storage: Storage) -> WorkerRecord:
    now = storage.clock.now()
    return WorkerRecord(
        id=new_worker_id(),
        name="account",
        host=socket.gethostname(),
        pid=os.getpid(),
        queues=None,
        concurrency=1,
        started_at=now,
        beat=0,
        beat_at=now,
    )


# --- counting ------------------------------------------------------------------------------------


class Traces:
    """What all SQLite connections of this process do. An audit hook hears of each connection: the storage keeps its own
    to itself."""

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()
        self.open: list[sqlite3.Connection] = []
        self.listening = True
        sys.addaudithook(self._heard)  # cannot be taken back; it is deaf once nobody listens

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.listening and event == "sqlite3.connect/handle":
            (connection,) = arguments
            if isinstance(connection, sqlite3.Connection):
                self.open.append(connection)

    def begin(self) -> int:
        """Count from now on; the rows changed so far."""
        self.statements.clear()
        for connection in self.open:  # the writer among them; readers that are opened later are not heard
            connection.set_trace_callback(self._traced)
        return self.rows()

    def rows(self) -> int:
        return sum(map(_changes, self.open))

    def _traced(self, statement: str) -> None:
        words = statement.split(None, 3)
        verb = words[0]
        if verb in ("INSERT", "UPDATE", "DELETE"):
            place = statement.partition(" INTO ")[2] or statement.partition(" FROM ")[2] or statement[len(verb) :]
            verb = f"{verb} {place.split()[0]}"
        self.statements[verb] += 1


def _changes(connection: sqlite3.Connection) -> int:
    try:
        return connection.total_changes
    except sqlite3.ProgrammingError:  # a reader that was closed meanwhile; it changed nothing
        return 0


def _counts(setting: Setting) -> list[str]:
    folder = setting.below("account")
    runs = 100 if setting.quick else 1_000
    cases: list[tuple[str, int, int, Path]] = [
        (f"{chain.ROW}, 1,000 steps", 1, 1_000, flows.chain(folder, 1_000)),
        (f"{fan_out.ROW}, 1,000 steps and a sink", 1, 1_001, flows.fan_out(folder, 1_000)),
        (f"{many_runs.ROW}, {runs:,} of {many_runs.STEPS} steps", runs, many_runs.STEPS * runs, flows.chain(folder, 5)),
    ]
    lines = []
    for number_, (name, count, steps, flow) in enumerate(cases):
        lines += anyio.run(partial(_count, name, count, steps, flow, sqlite_url(folder, f"counted-{number_}.db")))
    return lines


async def _count(name: str, runs: int, steps: int, flow: Path, url: str) -> list[str]:
    traces = Traces()
    async with app_on(url) as app:
        await seconds_of(app, flow)
        rows, groups = traces.begin(), app.engine.committer.commits

        async def some(count: int) -> None:
            for _ in range(count):
                await seconds_of(app, flow)

        async with anyio.create_task_group() as starters:
            at_a_time = min(runs, many_runs.AT_A_TIME)
            for _ in range(at_a_time):
                starters.start_soon(some, runs // at_a_time)
        counted = Counter(traces.statements)
        rows, groups = traces.rows() - rows, app.engine.committer.commits - groups
    traces.listening = False
    total = sum(counted.values())
    lines = [
        f"{name}: {groups:,} group commits ({groups / steps:.3g} a step), {rows / steps:.3g} rows a step, "
        f"{total / steps:.3g} statements a step",
        "",
    ]
    lines += [f"  {statement:<40}{times:>9,}{times / steps:>9.3g} a step" for statement, times in counted.most_common()]
    return [*lines, ""]
