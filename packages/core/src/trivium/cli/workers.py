"""`trivium workers`."""

from __future__ import annotations

from trivium.cli.options import Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json, print_table
from trivium.cli.session import Session

app = new_app("trivium workers list", group="Who is alive, and drives what.")


@app.command("list", epilog=epilog("trivium workers list", "trivium workers list --json | jq '.[].name'"))
def list_(store: Store = None, module: Modules = None, json: Json = False) -> None:
    """List the workers that have not left. One that is gone had no time to; its runs are taken over."""
    from trivium.cli.shapes import worker_object
    from trivium.cli.tables import WORKER_COLUMNS, worker_row

    with Session(store=store, modules=module).storage() as storage:
        found = storage.workers()
        now = storage.clock.now()
    if json:
        print_json([worker_object(worker) for worker in found])
    else:
        print_table(WORKER_COLUMNS, [worker_row(worker, now) for worker in found], empty="no worker is alive")
