"""From the start of a process to its end: what somebody at a shell waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import flows, limits, report
from benchmarks.limits import Sample
from benchmarks.report import Figure
from benchmarks.setting import ACTIONS, Setting, killed_at_last, must_succeed, sqlite_url, start, trivium

ROW = "cold"


def measure(setting: Setting) -> Iterator[Figure]:
    folder = setting.below(ROW)
    flow = flows.chain(folder, 3)
    stores = (f"store-{number}.db" for number in range(1_000))  # each run makes its store: the first one ever does

    def run() -> list[str]:
        return trivium("run", str(flow), "-m", ACTIONS, "--store", sqlite_url(folder, next(stores)))

    cases = [
        ("three-step flow, process start to end", run, report.COLD_RUN, report.COLD_RUN_PEER),
        ("`trivium --help`", lambda: trivium("--help"), report.COLD_HELP, ""),
    ]
    for what, command, required, peer in cases:
        yield limits.figure(
            _samples(setting, folder, command),
            row=ROW,
            what=what,
            unit="s",
            limit_is="bare interpreter",
            required=required,
            peer=peer,
        )


def _samples(setting: Setting, folder: Path, command: Callable[[], list[str]]) -> list[Sample]:
    _seconds(command(), folder)  # compiles what is not compiled yet
    found = []
    before = limits.interpreter()
    for _ in range(setting.repeats):
        value = _seconds(command(), folder)
        after = limits.interpreter()
        found.append(Sample(value, (before + after) / 2))
        before = after
    return found


def _seconds(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    process = start(command, folder=folder)
    with killed_at_last(process):
        must_succeed(process, folder)
        return time.perf_counter() - started
