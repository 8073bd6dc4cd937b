"""What comes to a run from outside. Others never write a run's journal: they put an item into its inbox."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trivium.clock import Micros
from trivium.ids import RunId
from trivium.json import NULL, JsonText
from trivium.model.failure import Failure
from trivium.model.runs import Cause
from trivium.model.states import RunStatus


class ItemKind(StrEnum):
    SIGNAL = "signal"
    CHILD_END = "child_end"
    CANCEL = "cancel"
    MESSAGE = "message"


OF_ONE_GENERATION = frozenset({ItemKind.CHILD_END, ItemKind.CANCEL})
"""Items that go with a failed or cancelled end of their run. The others were accepted for the run, and a retry finds
them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item. Items of a run are ordered by `seq`, which is the order of the commits that made them.

    For a signal, `name` is the signal's name and `payload` its value. For a child's end, `name` is the child's id, and
    `payload` is `{"status", "output", "error"}`, absent parts null. For a cancel, `name` is empty and `payload` is the
    reason.
    """

    seq: int
    run_id: RunId
    kind: ItemKind
    name: str
    payload: JsonText = NULL
    cause: Cause | None = None
    created_at: Micros


def child_end(status: RunStatus, output: JsonText | None, error: Failure | None) -> JsonText:
    """The payload of a `child_end` item: canonical text, in which `output` and `error` stand as JSON, not as text in
    text."""
    return JsonText(
        f'{{"error":{NULL if error is None else error.to_text()},'
        f'"output":{NULL if output is None else output},"status":"{status.value}"}}'
    )
