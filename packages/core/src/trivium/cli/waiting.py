"""Why a run that nobody holds does not go on: a pure look at the run, what it needs, and who is there."""

from __future__ import annotations

from collections.abc import Sequence

from trivium.model.runs import Definition, Run
from trivium.model.states import RunStatus, WaitReason
from trivium.storage.port import WorkerRecord


def why_queued(run: Run, definition: Definition | None, workers: Sequence[WorkerRecord]) -> str | None:
    """A sentence for a run that could be claimed and is not, or that waits for a person; None for all others."""
    if run.status is RunStatus.WAITING and run.wait_reason is WaitReason.SIGNAL:
        return f"trivium runs signal {run.id} NAME [JSON]"
    alive = [worker for worker in workers if not worker.gone]
    if run.status is RunStatus.RUNNING:
        lost = run.owner is not None and all(worker.id != run.owner for worker in alive)
        return f"its worker is gone; {_cure(run)}" if lost else None
    if run.status is not RunStatus.QUEUED:
        return None
    if not alive:
        return f"no worker is alive; {_cure(run)}"
    if all(worker.queues is not None and run.queue not in worker.queues for worker in alive):
        return f"no worker serves queue {run.queue!r}; {_cure(run)}"
    actions = (
        sorted(need.partition(":")[2] for need in definition.needs if need.startswith("action:")) if definition else []
    )
    if actions:
        return f"a worker takes it that has {_listed(actions)}"
    return None


def _cure(run: Run) -> str:
    return f"start one with trivium worker, or trivium runs resume {run.id}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
