"""1,000 runs of five steps, a hundred at a time: starts, ends and steps of many runs in common commits."""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio

from benchmarks import flows, limits, report
from benchmarks.report import Figure
from benchmarks.setting import Setting, app_on, seconds_of, sqlite_url

ROW = "many runs"
STEPS = 5
AT_A_TIME = 100
ROWS = STEPS + 2
"""Rows that a run costs at least: its own, written at its start and at its end, and one for each step."""


def measure(setting: Setting) -> Iterator[Figure]:
    (runs,) = setting.sizes(1_000)
    what = f"{runs:,} runs of {STEPS} steps, {AT_A_TIME} at a time"
    yield anyio.run(_measure, setting, runs, sqlite_url(setting.below(ROW)), what, True)
    yield anyio.run(_measure, setting, runs, "memory:", f"{what}, no disk", False)


async def _measure(setting: Setting, runs: int, url: str, what: str, required: bool) -> Figure:
    folder = setting.below(ROW)
    flow = flows.chain(folder, STEPS)
    async with app_on(url) as app:

        async def starter() -> None:
            for _ in range(runs // AT_A_TIME):
                await seconds_of(app, flow)

        async def once() -> float:
            started = time.perf_counter()
            async with anyio.create_task_group() as starters:
                for _ in range(AT_A_TIME):
                    starters.start_soon(starter)
            return runs / (time.perf_counter() - started)

        with limits.RawSqlite(folder) as raw:
            samples = await limits.interleaved(setting.repeats, once, lambda: raw.rows() / ROWS)
    return limits.figure(
        samples,
        row=ROW,
        what=what,
        unit="runs/s",
        limit_is=f"rows/s / {ROWS}",
        required=report.MANY_RUNS if required else None,
        peer=report.MANY_RUNS_PEER if required else "",
    )
