"""`trivium worker`."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli.exits import say
from trivium.cli.options import Modules, Store, epilog, new_app
from trivium.cli.session import Session

if TYPE_CHECKING:
    from trivium.model.events import Event

app = new_app()


@app.command(
    epilog=epilog(
        "trivium worker -m actions.py",
        "trivium worker -m shop.actions --queue mail --queue default --concurrency 20 --name mail-1",
    )
)
def worker(
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency", min=1, help="Runs driven at once; one that only waits does not count. [default: 100]"
        ),
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", help="Take runs of this queue only; repeatable. [default: all]")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What it is called in `trivium workers list`. [default: HOST-PID]")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="A line for each run that is claimed, waits or ends.")
    ] = False,
    store: Store = None,
    module: Modules = None,
) -> None:
    """Claim and drive runs until told to stop.

    SIGTERM and Ctrl-C drain it: steps under way may finish, unfinished runs are handed back for others. A second one
    leaves at once; whatever was not committed runs again elsewhere. Runs of workers that died are taken over.
    """
    import anyio

    session = Session(store=store, modules=module, concurrency=concurrency, queues=queue)
    raise typer.Exit(anyio.run(_work, session, name or _own_name(), verbose))


async def _work(session: Session, name: str, verbose: bool) -> int:
    import anyio

    from trivium.cli.driving import leave
    from trivium.storage.open import redacted

    settings = session.settings
    async with session.app(only_started=False, name=name, observers=[_tell] if verbose else []) as app:
        stopping = anyio.Event()
        # Before anything is said or begun: whoever sees it may want to stop it.
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            actions = len(app.registry.action_names())
            queues = "all queues" if settings.queues is None else f"queues {', '.join(settings.queues)}"
            say(f"worker {name} serves {queues} of {redacted(settings.store)} with {actions} actions")
            if not actions:
                say("  it knows no actions, so it drives no flows: name a module with -m")
            async with anyio.create_task_group() as tasks:

                async def stop() -> None:
                    await app.stop()
                    tasks.cancel_scope.cancel()

                async for _ in signals:
                    if stopping.is_set():
                        leave(1)
                    stopping.set()
                    say("stopping: the steps under way may finish; once more leaves at once")
                    tasks.start_soon(stop)
    say(f"worker {name} stopped")
    return 0


def _tell(event: Event) -> None:
    from trivium.model.events import RunClaimed, RunEnded, RunParked

    match event:
        case RunClaimed():
            say(f"{event.run_id}  {event.kind}:{event.name}  claimed")
        case RunParked():
            say(f"{event.run_id}  waits: {event.reason}")
        case RunEnded():
            why = f"  {event.error.code} {event.error.message.partition(chr(10))[0]}" if event.error is not None else ""
            say(f"{event.run_id}  {event.kind}:{event.name}  {event.status}{why}")
        case _:
            pass


def _own_name() -> str:
    import os
    import socket

    return f"{socket.gethostname()}-{os.getpid()}"
