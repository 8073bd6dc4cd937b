"""The built-in commands, plugged in like anybody else's."""

from __future__ import annotations

from collections.abc import Sequence

from trivium.hooks import Command, hookimpl

RUN, LOOK = "Run", "Look"


@hookimpl
def trivium_commands() -> Sequence[Command]:
    return [
        Command(name="run", target="trivium.cli.run:run", summary="Run a flow or an agent to its end.", panel=RUN),
        Command(name="runs", target="trivium.cli.runs:app", summary="List and operate runs.", panel=RUN),
        Command(name="worker", target="trivium.cli.worker:worker", summary="Claim and drive runs until told to stop.", panel=RUN),
    ]
