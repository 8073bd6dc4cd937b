"""kill -9 at step 500 of 1,000, then a new process: how long until the first resumed step, and what runs a second time.

The step itself writes down when it began, on the clock that all processes of a machine share. At step 500 it stands
still, so that exactly one step is in flight when the SIGKILL comes. Two ways to go on: `trivium runs resume`, and a
`trivium worker` that finds the run of a dead one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from benchmarks import flows, limits, report
from benchmarks.actions import LOG, STOP_AT
from benchmarks.limits import Sample
from benchmarks.report import Figure
from benchmarks.setting import ACTIONS, Setting, app_on, killed_at_last, must_succeed, sqlite_url, start, trivium

ROW = "kill and resume"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A line of the log: a step began."""

    step: str
    at: int
    """Nanoseconds of the monotonic clock."""
    pid: int


def measure(setting: Setting) -> Iterator[Figure]:
    (steps,) = setting.sizes(1_000)
    what = f"kill -9 at step {steps // 2:,} of {steps:,}"
    with_command = [_resumed(setting, steps, number, by_worker=False) for number in range(setting.repeats)]
    yield limits.figure(
        with_command,
        row=ROW,
        what=f"{what}, then `trivium runs resume`: process start to first step",
        unit="s",
        limit_is="bare interpreter",
        required=report.RESUME,
        peer=report.RESUME_PEER,
    )
    with_worker = [_resumed(setting, steps, number, by_worker=True) for number in range(setting.repeats)]
    yield limits.figure(
        with_worker,
        row=ROW,
        what=f"{what}, then `trivium worker`: process start to first step",
        unit="s",
        limit_is="bare interpreter",
        required=report.RESUME,
        peer=report.RESUME_PEER,
    )


def _resumed(setting: Setting, steps: int, number: int, *, by_worker: bool) -> Sample:
    """One crash and what follows; checks that only the step in flight ran again, and that the run completed."""
    folder = setting.below(f"resume-{'worker' if by_worker else 'command'}-{number}")
    flow = flows.chain(folder, steps, "mark")
    url, log, victim = sqlite_url(folder), folder / "log.txt", f"s{steps // 2}"
    shared = ["-m", ACTIONS, "--store", url]

    first = start(trivium("run", str(flow), *shared), folder=folder, more={LOG: str(log), STOP_AT: victim})
    with killed_at_last(first):
        _wait_for(log, first, folder, lambda begun: begun[-1].step == victim)
        first.send_signal(signal.SIGKILL)
        first.wait()

    before = limits.interpreter()
    run_id = anyio.run(_only_run, url)
    words = ["worker"] if by_worker else ["runs", "resume", run_id]
    started = time.monotonic_ns()
    second = start(trivium(*words, *shared), folder=folder, more={LOG: str(log)})
    with killed_at_last(second):
        begun = _wait_for(log, second, folder, lambda begun: begun[-1].step == f"s{steps - 1}")
        if by_worker:
            anyio.run(_ended, url, run_id)
            second.send_signal(signal.SIGTERM)
        must_succeed(second, folder)
    after = limits.interpreter()

    expected = [f"s{number}" for number in range(steps)]
    expected.insert(steps // 2, victim)
    if [one.step for one in begun] != expected:
        raise AssertionError(f"not only {victim} ran again: {json.dumps([one.step for one in begun])}")
    resumed = next(one for one in begun if one.pid != begun[0].pid)
    return Sample((resumed.at - started) / 1e9, (before + after) / 2)


def _wait_for(
    log: Path, process: subprocess.Popen[bytes], folder: Path, enough: Callable[[list[Begun]], bool]
) -> list[Begun]:
    """The log, once there is enough in it."""
    deadline = time.monotonic() + PATIENCE
    while not (begun := _read(log)) or not enough(begun):
        if process.poll() is not None:
            begun = _read(log)  # the last line may have come between the look and the end
            if begun and enough(begun):
                break
            must_succeed(process, folder)
            raise RuntimeError("the process ended before it came so far")
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing more after {len(begun)} steps")
        time.sleep(0.005)
    return begun


def _read(log: Path) -> list[Begun]:
    if not log.exists():
        return []
    written = log.read_text()
    words = [line.split() for line in written[: written.rfind("\n") + 1].splitlines()]  # the last may be half there
    return [Begun(step, int(at), int(pid)) for step, at, pid in words]


async def _only_run(url: str) -> str:
    async with app_on(url, worker=False) as app:
        (run,) = await app.runs()
        return run.id


async def _ended(url: str, run_id: str) -> None:
    async with app_on(url, worker=False) as app:
        await (await app.get(run_id)).result()
