"""The built-in commands: the table behind `trivium --help`, plugged in like anybody else's."""

from __future__ import annotations

from collections.abc import Sequence

from trivium.hooks import Command, hookimpl

RUN, OPERATE, LOOK = "Run", "Operate", "Look"

BUILT_IN: Sequence[Command] = [
    Command(name="run", target="trivium.cli.run:app", summary="Run a flow to its end.", panel=RUN),
    Command(
        name="worker", target="trivium.cli.worker:app", summary="Claim and drive runs until told to stop.", panel=RUN
    ),
    Command(
        name="runs",
        target="trivium.cli.runs:app",
        summary="List, show, resume, cancel, retry and signal runs.",
        panel=OPERATE,
    ),
    Command(name="workers", target="trivium.cli.workers:app", summary="Who is alive, and drives what.", panel=OPERATE),
    Command(name="store", target="trivium.cli.store:app", summary="Prune finished runs.", panel=OPERATE),
    Command(name="graph", target="trivium.cli.graph:app", summary="Picture of a flow or of a run.", panel=LOOK),
    Command(name="lint", target="trivium.cli.lint:app", summary="Every problem of flow files.", panel=LOOK),
    Command(name="actions", target="trivium.cli.actions:app", summary="Which actions are known.", panel=LOOK),
    Command(name="plugins", target="trivium.cli.plugins:app", summary="What is plugged in.", panel=LOOK),
]


@hookimpl
def trivium_commands() -> Sequence[Command]:
    return BUILT_IN
