"""From a prepared target to the row that starts it."""

from __future__ import annotations

from collections.abc import Mapping

from trivium.clock import Micros
from trivium.errors import TooLarge
from trivium.ids import WorkerId, new_run_id
from trivium.json import dumps
from trivium.model.drivers import Prepared
from trivium.model.runs import DEFAULT_QUEUE, MAX_KEY_BYTES, Cause, NewRun, Run


def new_root(
    prepared: Prepared,
    *,
    key: str | None = None,
    queue: str | None = None,
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    not_before: Micros | None = None,
    claim_by: WorkerId | None = None,
) -> NewRun:
    """A run that nobody's step caused."""
    check_key(key)
    return NewRun(
        id=new_run_id(),
        target=prepared.target,
        definition=prepared.definition,
        inputs=dumps(prepared.inputs, what="inputs"),
        key=key,
        queue=queue or DEFAULT_QUEUE,
        priority=priority,
        labels={**prepared.labels, **(labels or {})},
        limits=prepared.limits,
        timeout=prepared.timeout,
        not_before=not_before,
        claim_by=claim_by,
    )


def new_child(
    parent: Run,
    prepared: Prepared,
    step_key: str,
    *,
    queue: str | None = None,
    priority: int | None = None,
    claim_by: WorkerId | None = None,
) -> NewRun:
    """A run below `parent`: in its tree, and in its queue and priority unless it says otherwise."""
    return NewRun(
        id=new_run_id(),
        target=prepared.target,
        definition=prepared.definition,
        inputs=dumps(prepared.inputs, what="inputs"),
        queue=queue or parent.queue,
        priority=parent.priority if priority is None else priority,
        labels=dict(prepared.labels),
        root_id=parent.root_id,
        parent_id=parent.id,
        cause=Cause(parent.id, step_key),
        limits=prepared.limits,
        timeout=prepared.timeout,
        claim_by=claim_by,
    )


def check_key(key: str | None) -> None:
    """Refuse a key that is too long to be one.

    :raises TooLarge:
    """
    if key is not None and len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise TooLarge("key", len(key.encode("utf-8", "surrogatepass")), MAX_KEY_BYTES)
