"""What steps leave behind outside of the store: a line in a file that was opened with O_APPEND, before and after they
do something. Also a module of actions, so that flows find them: `-m witness.py`.

A line is `WORD RUN KEY ATTEMPT PID`, written by one call, so lines of several processes do not mix and a killed
process leaves whole ones. The same line goes down the wire to the test, so that it need not look at the file to know
when to strike.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import anyio
import anyio.lowlevel

from trivium import NotDone, OnUnknown, StepContext, action


def say(word: str, run_id: str, key: str, attempt: int = 0) -> None:
    """Leave a line."""
    line = f"{word} {run_id} {key} {attempt} {os.getpid()}\n".encode()
    descriptor = os.open(os.environ["CRASH_WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    tell(line)


def tell(line: bytes) -> None:
    """Down the wire alone; a test that has stopped to listen misses it."""
    with contextlib.suppress(BrokenPipeError, BlockingIOError):
        os.write(int(os.environ["CRASH_WIRE"]), line)


def said(word: str, run_id: str, key: str) -> int:
    """How many such lines there are."""
    try:
        lines = Path(os.environ["CRASH_WITNESS"]).read_text().splitlines()
    except FileNotFoundError:
        return 0
    return sum(line.split()[:3] == [word, run_id, key] for line in lines)


def _begin(context: StepContext) -> None:
    say("start", context.run_id, context.step_key, context.attempt)


def _end(context: StepContext) -> None:
    say("end", context.run_id, context.step_key, context.attempt)


@action
async def add(context: StepContext, a: int, b: int = 1) -> int:
    _begin(context)
    await anyio.lowlevel.checkpoint()
    _end(context)
    return a + b


@action
async def add_slowly(context: StepContext, a: int, b: int = 1) -> int:
    _begin(context)
    await anyio.sleep(0.01)
    _end(context)
    return a + b


@action
async def blow_up(context: StepContext, value: int) -> list[str]:
    """Something that is too large to be kept in place."""
    _begin(context)
    _end(context)
    return [f"{value}" * 1000] * 100


@action
def add_in_thread(context: StepContext, a: int, b: int = 1) -> int:
    _begin(context)
    _end(context)
    return a + b


@action
async def total(context: StepContext, values: list[int]) -> int:
    _begin(context)
    _end(context)
    return sum(values)


@action
async def third_time_lucky(context: StepContext, a: int) -> int:
    _begin(context)
    if context.attempt < 3:
        raise OSError(f"attempt {context.attempt} was not lucky")
    _end(context)
    return a * 10


@action
async def hand_out(context: StepContext, value: int) -> str:
    """Starts a run with its own commit."""
    _begin(context)
    run_id = context.start("tree:twig", {"value": value})
    _end(context)
    return f"handed out {value}" if run_id else ""


# --- actions that a test strikes at ---------------------------------------------------------------


@action
def at_gate(context: StepContext, gate: str, value: int) -> int:
    """Waits in its thread until the test opens the gate, which is a FIFO."""
    _begin(context)
    os.close(os.open(gate, os.O_RDONLY))
    _end(context)
    return value


@action
async def linger(context: StepContext, value: int) -> int:
    """Never ends the first time, and at once the second."""
    _begin(context)
    if said("start", context.run_id, context.step_key) == 1:
        await anyio.sleep_forever()
    _end(context)
    return value


@action
async def leave_orphan(context: StepContext, value: int, gate: str) -> int:
    """As `linger`, with a process of its own that outlives the worker's, and waits at a gate."""
    _begin(context)
    if said("start", context.run_id, context.step_key) == 1:
        if os.fork() == 0:
            os.close(int(os.environ["CRASH_WIRE"]))
            os.close(os.open(gate, os.O_RDONLY))
            os._exit(0)
        tell(b"orphan\n")
        await anyio.sleep_forever()
    _end(context)
    return value


@action
async def kill_worker(context: StepContext) -> None:
    _begin(context)
    os.kill(os.getpid(), signal.SIGKILL)


@action
async def kill_worker_late(context: StepContext) -> None:
    """After its start was written down, as that of a step which takes a while is."""
    _begin(context)
    await anyio.sleep(0.6)
    os.kill(os.getpid(), signal.SIGKILL)


@action
async def kill_worker_in_effect(context: StepContext) -> None:
    """In an effect that certainly did not happen, so that it is tried again each time."""
    _begin(context)

    def transfer() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def verify() -> None:
        raise NotDone

    await context.once("transfer", transfer, verify=verify)


@action(delivery="at_most_once")
async def linger_at_most_once(context: StepContext, value: int) -> int:
    _begin(context)
    await anyio.sleep_forever()
    return value


@action
async def pay(context: StepContext, amount: int, die: bool = False) -> str:
    """Has an effect that must not be repeated, and may die right behind it."""
    _begin(context)

    async def transfer() -> str:
        say("effect", context.run_id, context.step_key)
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"paid {amount}"

    async def verify() -> str:
        say("verify", context.run_id, context.step_key)
        if not said("effect", context.run_id, context.step_key):
            raise NotDone
        return f"paid {amount}"

    receipt: str = await context.once("transfer", transfer, verify=verify)
    _end(context)
    return receipt


@action
async def pay_blindly(context: StepContext, amount: int) -> str:
    """As `pay`, where nobody can find out."""
    _begin(context)

    async def transfer() -> str:
        say("effect", context.run_id, context.step_key)
        os.kill(os.getpid(), signal.SIGKILL)
        return f"paid {amount}"

    return await context.once("transfer", transfer, on_unknown=OnUnknown.FAIL)
