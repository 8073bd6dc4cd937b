"""Trivium: flows, agents and channels on one durable core."""

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
