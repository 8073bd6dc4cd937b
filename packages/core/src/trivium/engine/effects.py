"""`once`: the effect ledger's protocol.

The protocol is a generator without input and output: it yields what is to be done and gets back what came of it. Two
shells carry it out, one on the event loop and one in the thread of a `def` action.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import anyio
import anyio.to_thread

from trivium.engine.drive import Drive, Leaving, unwound
from trivium.engine.waiting import Wait
from trivium.errors import EffectUnderWay, EffectUnknown, NotDone, Parked
from trivium.json import JsonText, JsonValue, dumps, loads
from trivium.model.commit import Applied, Refused, Result, RunUnit
from trivium.model.effects import Effect, EffectChange, EffectStatus, OnUnknown
from trivium.model.inbox import ItemKind
from trivium.model.states import RunStatus, WaitReason


@dataclass(frozen=True, slots=True)
class EffectCall:
    """One call of `once`."""

    key: str
    step_key: str
    call: Callable[[], Awaitable[Any] | Any]
    verify: Callable[[], Awaitable[Any] | Any] | None
    on_unknown: OnUnknown
    scope: str | None


class AskEffect(BaseException):
    """The effect's outcome is unknown and its policy is to ask: the step waits for an answer and is attempted again.

    A `BaseException`, so that the action's own `except Exception` does not take it for a failure of the effect.
    """

    def __init__(self, scope: str, key: str) -> None:
        super().__init__(key)
        self.scope, self.key = scope, key


# --- what the protocol asks for -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Intend:
    """Make the intention durable; the reply is the row that stands in the way, or None."""


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the user's function; the reply is its value, or the exception that it raised."""

    function: Callable[[], Awaitable[Any] | Any]


@dataclass(frozen=True, slots=True)
class Settle:
    """Write what is known now, with the next commit; None clears the row."""

    status: EffectStatus | None
    output: JsonText | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    error: Exception


Command: TypeAlias = Intend | Invoke | Settle
Reply: TypeAlias = Effect | Returned | Raised | None
Protocol: TypeAlias = Generator[Command, Reply, JsonValue]


def protocol(effect: EffectCall, scope: str) -> Protocol:
    """What is done for one `once`, in which order.

    :raises EffectUnknown, AskEffect: by the policy, where nobody knows
    :raises NotDone: the call said so; the ledger is clear
    """
    standing = yield Intend()
    cause: Exception | None = None
    while True:
        if standing is None:
            reply = yield Invoke(effect.call)
            if isinstance(reply, Returned):
                return (yield from _confirm(effect, reply.value))
            error = cast(Raised, reply).error
            if isinstance(error, NotDone):
                yield Settle(None)
                raise error
            yield Settle(EffectStatus.UNKNOWN)
            cause = error
        elif cast(Effect, standing).status is EffectStatus.CONFIRMED:
            return loads(cast(Effect, standing).output or "null")
        if effect.verify is not None:
            reply = yield Invoke(effect.verify)
            if isinstance(reply, Returned):
                return (yield from _confirm(effect, reply.value))
            if isinstance(cast(Raised, reply).error, NotDone):
                yield Settle(None)
                if cause is not None:
                    raise cause  # it certainly did not happen: an ordinary failure, for the step's retry policy
                standing = yield Intend()
                continue
            cause = cause or cast(Raised, reply).error
        if effect.on_unknown is OnUnknown.ASK:
            raise AskEffect(scope, effect.key) from cause
        why = f"its call raised {cause!r:.200}" if cause is not None else "its worker died, or its attempt was cut off"
        raise EffectUnknown(scope, effect.key, why) from cause


def _confirm(effect: EffectCall, value: object) -> Protocol:
    text = dumps(value, what=f"output of effect {effect.key!r}")
    yield Settle(EffectStatus.CONFIRMED, text)
    return loads(text)


def resolution(payload: str) -> tuple[EffectStatus | None, JsonText | None] | None:
    """A person's answer `{"done": true, "output": ...}` or `{"done": false}`; None where it is neither."""
    found = loads(payload)
    if not isinstance(found, dict) or not isinstance(found.get("done"), bool):
        return None
    if found["done"]:
        return EffectStatus.CONFIRMED, dumps(found.get("output"))
    return None, None


# --- the shells -----------------------------------------------------------------------------------


class Ledger:
    """The effects of one drive."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._intended: set[tuple[str, str]] = set()
        """Intended under this epoch and not settled: a second `once` for one of these must not call again."""
        self._under_way: set[tuple[str, str]] = set()

    def scope_of(self, effect: EffectCall) -> str:
        return effect.scope if effect.scope is not None else self._drive.run_id

    async def perform(self, effect: EffectCall) -> Any:
        """Carry the protocol out on the event loop."""
        steps = protocol(effect, self._enter(effect))
        reply: Reply = None
        try:
            while True:
                command = steps.send(reply)
                reply = (
                    await _invoke(command.function) if isinstance(command, Invoke) else await self._do(effect, command)
                )
        except StopIteration as done:
            return done.value
        finally:
            self._under_way.discard((self.scope_of(effect), effect.key))

    def perform_in_thread(self, effect: EffectCall) -> Any:
        """Carry the protocol out in the thread of a `def` action; the ledger's part runs on the event loop."""
        steps = protocol(effect, self._enter(effect))
        reply: Reply = None
        try:
            while True:
                command = steps.send(reply)
                reply = (
                    _invoke_here(command.function) if isinstance(command, Invoke) else self._ask_loop(effect, command)
                )
        except StopIteration as done:
            return done.value
        finally:
            self._under_way.discard((self.scope_of(effect), effect.key))

    def _enter(self, effect: EffectCall) -> str:
        """Refuse a second call beside one that is under way in this run. From any thread: each set operation is
        atomic."""
        scope = self.scope_of(effect)
        if (scope, effect.key) in self._under_way:
            raise EffectUnderWay(scope, effect.key, self._drive.run_id)
        self._under_way.add((scope, effect.key))
        return scope

    def settle(self, scope: str, key: str, change: EffectChange) -> None:
        """Write what is known, with the next commit, without waiting for it: should it be lost, the row is still
        `intended`."""
        self._intended.discard((scope, key))
        drive = self._drive

        def settled(result: Result) -> None:
            # Another run, which wondered about it too, may have been first to write down what it found.
            if isinstance(result, Refused):
                drive.openings.note(f"what was found out about an effect was not written down: {result.error}")
            else:
                drive.after_note(result)

        drive.host.committer.submit(RunUnit(run_id=drive.run_id, epoch=drive.epoch, effects=[change]), settled)

    async def ask(self, asked: AskEffect, step_key: str, wait: Callable[[Wait], Awaitable[None]]) -> None:
        """Wait for the signal that says whether the effect happened, and write it down.

        :raises Parked: the run leaves memory meanwhile
        """
        drive = self._drive
        name = f"effect:{asked.key}"
        drive.openings.note(f"effect {asked.key!r} may or may not have happened: waiting for the signal {name!r}")
        while True:
            item = drive.mailbox.take(ItemKind.SIGNAL, name)
            if item is None:
                await wait(Wait(WaitReason.SIGNAL, kind=ItemKind.SIGNAL, names=(name,)))
                continue
            answer = resolution(item.payload)
            unit = RunUnit(run_id=drive.run_id, epoch=drive.epoch, consumed=[item.seq])
            if answer is None:
                unit.notes = [f'signal {name!r} was dropped: it is neither {{"done": true}} nor {{"done": false}}']
            else:
                status, output = answer
                unit.effects = [
                    EffectChange(
                        scope=asked.scope,
                        key=asked.key,
                        status=status,
                        step_key=step_key,
                        output=output,
                        takes_over=True,
                    )
                ]
            result = await drive.host.committer.commit(unit)
            if not isinstance(result, Applied):
                drive.not_applied(result)
                await unwound()
            if answer is not None:
                self._intended.discard((asked.scope, asked.key))
                return

    async def _do(self, effect: EffectCall, command: Intend | Settle) -> Effect | None:
        if isinstance(command, Settle):
            self._write_down(effect, command)
            return None
        return await self._intend(effect, self.scope_of(effect))

    def _write_down(self, effect: EffectCall, command: Settle) -> None:
        scope = self.scope_of(effect)
        change = EffectChange(
            scope=scope,
            key=effect.key,
            status=command.status,
            step_key=effect.step_key,
            output=command.output,
            takes_over=True,
        )
        self.settle(scope, effect.key, change)

    async def _intend(self, effect: EffectCall, scope: str) -> Effect | None:
        drive = self._drive
        change = EffectChange(scope=scope, key=effect.key, status=EffectStatus.INTENDED, step_key=effect.step_key)
        if (scope, effect.key) in self._intended:
            return Effect(
                scope=scope,
                key=effect.key,
                status=EffectStatus.UNKNOWN,
                run_id=drive.run_id,
                epoch=drive.epoch,
                step_key=effect.step_key,
            )
        while True:
            result = await drive.host.committer.commit(
                RunUnit(run_id=drive.run_id, epoch=drive.epoch, effects=[change])
            )
            if isinstance(result, Applied):
                self._intended.add((scope, effect.key))
                return None
            if not isinstance(result, Refused) or result.effect is None:
                drive.not_applied(result)
                await unwound()
            if await self._stands_still(result.effect):
                return result.effect

    async def _stands_still(self, row: Effect) -> bool:
        """Whether a row is the last word on an effect. False: it has changed since it was in the way.

        :raises EffectUnderWay: another run is calling it at this moment: nothing is known yet, and nothing may be taken
            over
        """
        if row.status is not EffectStatus.INTENDED or row.run_id == self._drive.run_id:
            return True
        host = self._drive.host
        other = await host.read_run(row.run_id)
        if other is not None and other.status is RunStatus.RUNNING and other.epoch == row.epoch:
            raise EffectUnderWay(row.scope, row.key, row.run_id)
        # It is not calling now, but it may have been when it stood in the way. What it found out it wrote before its
        # end.
        return await anyio.to_thread.run_sync(host.storage.effect, row.scope, row.key) == row

    def _ask_loop(self, effect: EffectCall, command: Intend | Settle) -> Effect | None:
        drive = self._drive
        answered = threading.Event()
        found: list[Effect | None] = []
        errors: list[BaseException] = []

        async def answer() -> None:
            try:
                found.append(await self._do(effect, command))
            except Exception as error:  # handed over to the thread that asked
                errors.append(error)
            finally:
                answered.set()

        def begin() -> None:
            if isinstance(command, Settle):
                # What is known now is worth writing for as long as the run is ours, also where nothing new may begin.
                if drive.writes and drive.leaving in (None, Leaving.RELEASED):
                    self._write_down(effect, command)
                    found.append(None)
                answered.set()
            elif drive.takes_tasks and not drive.cancelling and drive.leaving in (None, Leaving.RELEASED):
                drive.tasks.start_soon(answer)
            else:
                answered.set()

        if drive.host.bridge.call_soon(begin):
            answered.wait()
        if errors:
            raise errors[0]
        if not found:  # the run was cancelled or lost meanwhile: the thread leaves as fast as it can
            raise Parked
        return found[0]


async def _invoke(function: Callable[[], Awaitable[Any] | Any]) -> Reply:
    try:
        value = function()
        return Returned(await value if isinstance(value, Awaitable) else value)
    except Exception as error:  # foreign code: the effect
        return Raised(error)


def _invoke_here(function: Callable[[], Any]) -> Reply:
    try:
        return Returned(function())
    except Exception as error:  # foreign code: the effect
        return Raised(error)
