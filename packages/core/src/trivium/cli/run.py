"""`trivium run`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli.exits import say
from trivium.cli.inputs import collect_inputs
from trivium.cli.options import Detach, Inputs, InputsFile, Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json
from trivium.cli.session import Session
from trivium.errors import UsageError
from trivium.json import JsonValue

if TYPE_CHECKING:
    from trivium.app import RunHandle, Trivium
    from trivium.cli.progress import Watcher

app = new_app()


@app.command(
    epilog=epilog(
        "trivium run pipeline.yaml -m actions.py -i num1=10 -i num2=20",
        "trivium run pipeline.yaml --inputs inputs.json --json | jq .outputs",
        "trivium run pipeline.yaml --key 2026-11     # once for this key, however often it is called",
        "trivium run pipeline.yaml --detach          # only accept it: a worker will drive it",
    )
)
def run(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A flow file, or KIND:NAME.")],
    input: Inputs = None,
    inputs: InputsFile = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Of this target, one run for each key: a second start finds the first.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="The queue that it waits in. [default: default]")] = None,
    priority: Annotated[int, typer.Option("--priority", help="Higher is claimed first.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label to find it by; repeatable.")
    ] = None,
    detach: Detach = False,
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """Run a flow to its end, and print its outputs.

    Progress goes to stderr, the outputs go to stdout as JSON. Ctrl-C lets the steps under way finish and leaves the run
    where it stands, for `trivium runs resume`; a second Ctrl-C leaves at once, which loses nothing either.
    """
    session = Session(store=store, modules=module)
    given = collect_inputs(input, inputs)
    labels = _labels(label or ())

    if detach:
        _start(session, target, given, key, queue, priority, labels, json=json)
        return
    from trivium.cli.driving import drive, take_up
    from trivium.cli.progress import watcher

    async def begin(app: Trivium, watcher: Watcher) -> tuple[RunHandle, bool]:
        handle = await app.start(target, given, key=key, queue=queue, priority=priority, labels=labels)
        if handle.existed:
            await take_up(app, handle, watcher)  # before anything is said: what happens from now on is told
        if not json or sys.stderr.isatty():
            say(f"run {handle.id} {'found by its key' if handle.existed else 'started'}")
        return handle, handle.existed

    raise typer.Exit(drive(session, begin, lambda: watcher(target, quiet=json), json=json))


def _start(
    session: Session,
    target: str,
    inputs: JsonValue,
    key: str | None,
    queue: str | None,
    priority: int,
    labels: dict[str, str],
    *,
    json: bool,
) -> None:
    import anyio

    from trivium.cli.shapes import run_object

    async def start() -> None:
        async with session.client(starts=True) as app:
            handle = await app.start(target, inputs, key=key, queue=queue, priority=priority, labels=labels)
            if json:
                snapshot = await handle.snapshot()
                print_json(run_object(snapshot.run, snapshot.entries))
            else:
                print(handle.id)

    anyio.run(start)


def _labels(pairs: list[str] | tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--label {pair!r} is not KEY=VALUE")
        found[name] = value
    return found
