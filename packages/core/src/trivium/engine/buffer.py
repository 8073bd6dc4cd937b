"""What an action sees of its step, and what it buffers for the step's commit."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from typing_extensions import override

from trivium.engine.drive import Drive
from trivium.engine.effects import EffectCall, Ledger
from trivium.engine.runs import new_child
from trivium.errors import Conflict, NoChannels
from trivium.ids import RunId
from trivium.json import JsonValue, digest, dumps
from trivium.model.commit import NewMessage, NewSignal, RunUnit
from trivium.model.context import StepContext
from trivium.model.effects import OnUnknown
from trivium.model.runs import Cause, NewRun
from trivium.storage.port import Capability

T = TypeVar("T")

_log = logging.getLogger("trivium.step")


class StepBuffer:
    """What one attempt published, started and signalled. Filled from the action's thread."""

    def __init__(self, scope: StepScope, key: str, attempt: int) -> None:
        self.scope = scope
        self.key = key
        self.attempt = attempt
        self.cancelled = False
        self.filled = False
        self.starts: list[NewRun] = []
        self.signals: list[NewSignal] = []
        self.messages: list[NewMessage] = []

    def fill(self, unit: RunUnit) -> None:
        """Add it to the unit that completes the step."""
        self.filled = True
        # Copies: whoever kept the context may still be at it, and the unit's result goes by its parts.
        unit.starts, unit.signals, unit.messages = tuple(self.starts), tuple(self.signals), tuple(self.messages)

    def check_open(self) -> None:
        """What comes behind the step's commit would silently not happen.

        :raises Conflict: the step has ended
        """
        if self.filled:
            raise Conflict(f"step {self.key!r} has ended: nothing can go with its commit any more")

    def context(self) -> StepContext:
        """What the action gets."""
        return BufferedStepContext(self)


class StepScope:
    """What all step contexts of a drive share."""

    def __init__(self, drive: Drive, ledger: Ledger) -> None:
        self.drive = drive
        self.ledger = ledger
        self.outputs: Callable[[str], Mapping[str, JsonValue]] = lambda key: {}

    def buffer(self, key: str, attempt: int) -> StepBuffer:
        """What one attempt of a step begins with."""
        return StepBuffer(self, key, attempt)


class BufferedStepContext(StepContext):
    """The `StepContext` of actions that run in this process."""

    def __init__(self, buffer: StepBuffer) -> None:
        self._buffer = buffer
        drive = buffer.scope.drive
        self.run_id = drive.run_id
        self.step_key = buffer.key
        self.attempt = buffer.attempt
        self.idempotency_key = idempotency_key(drive.run_id, buffer.key)
        self.logger = logging.LoggerAdapter(
            _log, {"run_id": drive.run_id, "step": buffer.key, "attempt": buffer.attempt}
        )

    @property
    @override
    def outputs(self) -> Mapping[str, JsonValue]:
        return self._buffer.scope.outputs(self.step_key)

    @property
    @override
    def cancelled(self) -> bool:
        return self._buffer.cancelled or self._buffer.scope.drive.cancelling

    @override
    def publish(self, channel: str, payload: JsonValue, *, key: str | None = None) -> None:
        self._buffer.check_open()
        drive = self._buffer.scope.drive
        check_channels(drive.host.storage.capabilities)
        text = dumps(payload, what="payload")
        self._buffer.messages.append(NewMessage(channel, text, key, cause=Cause(self.run_id, self.step_key)))

    @override
    def start(self, target: object, inputs: JsonValue = None) -> RunId:
        self._buffer.check_open()
        drive = self._buffer.scope.drive
        new = new_child(drive.record, drive.host.prepare(target, inputs), self.step_key)
        self._buffer.starts.append(new)
        return new.id

    @override
    def signal(self, run_id: RunId, name: str, payload: JsonValue = None) -> None:
        self._buffer.check_open()
        cause = Cause(self.run_id, self.step_key)
        self._buffer.signals.append(NewSignal(run_id, name, dumps(payload, what="payload"), cause=cause))

    @override
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
        effect = EffectCall(key, self.step_key, call, verify, on_unknown, scope)
        found: T = await self._buffer.scope.ledger.perform(effect)
        return found

    @override
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
        effect = EffectCall(key, self.step_key, call, verify, on_unknown, scope)
        found: T = self._buffer.scope.ledger.perform_in_thread(effect)
        return found


def idempotency_key(run_id: RunId, step_key: str) -> str:
    """The same at every attempt, after every crash and in every generation: of the run and the step's own key."""
    return digest(f"{run_id}/{step_key}")[:32]


def check_channels(capabilities: frozenset[Capability]) -> None:
    """Refuse to publish where no channels are."""
    if Capability.MESSAGES not in capabilities:
        raise NoChannels
