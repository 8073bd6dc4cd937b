"""Parallel steps and a sink: how well what ends together is written together, and whether ten times as many cost ten
times as much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio

from benchmarks import flows, limits, report
from benchmarks.limits import Sample
from benchmarks.report import Figure, Spread
from benchmarks.setting import Setting, app_on, seconds_of, sqlite_url

ROW = "fan-out"
LIMIT = "rows/s, 1,000 a commit"


def measure(setting: Setting) -> Iterator[Figure]:
    small, large = setting.sizes(1_000, 10_000)
    few, many = anyio.run(_samples, setting, [small, large], "noop", sqlite_url(setting.below(ROW)))
    yield _figure(few, f"{small:,} async steps and a sink", report.FAN_OUT_PEER, required=True)
    yield _figure(many, f"{large:,} async steps and a sink", report.FAN_OUT_10_000_PEER, required=True)
    yield Figure(
        row=ROW,
        what=f"cost of a step, {large:,} over {small:,}",
        unit="times",
        value=Spread.of([_median(few) / sample.value for sample in many]),
        required=report.SAME_COST,
    )
    (threads,) = anyio.run(_samples, setting, [small], "noop_thread", sqlite_url(setting.below(ROW), "threads.db"))
    yield _figure(threads, f"{small:,} def steps (threads) and a sink", "")
    memory = anyio.run(_samples, setting, [small, large], "noop", "memory:")
    for steps, samples in zip((small, large), memory, strict=True):
        yield _figure(samples, f"{steps:,} async steps and a sink, no disk", "")


def _median(samples: list[Sample]) -> float:
    return Spread.of([sample.value for sample in samples]).median


def _figure(samples: list[Sample], what: str, peer: str, *, required: bool = False) -> Figure:
    return limits.figure(
        samples,
        row=ROW,
        what=what,
        unit="steps/s",
        limit_is=LIMIT,
        required=report.FAN_OUT if required else None,
        peer=peer,
    )


async def _samples(setting: Setting, sizes: list[int], action: str, url: str) -> list[list[Sample]]:
    folder = setting.below(ROW)
    found = []
    async with app_on(url) as app:
        for steps in sizes:
            flow = flows.fan_out(folder, steps, action)

            async def once(steps: int = steps, flow: Path = flow) -> float:
                return (steps + 1) / await seconds_of(app, flow)

            with limits.RawSqlite(folder) as raw:
                found.append(list(await limits.interleaved(setting.repeats, once, raw.rows)))
    return found
