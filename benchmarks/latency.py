"""Start to done of a one-step run that another process drives, and what that process costs while nothing is to do.

This process is a client: it starts a run on the file and waits for its end. A `trivium worker` on the same file, idle
until then, claims and drives it. Between two runs there is a pause, so that each meets an idle system.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anyio

from benchmarks import flows, limits, report
from benchmarks.report import Figure, Spread
from benchmarks.setting import (
    ACTIONS,
    Setting,
    app_on,
    killed_at_last,
    must_succeed,
    seconds_of,
    sqlite_url,
    start,
    trivium,
)

ROW = "latency"
PAUSE = 0.02
UNMEASURED = 20
"""Runs before those that count: the worker compiles the flow at its first."""


def measure(setting: Setting) -> Iterator[Figure]:
    folder = setting.below(ROW)
    url = sqlite_url(folder)
    worker = start(trivium("worker", "-m", ACTIONS, "--store", url), folder=folder)
    with killed_at_last(worker):
        taken, least = anyio.run(_latencies, setting, url)
        p50, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
        limit = statistics.median(least)
        what = "one-step run, started in another process, idle system"
        yield Figure(
            row=ROW,
            what=f"{what}: p50",
            unit="ms",
            value=Spread(p50, min(taken), max(taken)),
            limit=limit,
            limit_is="2 commits, 2 datagrams",
            ratio=p50 / limit,
            required=report.LATENCY,
            peer=report.LATENCY_PEER,
        )
        yield Figure(
            row=ROW,
            what=f"{what}: p95",
            unit="ms",
            value=Spread.of([p95]),
            limit=statistics.quantiles(least, n=20)[-1],
            limit_is="2 commits, 2 datagrams",
        )
        share = _idle_share(worker, 3.0 if setting.quick else 12.0)
        yield Figure(row=ROW, what="idle worker", unit="% of a core", value=Spread.of([share]), required=report.IDLE)
        worker.send_signal(signal.SIGTERM)
        must_succeed(worker, folder)


async def _latencies(setting: Setting, url: str) -> tuple[list[float], list[float]]:
    """Milliseconds of runs, and of bare round trips in between."""
    folder = setting.below(ROW)
    flow = flows.chain(folder, 1)
    taken, least = [], []
    with limits.round_trips(folder) as round_trip:
        async with app_on(url, worker=False) as app:
            for number in range(UNMEASURED + 40 * setting.repeats):
                await anyio.sleep(PAUSE)
                seconds = await seconds_of(app, flow)
                bare = round_trip()
                if number >= UNMEASURED:
                    taken.append(seconds * 1_000)
                    least.append(bare * 1_000)
    return taken, least


def _idle_share(process: subprocess.Popen[bytes], seconds: float) -> float:
    """Percent of one core that a process uses over so many seconds in which nobody asks it for anything."""
    time.sleep(1)
    before, started = _cpu_seconds(process.pid), time.perf_counter()
    time.sleep(seconds)
    return 100 * (_cpu_seconds(process.pid) - before) / (time.perf_counter() - started)


def _cpu_seconds(pid: int) -> float:
    """Time on a core of all threads of a process (Linux). Not from /proc/PID/stat: its ticks are too coarse for one
    that wakes once a second."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
