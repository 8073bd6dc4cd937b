"""One run of 1,000 steps, each durable before the next starts: the cost of a commit, and of what comes with it."""

from __future__ import annotations

from collections.abc import Iterator

import anyio

from benchmarks import flows, limits, report
from benchmarks.report import Figure, Required
from benchmarks.setting import Setting, app_on, seconds_of, sqlite_url

ROW = "chain"
LIMIT = "commits/s"


def measure(setting: Setting) -> Iterator[Figure]:
    folder = setting.below(ROW)
    (steps,) = setting.sizes(1_000)
    kinds = [
        ("noop", sqlite_url(folder), f"{steps:,} async steps", report.CHAIN, report.CHAIN_PEER),
        ("noop_thread", sqlite_url(folder, "threads.db"), f"{steps:,} def steps (threads)", None, ""),
        ("noop", "memory:", f"{steps:,} async steps, no disk", None, ""),
    ]
    for action, url, what, required, peer in kinds:
        yield anyio.run(_measure, setting, steps, action, url, what, required, peer)


async def _measure(
    setting: Setting, steps: int, action: str, url: str, what: str, required: Required | None, peer: str
) -> Figure:
    folder = setting.below(ROW)
    flow = flows.chain(folder, steps, action)
    async with app_on(url) as app:

        async def once() -> float:
            return steps / await seconds_of(app, flow)

        with limits.RawSqlite(folder) as raw:
            samples = await limits.interleaved(setting.repeats, once, raw.commits)
    return limits.figure(samples, row=ROW, what=what, unit="steps/s", limit_is=LIMIT, required=required, peer=peer)
