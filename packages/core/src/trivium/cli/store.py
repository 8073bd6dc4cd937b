"""`trivium store`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from trivium.cli.options import Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json
from trivium.cli.session import Session
from trivium.clock import SECOND, Micros, iso
from trivium.errors import UsageError
from trivium.model.policies import micros

app = new_app("trivium store prune --older-than 30d", group="Look after the store.")


@app.command(
    epilog=epilog(
        "trivium store prune --older-than 30d --dry-run",
        "trivium store prune --before 2026-11-01",
        "trivium store prune --before 2026-11-01T12:00:00Z",
    )
)
def prune(
    before: Annotated[
        str | None, typer.Option("--before", metavar="TIME", help="ISO 8601; a time without a zone is UTC.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DURATION", help="Like 12h or 30d, counted from now.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """Delete runs that ended before a time, with all that they started. What has not ended in full is kept, keys and
    all."""
    if (before is None) == (older_than is None):
        raise UsageError("prune needs one of --before and --older-than")
    with Session(store=store, modules=module).storage() as storage:
        now = storage.clock.now()
        limit = read_time(before) if before is not None else Micros(now - micros(older_than, what="--older-than"))
        found = storage.prune(before=limit, dry_run=dry_run)
    if json:
        print_json(
            {
                "before": iso(limit),
                "dry_run": dry_run,
                "runs": found.runs,
                "entries": found.entries,
                "blobs": found.blobs,
            }
        )
    else:
        verb = "would delete" if dry_run else "deleted"
        what = f"{found.runs:,} runs, {found.entries:,} steps and {found.blobs:,} blobs"
        print(f"{verb} {what} from before {iso(limit)[:19]}Z")


def read_time(text: str) -> Micros:
    """A moment in ISO 8601.

    :raises UsageError:
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--before {text!r} is not a time", hint="write 2026-11-01 or 2026-11-01T12:00:00Z") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return Micros(int(found.timestamp()) * SECOND + found.microsecond)
