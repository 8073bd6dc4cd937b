"""One step of a run: its attempts, its delays, and the commit that holds its outcome with all that it published."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio

from trivium.clock import SECOND, Micros
from trivium.engine.buffer import StepBuffer, StepScope
from trivium.engine.drive import Drive, Leaving, is_of_user
from trivium.engine.effects import AskEffect
from trivium.engine.waiting import Wait
from trivium.errors import InvalidInput, NotJson, Parked, RegistrationError, TooLarge, TriviumError
from trivium.executors.port import Call
from trivium.json import JsonText, JsonValue, digest, dumps, loads
from trivium.model.commit import Applied, Broken, End, Refused, Result, RunUnit
from trivium.model.context import Outcome
from trivium.model.failure import Failure, failure_of
from trivium.model.journal import Entry, EntryKind
from trivium.model.policies import Delivery, Overlap, Retry, next_delay
from trivium.model.states import FailureKind, StepStatus, WaitReason
from trivium.registry import INLINE, Action

STUCK_LOOK = 0.1
"""Seconds, at least, between two looks whether a thread that hung has ended: a timeout may be next to nothing."""


class StepCall:
    """A step that was asked for and has not ended."""

    __slots__ = (
        "action",
        "attempt",
        "begun_at",
        "done",
        "error",
        "exhausted",
        "input_hash",
        "interrupted",
        "key",
        "own",
        "retry",
        "seq",
        "shape",
        "text",
        "timeout",
        "total_timeout",
        "wait",
    )

    def __init__(
        self,
        key: str,
        seq: int,
        action: Action,
        text: JsonText,
        input_hash: str,
        done: Callable[[Outcome], None],
        *,
        retry: Retry,
        timeout: float | None,
        total_timeout: float | None,
    ) -> None:
        self.key = key
        self.seq = seq
        self.action = action
        self.text = text
        self.input_hash = input_hash
        self.done = done
        self.retry = retry
        self.timeout = timeout
        self.total_timeout = total_timeout
        self.attempt = 0
        self.begun_at: Micros | None = None
        self.error: Failure | None = None
        self.wait: Wait | None = None
        self.shape: Callable[[JsonValue], JsonValue] | None = None
        self.own: bool | None = None
        """Whether it is performed in a task of the run; None: find out when it matters."""
        self.interrupted = False
        """A former owner died while an attempt was under way."""
        self.exhausted = False
        """No further attempt may be made, whatever the policy says."""

    def resume(self, entry: Entry) -> None:
        """Go on from what a former owner wrote down."""
        self.seq = entry.seq
        self.interrupted = entry.status is StepStatus.RUNNING
        # An attempt that a crash cut off is made again under its number: the policy counts failures, not crashes.
        self.attempt = max(0, entry.attempts - 1) if self.interrupted else entry.attempts
        self.begun_at = entry.started_at
        self.error = entry.error
        if entry.status is StepStatus.WAITING and entry.wait_reason is WaitReason.RETRY:
            self.wait = Wait(WaitReason.RETRY, due_at=entry.due_at)


class StepPerformer:
    """Performs the steps of one drive."""

    def __init__(self, drive: Drive, scope: StepScope) -> None:
        self._drive = drive
        self._host = drive.host
        self._scope = scope
        self.propose: Callable[[Outcome], End | None] | None = None

    async def perform(self, call: StepCall) -> None:
        """Attempt it until it completes or fails for good, and hand its outcome to the committer; `call.done` is called
        once that is durable. Unwinds quietly when the run leaves memory."""
        drive = self._drive
        drive.openings.begin(call.seq, lambda: self._open_entry(call))
        drive.call_begins()
        try:
            if call.wait is not None:
                await self._delay(call, call.wait)
            if call.begun_at is None:
                call.begun_at = self._host.clock.now()
            while await self._once_more(call):
                pass
        except Parked:
            if drive.leaving is None and not drive.cancelling:  # an action raised it: only the engine may
                self._fail(call, Failure(code="TRV-4012", message="the action raised Parked by itself"))
        finally:
            drive.call_ends()

    async def _once_more(self, call: StepCall) -> bool:
        """One attempt and what follows from it; whether another attempt is to be made."""
        drive, host = self._drive, self._host
        action = call.action
        call.attempt += 1
        drive.teller.step_started(call.key, action.name, call.attempt)
        if action.delivery is Delivery.AT_MOST_ONCE and not await self._begin_at_most_once(call):
            return False
        buffer = self._scope.buffer(call.key, call.attempt) if action.context_parameter is not None else None
        try:
            found = await self._attempt(call, buffer)
        except AskEffect as ask:
            await self._ask(call, ask)
            return True
        if isinstance(found, str):
            self._complete(call, found, buffer)
            return False
        call.error = found
        delay = self._next_delay(call, found)
        if delay is None:
            self._fail(call, found)
            return False
        due_at = Micros(host.clock.now() + round(delay * SECOND))
        wait = Wait(WaitReason.RETRY, due_at=due_at)
        call.wait = wait
        unit = RunUnit(run_id=drive.run_id, epoch=drive.epoch, entries=[self._open_entry(call)])
        result = await host.committer.commit(unit)
        if not isinstance(result, Applied):
            drive.not_applied(result)
            return False
        drive.wake_seq_seen(result.wake_seq)
        drive.teller.step_retrying(call.key, action.name, call.attempt, found, due_at)
        await self._delay(call, wait)
        return True

    async def _delay(self, call: StepCall, wait: Wait) -> None:
        call.wait = wait
        await self._drive.activity.wait(wait, own=call.own)
        call.wait = None

    def _next_delay(self, call: StepCall, failure: Failure) -> float | None:
        if call.exhausted:
            return None
        delay = next_delay(call.retry, attempt=call.attempt, failure=failure, seed=f"{self._drive.run_id}/{call.key}")
        if delay is None or call.total_timeout is None or call.begun_at is None:
            return delay
        left = call.total_timeout - (self._host.clock.now() - call.begun_at) / SECOND
        return delay if delay < left else None

    async def _begin_at_most_once(self, call: StepCall) -> bool:
        """Make the start durable before the call; False if a former owner had already begun it."""
        if call.interrupted:
            failure = Failure(
                code="TRV-4013",
                message="its worker died after it had begun; it is declared at_most_once, so it is not repeated",
                kind=FailureKind.UNKNOWN,
            )
            self._fail(call, failure)
            return False
        unit = RunUnit(run_id=self._drive.run_id, epoch=self._drive.epoch, entries=[self._open_entry(call)])
        result = await self._host.committer.commit(unit)
        if not isinstance(result, Applied):
            self._drive.not_applied(result)
            return False
        return True

    # --- one attempt -----------------------------------------------------------------------------

    async def _attempt(self, call: StepCall, buffer: StepBuffer | None) -> JsonText | Failure:
        """The output's text, or why it failed. Nothing that the user's function does gets out of here but
        cancellation."""
        action = call.action
        try:
            arguments = action.input.bind(call.text)
        except InvalidInput as error:
            return failure_of(error, kind=FailureKind.SCHEMA)
        executor = self._host.executors.get(action.executor)
        if executor is None:
            missing = RegistrationError(
                f"action {action.name!r} asks for executor {action.executor!r}, which is not there"
            )
            return failure_of(missing)
        if buffer is not None and action.context_parameter is not None:
            arguments[action.context_parameter] = buffer.context()
        timeout = self._attempt_timeout(call)
        try:
            if timeout is None:
                job = Call(action.function, arguments, action.is_async, self._label(call))
                value = await executor.run(job)
            else:
                timed = await self._timed(call, arguments, timeout, buffer)
                if isinstance(timed, Failure):
                    return timed
                (value,) = timed
        except (Parked, AskEffect):
            raise
        except BaseException as error:  # foreign code: the action
            interrupted = (
                isinstance(error, KeyboardInterrupt) and action.executor != INLINE
            )  # then nobody pressed Ctrl-C
            if not interrupted and not is_of_user(error):
                raise
            return failure_of(error)
        try:
            text = action.output.encode(value, what=f"output of {call.key!r}")
            return text if call.shape is None else dumps(call.shape(loads(text)))
        except (NotJson, TooLarge, TriviumError) as error:
            return failure_of(error, kind=FailureKind.SCHEMA)
        except Exception as error:  # foreign code: serialisers of the user's types
            return failure_of(error, kind=FailureKind.SCHEMA)

    def _label(self, call: StepCall) -> str:
        return f"{self._drive.run_id}/{call.key}"

    def _attempt_timeout(self, call: StepCall) -> float | None:
        if call.total_timeout is None or call.begun_at is None:
            return call.timeout
        left = call.total_timeout - (self._host.clock.now() - call.begun_at) / SECOND
        return max(0.0, left) if call.timeout is None else max(0.0, min(left, call.timeout))

    async def _timed(
        self, call: StepCall, arguments: Mapping[str, object], timeout: float, buffer: StepBuffer | None
    ) -> tuple[object] | Failure:
        """The call under a timeout that starts when it really begins."""
        host, action, drive = self._host, call.action, self._drive
        executor = host.executors[action.executor]
        label = self._label(call)
        expired = False
        timer = None
        value: tuple[object] | None = None
        with anyio.CancelScope() as scope:

            def expire() -> None:
                nonlocal expired
                expired = True
                if buffer is not None:
                    buffer.cancelled = True
                scope.cancel()

            def begin() -> None:
                nonlocal timer
                timer = host.timers.after(timeout, expire)

            try:
                job = Call(action.function, arguments, action.is_async, label, begin)
                value = (await executor.run(job),)
            except Exception:  # foreign code: raised in place of its cancellation, it does not hide that it was late
                if not expired:
                    raise
            finally:
                if timer is not None:
                    timer.cancel()
        if not expired and value is not None:
            return value
        message = f"attempt {call.attempt} took longer than its timeout of {timeout:g} s"
        if executor.is_stuck(label):
            drive.stuck_labels.add(label)
            # One more timeout: a thread cannot be stopped, and two attempts at once are what nobody expects.
            forbidden = action.overlap is not Overlap.ALLOW
            if forbidden and await executor.wait_unstuck(label, timeout):
                drive.stuck_labels.discard(label)
                return Failure(code="TRV-4009", message=message, kind=FailureKind.TIMEOUT)
            every = max(timeout, STUCK_LOOK)
            host.timers.after(every, lambda: self._unstick(label, every))
            if forbidden:
                call.exhausted = True
                return Failure(
                    code="TRV-4014",
                    message=f"{message}, and its thread still runs; it is not tried again beside it",
                    kind=FailureKind.TIMEOUT,
                )
        return Failure(code="TRV-4009", message=message, kind=FailureKind.TIMEOUT)

    def _unstick(self, label: str, every: float) -> None:
        """Look again whether a thread that hung has ended."""
        if any(executor.is_stuck(label) for executor in self._host.executors.values()):
            self._host.timers.after(every, lambda: self._unstick(label, every))
        else:
            self._drive.stuck_labels.discard(label)

    async def _ask(self, call: StepCall, ask: AskEffect) -> None:
        """Wait for a person's word on an effect. The attempt goes on behind it, as the same attempt."""
        call.attempt -= 1

        async def wait(wait: Wait) -> None:
            await self._delay(call, wait)

        await self._scope.ledger.ask(ask, call.key, wait)

    # --- its commit ------------------------------------------------------------------------------

    def _open_entry(self, call: StepCall) -> Entry:
        """The call as it stands, for those who look."""
        wait = call.wait
        return Entry(
            seq=call.seq,
            key=call.key,
            kind=EntryKind.STEP,
            name=call.action.name,
            status=StepStatus.RUNNING if wait is None else StepStatus.WAITING,
            generation=self._drive.journal.generation,
            attempts=call.attempt,
            input_hash=call.input_hash,
            error=call.error,
            wait_reason=None if wait is None else wait.reason,
            due_at=None if wait is None else wait.due_at,
            started_at=call.begun_at,
        )

    def _complete(self, call: StepCall, text: JsonText, buffer: StepBuffer | None) -> None:
        entry = self._last_entry(call, StepStatus.COMPLETED)
        entry.output = text
        self._submit(call, entry, buffer)

    def _fail(self, call: StepCall, failure: Failure) -> None:
        entry = self._last_entry(call, StepStatus.FAILED)
        entry.error = failure
        self._submit(call, entry, None)

    def _last_entry(self, call: StepCall, status: StepStatus) -> Entry:
        return Entry(
            seq=call.seq,
            key=call.key,
            kind=EntryKind.STEP,
            name=call.action.name,
            status=status,
            generation=self._drive.journal.generation,
            attempts=call.attempt,
            input_hash=call.input_hash,
            started_at=call.begun_at,
            finished_at=self._host.clock.now(),
        )

    def _submit(self, call: StepCall, entry: Entry, buffer: StepBuffer | None) -> None:
        drive = self._drive
        if drive.leaving is Leaving.LOST:
            return
        outcome = outcome_of(entry)
        end = None
        if self.propose is not None:
            try:
                end = self.propose(outcome)
            except Exception as error:  # foreign code: the driver's
                drive.break_off(failure_of(error))
        unit = RunUnit(run_id=drive.run_id, epoch=drive.epoch, entries=(entry,), then=end)
        if end is not None and drive.openings.notes:
            unit.notes = drive.openings.take_notes()
        if buffer is not None:
            buffer.fill(unit)
        drive.closes(call.seq)
        drive.call_begins()  # a run is not handed back behind an outcome that may be its end
        self._host.committer.submit(unit, lambda result: self._settled(call, entry, outcome, unit, result))

    def _settled(self, call: StepCall, entry: Entry, outcome: Outcome, unit: RunUnit, result: Result) -> None:
        drive = self._drive
        try:
            self._settle(call, entry, outcome, unit, result)
        finally:
            drive.call_ends()

    def _settle(self, call: StepCall, entry: Entry, outcome: Outcome, unit: RunUnit, result: Result) -> None:
        drive = self._drive
        if isinstance(result, Applied):
            drive.teller.entry_ended(entry)
            for new, started in zip(unit.starts, result.started, strict=True):
                self._host.adopt(new, started)
            if isinstance(unit.then, End):
                drive.end_is_durable(unit.then)
            else:
                drive.got_on()
                drive.wake_seq_seen(result.wake_seq)
            call.done(outcome)
        elif isinstance(result, (Refused, Broken)) and entry.status is StepStatus.COMPLETED:
            self._fail(call, failure_of(result.error, kind=FailureKind.CONFLICT))
        else:  # also a failure that the store does not take: it would refuse the next one too
            drive.not_applied(result)


def outcome_of(entry: Entry) -> Outcome:
    """A finished entry as its driver sees it: the value is a fresh one, whatever the action keeps of its own."""
    return Outcome(
        key=entry.key,
        status=entry.status,
        output=loads(entry.output) if entry.output is not None else None,
        error=entry.error,
        attempts=entry.attempts,
    )


def input_mark(text: JsonText) -> str:
    """The hash of a canonical input, as the journal keeps it."""
    return digest(text)[:32]
