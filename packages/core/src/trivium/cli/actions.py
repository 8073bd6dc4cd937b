"""`trivium actions`."""

from __future__ import annotations

import sys

from trivium.cli.exits import say
from trivium.cli.options import Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json, print_table
from trivium.cli.session import Session
from trivium.graph.captions import shortened

app = new_app()


@app.command(epilog=epilog("trivium actions -m actions.py", "trivium actions -m shop.actions --json"))
def actions(store: Store = None, module: Modules = None, json: Json = False) -> None:
    """List the actions of the modules that are named: what a flow's `uses` may say."""
    session = Session(store=store, modules=module)
    found = [session.registry.action(name) for name in session.registry.action_names()]
    if json:
        print_json(
            [
                {
                    "name": action.name,
                    "description": action.description,
                    "executor": action.executor,
                    "async": action.is_async,
                    "module": action.module,
                    "place": action.place,
                    "timeout": action.timeout,
                    "max_attempts": action.retry.max_attempts,
                    "delivery": str(action.delivery),
                }
                for action in found
            ]
        )
        return
    rows = [
        (one.name, one.executor, str(one.retry.max_attempts), _where(one.place), shortened(one.description, 80))
        for one in found
    ]
    print_table(("action", "executor", "attempts", "where", ""), rows, empty="no actions")
    if not session.settings.modules and not found and not sys.stdin.closed:
        say("  name a module with -m, or under modules in trivium.toml")


def _where(place: str) -> str:
    """The file and line of a place, where it has them."""
    return place.rpartition("(")[2].removesuffix(")")
