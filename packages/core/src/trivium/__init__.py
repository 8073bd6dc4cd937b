"""Trivium: durable runs. What users import stands here."""

from trivium.app import RunHandle, Trivium
from trivium.clock import Clock, Micros, SystemClock
from trivium.errors import (
    Conflict,
    DefinitionError,
    EffectUnknown,
    InvalidInput,
    NotDone,
    NotFound,
    Parked,
    RunCancelled,
    RunFailed,
    StepFailed,
    StoreError,
    TriviumError,
    UsageError,
    WaitTimeout,
)
from trivium.ids import RunId
from trivium.json import JsonValue
from trivium.model.context import ChildRun, Outcome, RunContext, StepContext
from trivium.model.drivers import Driver, Prepared
from trivium.model.effects import OnUnknown
from trivium.model.policies import Backoff, Delivery, Retry
from trivium.model.runs import Definition
from trivium.registry import action

__all__ = [
    # what a program starts with
    "Trivium",
    "RunHandle",
    "action",
    "Retry",
    "Backoff",
    "Delivery",
    "OnUnknown",
    # what actions and drivers see
    "StepContext",
    "RunContext",
    "ChildRun",
    "Outcome",
    "Driver",
    "Prepared",
    "Definition",
    # values
    "JsonValue",
    "RunId",
    "Clock",
    "SystemClock",
    "Micros",
    # errors
    "TriviumError",
    "UsageError",
    "DefinitionError",
    "InvalidInput",
    "NotFound",
    "Conflict",
    "StoreError",
    "RunFailed",
    "RunCancelled",
    "StepFailed",
    "WaitTimeout",
    "EffectUnknown",
    "NotDone",
    "Parked",
]
