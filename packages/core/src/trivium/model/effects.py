"""The effect ledger: what `once` intended, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trivium.clock import Micros
from trivium.ids import RunId
from trivium.json import JsonText


class EffectStatus(StrEnum):
    INTENDED = "intended"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"


class OnUnknown(StrEnum):
    """What happens with an effect whose outcome nobody knows, when it has no `verify` or that does not know either."""

    FAIL = "fail"
    ASK = "ask"
    """Wait for the signal `effect:KEY` with `{"done": true, "output": ...}` or `{"done": false}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of the ledger; (scope, key) is unique in the store."""

    scope: str
    key: str
    status: EffectStatus
    run_id: RunId
    epoch: int
    step_key: str
    output: JsonText | None = None
    changed_at: Micros = Micros(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectChange:
    """A change of one row by the owner of a run.

    To `intended`: applied only where no row stands (or one that this same run intended under this same epoch); else
    the unit is `Refused` with the row that stands. To any other status, or None (the row is removed): applied to a row
    of this run, or, for a row that another run left `intended` or `unknown`, if `takes_over` is set; else `Refused`
    with the row that stands, None where there is none. An applied change makes the row this run's, under this epoch,
    with `output`.
    """

    scope: str
    key: str
    status: EffectStatus | None
    step_key: str
    output: JsonText | None = None
    takes_over: bool = False
