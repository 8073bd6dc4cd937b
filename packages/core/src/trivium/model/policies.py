"""Retry policies, durations, and the pure decisions over them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from trivium.model.failure import Failure

Duration: TypeAlias = float | int | str
"""Seconds as a number, or text: `500ms`, `30s`, `5m`, `1h30m`, `2d`, `PT5M`."""


class Backoff(StrEnum):
    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Delivery(StrEnum):
    """What a crash between a step's start and its commit means."""

    AT_LEAST_ONCE = "at_least_once"
    """It runs again."""
    AT_MOST_ONCE = "at_most_once"
    """Its start costs a commit of its own; after a crash it has failed, kind `unknown`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and when a failed step is tried again.

    `on` names what is retried: failure kinds (`error`, `timeout`) or exception types by bare or dotted name; empty means `error` and
    `timeout`. `never` names exception types that are not. Schema errors, conflicts, cancellations and unknown outcomes are never retried.
    """

    max_attempts: int = 1
    backoff: Backoff | str = Backoff.EXPONENTIAL
    initial: Duration = 1.0
    maximum: Duration = 60.0
    jitter: bool = True
    on: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


NO_RETRY = Retry()
