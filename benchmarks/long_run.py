"""Runs of 10,000 and 100,000 steps, each in a process of its own, so that its peak memory is known.

A chain has the most commits, a fan-out the most at once. Linear means: a step of the longer run costs what one of the
shorter costs, in processor time and in memory above that of the idle process. Reading the file counts, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio

from benchmarks import flows, report
from benchmarks.report import Figure, Spread
from benchmarks.setting import Setting, app_on, killed_at_last, must_succeed, seconds_of, sqlite_url, start

ROW = "long run"
SHAPES = {"chain": flows.chain, "fan-out": flows.fan_out}
MB = 1_000_000


def measure(setting: Setting) -> Iterator[Figure]:
    short, long = setting.sizes(10_000, 100_000)
    for shape in SHAPES:
        few, many = (_in_child(setting, shape, steps) for steps in (short, long))
        yield _one(f"{shape} of {short:,} steps, whole process: peak memory", "MB", few["peak"] / MB, report.MEMORY)
        yield _one(f"{shape} of {long:,} steps, whole process: peak memory", "MB", many["peak"] / MB)
        yield _one(f"{shape} of {long:,} steps: reading the file", "s", many["read"])
        yield _one(f"{shape} of {long:,} steps: start to done", "s", many["run"])
        yield _one(f"{shape} of {long:,} steps", "steps/s", long / many["run"])
        cpu_of = [one["cpu"] / steps for one, steps in ((few, short), (many, long))]
        memory_of = [(one["peak"] - one["idle"]) / steps for one, steps in ((few, short), (many, long))]
        over = f"a step of {long:,} over one of {short:,}"
        yield _one(f"{shape}: processor time of {over}", "times", cpu_of[1] / cpu_of[0], report.LINEAR)
        yield _one(f"{shape}: memory of {over}", "times", memory_of[1] / memory_of[0], report.LINEAR)


def _one(what: str, unit: str, value: float, required: report.Required | None = None) -> Figure:
    return Figure(row=ROW, what=what, unit=unit, value=Spread.of([value]), required=required)


def _in_child(setting: Setting, shape: str, steps: int) -> Mapping[str, float]:
    folder = setting.below(f"long-{shape}-{steps}")
    child = start([sys.executable, "-m", "benchmarks.long_run", shape, str(steps), str(folder)], folder=folder)
    with killed_at_last(child):
        must_succeed(child, folder, timeout=1_200)
    found: Mapping[str, float] = json.loads((folder / "stdout.txt").read_text())
    return found


# --- in the child --------------------------------------------------------------------------------


async def _run(shape: str, steps: int, folder: Path) -> Mapping[str, float]:
    flow = SHAPES[shape](folder, steps)
    warm_up = flows.chain(folder, 3)
    async with app_on(sqlite_url(folder)) as app:
        await seconds_of(app, warm_up)
        idle = _memory("VmHWM")
        cpu, started = time.process_time(), time.perf_counter()
        app.prepare(str(flow))
        read = time.perf_counter() - started
        run = await seconds_of(app, flow)
        cpu = time.process_time() - cpu
    return {"read": read, "run": run, "cpu": cpu, "idle": idle, "peak": _memory("VmHWM")}


def _memory(field: str) -> int:
    """Bytes, from /proc (Linux). Not `ru_maxrss`: that of a child starts at what its parent had."""
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


if __name__ == "__main__":
    print(json.dumps(anyio.run(_run, sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
