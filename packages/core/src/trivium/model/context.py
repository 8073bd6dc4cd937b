"""What drivers and steps see of the engine. Abstract here, so that hooks and paradigms can be typed without it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from trivium.clock import Micros
from trivium.errors import StepFailed
from trivium.ids import DefinitionId, RunId
from trivium.json import JsonValue
from trivium.model.commit import End
from trivium.model.effects import OnUnknown
from trivium.model.failure import Failure
from trivium.model.policies import Duration, Retry
from trivium.model.states import StepStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A step that ended, durably."""

    key: str
    status: StepStatus
    output: JsonValue = None
    error: Failure | None = None
    attempts: int = 1

    @property
    def ok(self) -> bool:
        return self.status is StepStatus.COMPLETED


class ChildRun(ABC):
    """A child run that was durably started."""

    id: RunId

    @abstractmethod
    async def result(self) -> JsonValue:
        """Wait for its end, without a slot. Raises `StepFailed` where it failed or was cancelled."""


class RunContext(ABC):
    """The verbs of a driver. Each is journaled once: on a second drive it returns what stands in the journal.

    A verb may only be awaited by the driver's own coroutine or by one that `gather` runs, and under no cancel scope or
    timeout of the driver's own: a run that was parked has none, and would not be woken by it; give `timeout=`. Every
    verb raises `Parked` while the run leaves memory, and the cancellation of the event loop when the run is cancelled.
    """

    run_id: RunId
    root_id: RunId
    parent_id: RunId | None
    kind: str
    name: str
    inputs: JsonValue
    definition_id: DefinitionId
    """The same for equal content, so that a driver may keep what it compiled from it."""
    labels: Mapping[str, str]
    logger: logging.LoggerAdapter[logging.Logger]

    @property
    @abstractmethod
    def definition(self) -> JsonValue:
        """The body that the run is pinned to: decoded anew at every use, so keep what you compile under
        `definition_id`."""

    @abstractmethod
    def options(
        self,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        total_timeout: Duration | None = None,
        key: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
    ) -> Self:
        """The same context, whose verbs go by these options."""

    @abstractmethod
    async def step(self, key: str, action: str | Callable[..., Any], /, **input: Any) -> JsonValue:
        """Call an action, durably. Its output, as JSON.

        :raises StepFailed: it failed for good
        """

    @abstractmethod
    async def start(self, target: object, inputs: JsonValue = None, /) -> ChildRun:
        """Start a child run: durable once this returns. Its journal key is `options(key=)` or counts
        (`child:NAME#2`)."""

    @abstractmethod
    async def sleep(self, duration: Duration | None = None, *, until: Micros | None = None) -> None:
        """Wait for a time, without a slot, over restarts.

        `until` must be the same whenever the driver comes here again: from the inputs or from a step. `now()` plus
        something is not: each drive would begin a sleep of its own. Say such a thing as a duration.
        """

    @abstractmethod
    async def wait(self, signal: str, *, timeout: Duration | None = None) -> JsonValue:
        """The payload of the next signal of that name, also of one that came before.

        :raises WaitTimeout: none came in time; a signal that was committed before the timeout always wins
        """

    @abstractmethod
    async def once(
        self,
        key: str,
        call: Callable[[], Awaitable[T] | T],
        /,
        *,
        verify: Callable[[], Awaitable[Any] | Any] | None = None,
        on_unknown: OnUnknown = OnUnknown.FAIL,
        scope: str | None = None,
    ) -> T:
        """An effect that is never silently repeated; see `docs/durability.md`. `scope` is the run unless it is named.

        `verify` returns the output if the effect happened and raises `NotDone` if it did not.

        :raises EffectUnknown: nobody knows, and the policy is to fail
        """

    @abstractmethod
    async def signal(self, run_id: RunId, name: str, payload: JsonValue = None) -> None:
        """Signal another run, durably, once."""

    @abstractmethod
    async def publish(self, channel: str, payload: JsonValue, *, key: str | None = None) -> None:
        """Publish a message, durably, once.

        :raises NoChannels: the store keeps no messages
        """

    @abstractmethod
    async def gather(self, *branches: Callable[[], Awaitable[T]], return_errors: bool = False) -> Sequence[T]:
        """Run the branches concurrently; their results in order.

        The first failure is raised when all have ended, unless `return_errors`: then it stands in its place.
        """

    @abstractmethod
    async def results(self, *children: ChildRun, return_errors: bool = False) -> Sequence[JsonValue | StepFailed]:
        """The outputs of children of this run, in order. Waits for all of them, and is woken once, by the last end.

        The first failure is raised when all have ended, unless `return_errors`: then it stands in its place.

        :raises StepFailed: a child failed or was cancelled
        """

    # --- for drivers that walk a graph ------------------------------------------------------------

    @abstractmethod
    def launch(
        self,
        key: str,
        action: str | Callable[..., Any],
        /,
        input: Mapping[str, JsonValue],
        *,
        shape: Callable[[JsonValue], JsonValue] | None = None,
    ) -> None:
        """Begin a step without waiting for it; `collect` gives its outcome. Options as of this view of the context.

        `shape` is applied to what the action returned, before it is recorded: a pure function that never raises, and
        that changes nothing when it is applied to its own result.
        """

    @abstractmethod
    async def collect(self, *, wait: bool = True) -> Sequence[Outcome]:
        """The outcomes of launched steps that became durable since the last call. A failed step is an outcome here, not
        an exception.

        Waits for at least one, without a slot if only waiting steps are left. Without `wait` it lets what was launched
        begin and gives what is there, perhaps nothing: for a driver with more to launch than it wants to hold at once.
        """

    @abstractmethod
    def propose_end(self, decide: Callable[[Outcome], End | None]) -> None:
        """For pure drivers: `decide` is asked with every outcome *before* it is durable; an `End` that it returns goes
        into the same commit. It must be a pure function of the outcomes so far; if the commit is refused it did not
        happen."""

    @abstractmethod
    def show_outputs(self, outputs: Callable[[str], Mapping[str, JsonValue]]) -> None:
        """What `StepContext.outputs` of a step is, by the step's key. `outputs` is called when an action asks, from
        whatever thread it runs in."""

    @abstractmethod
    def note(self, text: str) -> None:
        """A line for the run's history, written with the next commit."""

    @abstractmethod
    def now(self) -> Micros:
        """The store's time; not journaled."""


class StepContext(ABC):
    """What an action sees that asks for it: a parameter annotated with this class.

    `publish`, `start` and `signal` never block: they are part of the step's commit, and happen exactly if it is
    recorded as completed.
    """

    run_id: RunId
    step_key: str
    attempt: int
    """From 1."""
    idempotency_key: str
    """The same at every attempt and after every crash; pass it on to whoever deduplicates."""
    logger: logging.LoggerAdapter[logging.Logger]

    @property
    @abstractmethod
    def outputs(self) -> Mapping[str, JsonValue]:
        """What the steps before this one gave, by id, in a flow."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """The step's run is being cancelled, or its attempt has timed out: a thread should look at this and leave."""

    @abstractmethod
    def publish(self, channel: str, payload: JsonValue, *, key: str | None = None) -> None:
        """Publish a message with the step's commit."""

    @abstractmethod
    def start(self, target: object, inputs: JsonValue = None) -> RunId:
        """Start a child run with the step's commit; its id is known at once. Nobody waits for it."""

    @abstractmethod
    def signal(self, run_id: RunId, name: str, payload: JsonValue = None) -> None:
        """Signal a run with the step's commit."""

    @abstractmethod
    async def once(
        self,
        key: str,
        call: Callable[[], Awaitable[T] | T],
        /,
        *,
        verify: Callable[[], Awaitable[Any] | Any] | None = None,
        on_unknown: OnUnknown = OnUnknown.FAIL,
        scope: str | None = None,
    ) -> T:
        """As `RunContext.once`, from an `async def` action."""

    @abstractmethod
    def once_blocking(
        self,
        key: str,
        call: Callable[[], T],
        /,
        *,
        verify: Callable[[], Any] | None = None,
        on_unknown: OnUnknown = OnUnknown.FAIL,
        scope: str | None = None,
    ) -> T:
        """As `once`, from a `def` action, in its thread."""
