"""`trivium runs`: look at runs and operate them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli.exits import say
from trivium.cli.inputs import json_or_text
from trivium.cli.options import Detach, Json, Modules, RunId, Store, epilog, new_app
from trivium.cli.output import print_json, print_table
from trivium.cli.session import Session, find_run
from trivium.errors import ConfigError, NotFound
from trivium.model.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trivium.app import RunHandle, Trivium
    from trivium.cli.progress import Watcher

app = new_app(
    "trivium runs list --status failed --status cancelled",
    "trivium runs show 0192f0c1",
    "trivium runs resume 0192f0c1 -m actions.py",
    "trivium runs signal 0192f0c1 paid '{\"amount\": 12}'",
    group="List, show, resume, cancel, retry and signal runs.",
)


@app.command(
    "list", epilog=epilog("trivium runs list", "trivium runs list --status failed --json | jq -r '.[].run_id'")
)
def list_(
    status: Annotated[list[str] | None, typer.Option("--status", help="Only runs in this state; repeatable.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only runs of this kind, like flow.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only runs of this name.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only runs that were started with this key.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Only runs with this label; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    before: Annotated[
        str | None, typer.Option("--before", metavar="RUN", help="Only runs older than this one: the next page.")
    ] = None,
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    from trivium.cli.shapes import run_summary
    from trivium.cli.tables import RUN_COLUMNS, run_row
    from trivium.storage.port import RunFilter

    with Session(store=store, modules=module).storage() as storage:
        found = storage.runs(
            RunFilter(
                statuses=frozenset(map(_status, status)) if status else None,
                kind=kind,
                name=name,
                key=key,
                labels=dict(_pair(one) for one in label) if label else None,
                limit=limit,
                before=find_run(storage, before) if before is not None else None,
            )
        )
        now = storage.clock.now()
    if json:
        print_json([run_summary(run) for run in found])
    else:
        print_table(RUN_COLUMNS, [run_row(run, now) for run in found], empty="no runs")


@app.command(epilog=epilog("trivium runs show 0192f0c1", "trivium runs show 0192f0c1 --json | jq .steps"))
def show(run: RunId, store: Store = None, module: Modules = None, json: Json = False) -> None:
    """Everything about one run: its steps, its history, and why it does not go on."""
    from trivium.cli.shapes import run_details
    from trivium.cli.tables import print_run
    from trivium.cli.waiting import why_queued

    with Session(store=store, modules=module).storage() as storage:
        run_id = find_run(storage, run)
        found = storage.run(run_id)
        if found is None:  # pruned since
            raise NotFound("run", run_id)
        entries, notes = storage.entries(run_id), storage.notes(run_id)
        reason = why_queued(found, storage.definition(found.definition_id), storage.workers())
        now = storage.clock.now()
    if json:
        print_json(run_details(found, entries, notes))
    else:
        print_run(found, entries, notes, reason, now)


@app.command(epilog=epilog("trivium runs resume 0192f0c1 -m actions.py"))
def resume(run: RunId, detach: Detach = False, store: Store = None, module: Modules = None, json: Json = False) -> None:
    """Go on with a run that was interrupted, to its end. One that has ended is only shown."""

    async def leave(app: Trivium, handle: RunHandle) -> None:
        _print_left(handle.id, str(await handle.status()), json=json)

    session = Session(store=store, modules=module)
    _ask(session, run, leave) if detach else _drive(session, run, retry=False, json=json)


@app.command(epilog=epilog("trivium runs retry 0192f0c1 -m actions.py"))
def retry(run: RunId, detach: Detach = False, store: Store = None, module: Modules = None, json: Json = False) -> None:
    """Try a failed or cancelled run again, from where it failed: what completed is kept."""

    async def leave(app: Trivium, handle: RunHandle) -> None:
        await handle.retry()
        _print_left(handle.id, str(await handle.status()), json=json)

    session = Session(store=store, modules=module)
    _ask(session, run, leave) if detach else _drive(session, run, retry=True, json=json)


@app.command(epilog=epilog("trivium runs cancel 0192f0c1 --reason 'wrong month'"))
def cancel(
    run: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Why, for its history.")] = "cancelled by request",
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """Cancel a run and the runs that it started. One that is driven ends a moment later."""

    async def ask(app: Trivium, handle: RunHandle) -> None:
        await _bury_owner(app, handle)
        status = await handle.cancel(reason)
        if json:
            print_json({"run_id": handle.id, "status": str(status)})
        else:
            say(f"run {handle.id} " + ("is cancelled" if status.terminal else "is asked to stop"))

    _ask(Session(store=store, modules=module), run, ask)


@app.command(
    epilog=epilog("trivium runs signal 0192f0c1 paid '{\"amount\": 12}'", "trivium runs signal 0192f0c1 go --id once")
)
def signal(
    run: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    payload: Annotated[str, typer.Argument(metavar="[JSON]", help="Its value: JSON, or plain text.")] = "null",
    id: Annotated[
        str | None, typer.Option("--id", help="A second signal of the same id is accepted and dropped.")
    ] = None,
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """Signal a run. It is kept until the run waits for it."""

    async def ask(app: Trivium, handle: RunHandle) -> None:
        await handle.signal(name, json_or_text(payload), id=id)
        if json:
            print_json({"run_id": handle.id, "signal": name})
        else:
            say(f"run {handle.id} has signal {name!r}")

    _ask(Session(store=store, modules=module), run, ask)


def _drive(session: Session, run: str, *, retry: bool, json: bool) -> None:
    from trivium.cli.driving import drive, take_up
    from trivium.cli.progress import watcher

    async def begin(app: Trivium, watcher: Watcher) -> tuple[RunHandle, bool]:
        handle = await app.get(run)
        await take_up(app, handle, watcher, retry=retry)
        return handle, True

    raise typer.Exit(drive(session, begin, lambda: watcher(f"run {run}", quiet=json), json=json))


def _ask(session: Session, run: str, ask: Callable[[Trivium, RunHandle], Awaitable[None]]) -> None:
    """Do something with one run, as a client: nothing is driven, no action is needed."""
    import anyio

    async def main() -> None:
        async with session.client() as app:
            await ask(app, await app.get(run))

    anyio.run(main)


async def _bury_owner(app: Trivium, handle: RunHandle) -> None:
    """Hand the runs of this run's worker back if it is known to be dead: else nobody would be there to see the
    request."""
    import anyio.to_thread

    owner = (await handle.run()).owner
    for worker in await app.workers():
        if worker.id == owner and worker.gone:
            await anyio.to_thread.run_sync(app.storage.bury, worker.id, worker.beat)


def _print_left(run_id: str, status: str, *, json: bool) -> None:
    """What `--detach` prints."""
    if json:
        print_json({"run_id": run_id, "status": status})
    else:
        print(run_id)


def _status(word: str) -> RunStatus:
    try:
        return RunStatus(word)
    except ValueError:
        raise ConfigError(f"{word!r} is no state of a run", hint="give one of " + ", ".join(RunStatus)) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--label {text!r} is not KEY=VALUE")
    return name, value
