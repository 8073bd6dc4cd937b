"""The JSON objects that users and their scripts see: pure functions of records. Fields are added here, never
renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from trivium.clock import Micros, iso
from trivium.graph.execution import current
from trivium.json import JsonText, JsonValue, loads
from trivium.model.journal import Entry
from trivium.model.picture import Picture
from trivium.model.runs import Cause, Run
from trivium.storage.port import Note, WorkerRecord

Shape: TypeAlias = dict[str, JsonValue]


def run_object(run: Run, entries: Sequence[Entry]) -> Shape:
    """What `run --json` prints."""
    return {
        "run_id": run.id,
        "kind": run.kind,
        "name": run.name,
        "status": str(run.status),
        "outputs": _value(run.output),
        "error": None if run.error is None else run.error.to_json(),
        "steps": {key: step_object(entry) for key, entry in current(entries).items()},
    }


def run_details(run: Run, entries: Sequence[Entry], notes: Sequence[Note]) -> Shape:
    """What `runs show --json` prints: `run_object` and the rest of what is known."""
    return {
        **run_object(run, entries),
        **_about(run),
        "inputs": _value(run.inputs),
        "notes": [_note(one) for one in notes],
    }


def run_summary(run: Run) -> Shape:
    """A line of `runs list --json`."""
    return {
        "run_id": run.id,
        "kind": run.kind,
        "name": run.name,
        "status": str(run.status),
        **_about(run),
        "error": None if run.error is None else run.error.to_json(),
    }


def step_object(entry: Entry) -> Shape:
    """A step of a run."""
    return {
        "status": str(entry.status),
        "attempts": entry.attempts,
        "output": _value(entry.output),
        "error": None if entry.error is None else entry.error.to_json(),
        "started_at": _time(entry.started_at),
        "finished_at": _time(entry.finished_at),
    }


def worker_object(worker: WorkerRecord) -> Shape:
    """A line of `workers list --json`."""
    return {
        "id": worker.id,
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "queues": None if worker.queues is None else list(worker.queues),
        "concurrency": worker.concurrency,
        "runs": worker.runs,
        "started_at": _time(worker.started_at),
        "beat_at": _time(worker.beat_at),
        "gone": worker.gone,
    }


def picture_object(picture: Picture) -> Shape:
    """What `graph --json` prints."""
    return {
        "title": picture.title,
        "subtitle": picture.subtitle,
        "nodes": [
            {
                "id": node.id,
                "label": node.label,
                "detail": node.detail,
                "status": node.status,
                "attempts": node.attempts,
                "started_at": _time(node.started_at),
                "finished_at": _time(node.finished_at),
            }
            for node in picture.nodes
        ],
        "edges": [
            {"source": edge.source, "target": edge.target, "label": edge.label, "cause": edge.cause}
            for edge in picture.edges
        ],
    }


def _about(run: Run) -> Mapping[str, JsonValue]:
    return {
        "target": run.target,
        "wait_reason": None if run.wait_reason is None else str(run.wait_reason),
        "due_at": _time(run.due_at),
        "key": run.key,
        "queue": run.queue,
        "priority": run.priority,
        "labels": dict(run.labels),
        "root_id": run.root_id,
        "parent_id": run.parent_id,
        "cause": _cause(run.cause),
        "created_at": _time(run.created_at),
        "started_at": _time(run.first_claimed_at),
        "finished_at": _time(run.finished_at),
    }


def _cause(cause: Cause | None) -> JsonValue:
    return None if cause is None else {"run_id": cause.run_id, "step": cause.step_key}


def _note(note: Note) -> JsonValue:
    return {"at": iso(note.at), "text": note.text}


def _time(at: Micros | None) -> str | None:
    return None if at is None else iso(at)


def _value(text: JsonText | None) -> JsonValue:
    return None if text is None else loads(text)
