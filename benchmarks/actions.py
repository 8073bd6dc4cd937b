"""The actions of the benchmarks: they do nothing, so that what is measured is ours."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio

from trivium import StepContext, action

LOG = "BENCHMARK_LOG"
"""Environment: the file that `mark` writes to."""
STOP_AT = "BENCHMARK_STOP_AT"
"""Environment: the step at which `mark` stands still, until somebody kills it."""


@action
async def noop() -> None:
    return None


@action
def noop_thread() -> None:
    return None


@action
async def mark(context: StepContext) -> None:
    """Write down that the step began, and when, in one `write`, which a SIGKILL cannot cut in two."""
    line = f"{context.step_key} {time.monotonic_ns()} {os.getpid()}\n"
    file = os.open(Path(os.environ[LOG]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
    if context.step_key == os.environ.get(STOP_AT):
        await anyio.sleep_forever()
