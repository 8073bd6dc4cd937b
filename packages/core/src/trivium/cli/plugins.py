"""`trivium plugins`."""

from __future__ import annotations

import typer

from trivium.cli.exits import FAILED, say
from trivium.cli.options import Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json, print_table
from trivium.hooks import Plugins

app = new_app()


@app.command(epilog=epilog("trivium plugins", "trivium plugins --json | jq '.[] | select(.error)'"))
def plugins(store: Store = None, module: Modules = None, json: Json = False) -> None:
    """List what is plugged in, by which distribution, and what is broken. Exit code 1 if something is."""
    loaded = Plugins.load(report=lambda failure: None)  # what it would warn of is in the table
    for question in (
        lambda: loaded.storages,
        lambda: loaded.drivers,
        lambda: loaded.commands,
        lambda: loaded.observers,
    ):
        question()  # a hook that fails is found by calling it
    found = loaded.describe()
    if json:
        print_json(
            [
                {
                    "name": info.name,
                    "distribution": info.distribution,
                    "version": info.version,
                    "module": info.module,
                    "hooks": list(info.hooks),
                    "error": info.error,
                }
                for info in found
            ]
        )
    else:
        rows = [
            (
                info.name,
                info.origin,
                ", ".join(hook.removeprefix("trivium_") for hook in info.hooks),
                "broken" if info.error else "ok",
            )
            for info in found
        ]
        print_table(("plugin", "from", "hooks", "state"), rows, empty="no plugins")
        for info in found:
            if info.error:
                say(f"plugin {info.name!r} of {info.origin}: {info.error}")
    if any(info.error for info in found):
        raise typer.Exit(FAILED)
