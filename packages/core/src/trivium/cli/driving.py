"""Driving a run to its end in this process: what `run`, `runs resume` and `runs retry` share.

The first Ctrl-C (or SIGTERM) lets the steps under way finish and hands the run back; the second leaves at once, which
is as safe: what was committed is durable, what was not runs again.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import redirect_stdout

import anyio
import anyio.to_thread

from trivium.app import RunHandle, Snapshot, Trivium
from trivium.cli.exits import FAILED, INTERRUPTED, TERMINATED, fail, say
from trivium.cli.output import print_json
from trivium.cli.progress import Watcher
from trivium.cli.session import Session
from trivium.cli.shapes import run_object
from trivium.clock import Micros
from trivium.errors import Conflict, UsageError
from trivium.graph.captions import duration
from trivium.json import loads
from trivium.model.states import RunStatus

Begin = Callable[[Trivium, Watcher], Awaitable[tuple[RunHandle, bool]]]
"""Starts the run, or finds it (then True) and has it driven."""


def drive(session: Session, begin: Begin, watch: Callable[[], Watcher], *, json: bool) -> int:
    """Drive a run to its end, tell what happens, print its outputs; the exit code."""
    return anyio.run(_drive, session, begin, watch, json)


async def _drive(session: Session, begin: Begin, watch: Callable[[], Watcher], json: bool) -> int:
    watcher = watch()
    data = sys.stdout
    with redirect_stdout(sys.stderr):  # what modules and actions print must not get between the data
        async with session.app(only_started=True, observers=[watcher] if watcher.listens else []) as app:
            # From before the run begins: its first step may be under way before this task goes on.
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                handle, found = await begin(app, watcher)
                with watcher:
                    code = await _to_the_end(app, handle, watcher, signals, found=found)
                    snapshot = await handle.snapshot()
                    watcher.catch_up(snapshot.run, snapshot.entries)
            if snapshot.run.status.terminal:
                with redirect_stdout(data):
                    return conclude(snapshot, json=json)
    say(f"run {handle.id} stands where it was; go on with: trivium runs resume {handle.id}")
    return code


async def take_up(app: Trivium, handle: RunHandle, watcher: Watcher, *, retry: bool = False) -> None:
    """Have a run driven that was found: what it did before is no news."""
    before = await handle.snapshot()
    watcher.know(before.run, before.entries)
    if before.run.status.terminal and not retry:
        return
    definition = await anyio.to_thread.run_sync(app.storage.definition, before.run.definition_id)
    if definition is not None:
        check_needs(app, definition.needs)
    if retry:
        await handle.retry()
    await app.drive(handle.id)


async def _to_the_end(
    app: Trivium, handle: RunHandle, watcher: Watcher, signals: AsyncIterator[signal.Signals], *, found: bool
) -> int:
    """Returns when the run has ended or a signal stopped us; then with its exit code."""
    code = 0
    async with anyio.create_task_group() as tasks:

        async def stop_on_signal() -> None:
            nonlocal code
            async for number in signals:
                if code:
                    leave(code)
                code = INTERRUPTED if number == signal.SIGINT else TERMINATED
                say("stopping: the steps under way may finish; Ctrl-C again leaves at once")
                tasks.start_soon(stop)

        async def stop() -> None:
            await app.stop()
            tasks.cancel_scope.cancel()

        async def follow() -> None:
            async for event in handle.events():
                watcher(event)

        tasks.start_soon(stop_on_signal)
        if found and watcher.listens:  # it may be driven elsewhere; what is driven here comes to the observer by itself
            await follow()
        try:
            await handle.wait()
        except Conflict:  # the app was stopped by a signal
            if not code:
                raise
        tasks.cancel_scope.cancel()
    return code


def leave(code: int) -> None:
    """Out, now: no thread, no step and no handler is waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def conclude(snapshot: Snapshot, *, json: bool) -> int:
    """Print a run that has ended; the exit code."""
    run = snapshot.run
    if json:
        print_json(run_object(run, snapshot.entries))
    if run.status is RunStatus.COMPLETED:
        took = ""
        if run.finished_at is not None and run.first_claimed_at is not None:
            took = f" in {duration(Micros(run.finished_at - run.first_claimed_at))}"
        if not json:
            say(f"run {run.id} completed{took}")
            print_json(None if run.output is None else loads(run.output))
        return 0
    error = run.error
    if error is None:
        return fail(f"run {run.id} is {run.status}", code=FAILED)
    return fail(error.message, label=f"error {error.code}", code=FAILED, hint=f"trivium runs show {run.id}")


def check_needs(app: Trivium, needs: frozenset[str]) -> None:
    """Refuse to wait for what would never happen: a run whose actions or driver this process does not have.

    :raises UsageError:
    """
    offers = {f"driver:{driver.kind}" for driver in app.plugins.drivers}
    offers |= {f"action:{name}" for name in app.registry.action_names()}
    missing = sorted(needs - offers)
    if missing:
        kinds = ", ".join(f"{kind} {name!r}" for kind, _, name in (need.partition(":") for need in missing))
        raise UsageError(
            f"the run needs what is not loaded here: {kinds}",
            hint="name its module with -m, or leave it to a worker with --detach",
        )
