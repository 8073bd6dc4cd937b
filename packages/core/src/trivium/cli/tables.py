"""Runs, steps and workers as lines for people: pure functions of records, but for the printing at the end."""

from __future__ import annotations

from collections.abc import Sequence

from trivium.cli.output import one_line, print_table, shown
from trivium.clock import SECOND, Micros, iso
from trivium.graph.captions import duration, shortened
from trivium.graph.execution import current
from trivium.json import JsonText
from trivium.model.journal import Entry
from trivium.model.runs import Run
from trivium.storage.port import Note, WorkerRecord

RUN_COLUMNS = ("run", "status", "target", "started", "took", "why")
WORKER_COLUMNS = ("worker", "name", "where", "queues", "runs", "last beat", "state")
STEP_COLUMNS = ("step", "status", "attempts", "took", "")

MOST_STEPS = 200
"""Steps that `runs show` lists; all of them are in its JSON."""
MOST_TEXT = 2_000


def run_row(run: Run, now: Micros) -> tuple[str, ...]:
    """One run in a list."""
    status = f"{run.status} ({run.wait_reason})" if run.wait_reason is not None else str(run.status)
    why = "" if run.error is None else shortened(run.error.message, 60)
    return (run.id, status, run.target, ago(run.created_at, now), took(run, now), why)


def worker_row(worker: WorkerRecord, now: Micros) -> tuple[str, ...]:
    """One worker in a list."""
    return (
        worker.id,
        worker.name,
        f"{worker.host} pid {worker.pid}",
        "all" if worker.queues is None else ", ".join(worker.queues),
        f"{worker.runs:,} of {worker.concurrency:,}",
        ago(worker.beat_at, now),
        "gone" if worker.gone else "alive",
    )


def step_row(entry: Entry) -> tuple[str, ...]:
    """One step of a run."""
    status = (
        f"{entry.status} ({entry.wait_reason})" if not entry.status.terminal and entry.wait_reason else entry.status
    )
    spent = ""
    if entry.started_at is not None and entry.finished_at is not None:
        spent = duration(Micros(entry.finished_at - entry.started_at))
    note = entry.error.message if entry.error is not None else f"run {entry.child_id}" if entry.child_id else ""
    return (entry.key, str(status), str(entry.attempts), spent, shortened(note, 100))


def took(run: Run, now: Micros) -> str:
    """From the first claim to the end, or until now."""
    if run.first_claimed_at is None:
        return ""
    return duration(Micros((run.finished_at or now) - run.first_claimed_at))


def ago(at: Micros, now: Micros) -> str:
    """How long ago something was, in one unit."""
    seconds = max(0, now - at) // SECOND
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def print_run(run: Run, entries: Sequence[Entry], notes: Sequence[Note], reason: str | None, now: Micros) -> None:
    """A run in full."""
    for name, value in about(run, reason, now):
        print(f"{name + ':':<10} {shown(value)}")
    steps = list(current(entries).values())
    if steps:
        print()
        print_table(STEP_COLUMNS, [step_row(entry) for entry in steps[:MOST_STEPS]], empty="")
        if len(steps) > MOST_STEPS:
            print(f"... and {len(steps) - MOST_STEPS:,} more: --json has all")
    if notes:
        print("\nhistory:")
        print("\n".join(f"  {iso(note.at)[:19]}Z  {one_line(note.text)}" for note in notes))
    traces = [error.traceback for error in (run.error, *(entry.error for entry in steps)) if error and error.traceback]
    if traces:
        print("\n" + shown(traces[0].rstrip()))


def about(run: Run, reason: str | None, now: Micros) -> list[tuple[str, str]]:
    """What stands above the steps of a run."""
    status = str(run.status)
    if run.wait_reason is not None:
        status += f", for {run.wait_reason}"
    if run.due_at is not None and not run.status.terminal:
        status += f" until {iso(run.due_at)[:19]}Z"
    if reason:
        status += f": {reason}"
    found = [
        ("run", str(run.id)),
        ("target", run.target),
        ("status", status),
        ("created", f"{iso(run.created_at)[:19]}Z"),
    ]
    if run.first_claimed_at is not None:
        found.append(("took", took(run, now)))
    if run.error is not None:
        found.append(("error", f"{run.error.code} {one_line(run.error.message)}"))
    for name, value in (("key", run.key), ("parent", run.parent_id), ("queue", run.queue)):
        if value:
            found.append((name, str(value)))
    if run.labels:
        found.append(("labels", ", ".join(f"{name}={value}" for name, value in sorted(run.labels.items()))))
    found.append(("inputs", _short(run.inputs)))
    if run.output is not None:
        found.append(("outputs", _short(run.output)))
    return found


def _short(text: JsonText) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}... ({len(text):,} characters; --json has all)"
