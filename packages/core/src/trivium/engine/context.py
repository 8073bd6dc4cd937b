"""The verbs of a driver, over one drive. Each looks into the journal first, and commits before it returns."""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import anyio
import anyio.lowlevel
from typing_extensions import override

from trivium.clock import Micros
from trivium.engine.branches import gather
from trivium.engine.buffer import StepScope, check_channels
from trivium.engine.children import Child, settle
from trivium.engine.drive import Drive
from trivium.engine.effects import AskEffect, EffectCall, Ledger
from trivium.engine.launches import Launches
from trivium.engine.recorder import Recorder
from trivium.engine.runs import check_key, new_child
from trivium.engine.step import StepCall, StepPerformer, input_mark, outcome_of
from trivium.engine.waiting import Wait
from trivium.errors import Conflict, StepFailed, UsageError, WaitTimeout
from trivium.ids import RunId
from trivium.json import NULL, JsonValue, dumps, loads
from trivium.model.commit import Applied, End, NewMessage, NewSignal, Result, RunUnit, Woken
from trivium.model.context import ChildRun, Outcome, RunContext
from trivium.model.effects import OnUnknown
from trivium.model.failure import Failure, step_failed
from trivium.model.inbox import ItemKind
from trivium.model.journal import Entry, EntryKind
from trivium.model.policies import Duration, Retry, micros, seconds
from trivium.model.runs import Cause
from trivium.model.states import FailureKind, StepStatus, WaitReason

T = TypeVar("T")

_log = logging.getLogger("trivium.run")


@dataclass(frozen=True, slots=True)
class Options:
    """What a view of the context changes about its verbs."""

    retry: Retry | None = None
    timeout: float | None = None
    total_timeout: float | None = None
    key: str | None = None
    queue: str | None = None
    priority: int | None = None


class DriveContext(RunContext):
    """The `RunContext` of one drive. Views made by `options` share everything but the options."""

    def __init__(self, drive: Drive) -> None:
        record = drive.record
        self.run_id = record.id
        self.root_id = record.root_id
        self.parent_id = record.parent_id
        self.kind = record.kind
        self.name = record.name
        self.inputs = loads(record.inputs)
        self.definition_id = drive.definition.id
        self.labels = record.labels
        self.logger = logging.LoggerAdapter(_log, {"run_id": record.id})
        self._drive = drive
        self._host = drive.host
        self._ledger = Ledger(drive)
        self._scope = StepScope(drive, self._ledger)
        self._steps = StepPerformer(drive, self._scope)
        self._open_keys: set[str] = set()
        self._options = Options()
        self._launches = Launches(drive, self._steps)
        self._recorder = Recorder(drive)
        drive.on_leaving = self._launches.wake

    @property
    @override
    def definition(self) -> JsonValue:
        return loads(self._drive.definition.body)

    @override
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
        check_key(key)
        view = copy.copy(self)
        old = self._options
        view._options = Options(
            retry=retry if retry is not None else old.retry,
            timeout=seconds(timeout) if timeout is not None else old.timeout,
            total_timeout=seconds(total_timeout) if total_timeout is not None else old.total_timeout,
            key=key if key is not None else old.key,
            queue=queue if queue is not None else old.queue,
            priority=priority if priority is not None else old.priority,
        )
        return view

    # --- steps -----------------------------------------------------------------------------------

    @override
    async def step(self, key: str, action: str | Callable[..., Any], /, **input: Any) -> JsonValue:
        self._drive.check_leaving()
        ended = anyio.Event()
        outcomes: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            ended.set()

        found = self._call(key, action, input, done)
        if isinstance(found, Entry):
            done(outcome_of(found))
        else:
            self._open_keys.add(key)
            foreign = False
            try:
                foreign = await self._drive.activity.pin(f"step {key!r}")
                await self._steps.perform(found)
                if not outcomes:
                    self._drive.check_leaving()
                    await ended.wait()
            finally:
                self._open_keys.discard(key)
                if foreign:
                    self._drive.activity.suspend()
        (outcome,) = outcomes
        if not isinstance(found, Entry):
            self._drive.journal.record(_entry_of(found, outcome, self._drive.journal.generation))
        return _value_of(outcome)

    def _call(
        self, key: str, action: str | Callable[..., Any], input: Mapping[str, Any], done: Callable[[Outcome], None]
    ) -> StepCall | Entry:
        """The call to make, or the entry that says how it ended."""
        self._refuse("a step", "key", "queue", "priority")
        found = self._host.registry.action(action)
        text = dumps(input, what=f"input of {key!r}")
        mark = input_mark(text)
        journal = self._drive.journal
        entry = journal.find(EntryKind.STEP, key, found.name, mark)
        if entry is not None and entry.status.terminal:
            return entry
        if key in self._open_keys:
            raise Conflict(f"step {key!r} is under way already", hint="give each call a key of its own")
        options = self._options
        call = StepCall(
            key,
            journal.next_seq() if entry is None else entry.seq,
            found,
            text,
            mark,
            done,
            retry=options.retry or found.retry,
            timeout=options.timeout if options.timeout is not None else found.timeout,
            total_timeout=options.total_timeout if options.total_timeout is not None else found.total_timeout,
        )
        if entry is None:
            check_key(key)
        else:
            call.resume(entry)
        return call

    @override
    def launch(
        self,
        key: str,
        action: str | Callable[..., Any],
        /,
        input: Mapping[str, JsonValue],
        *,
        shape: Callable[[JsonValue], JsonValue] | None = None,
    ) -> None:
        self._drive.check_leaving()
        launches = self._launches
        found = self._call(key, action, input, launches.done)
        if isinstance(found, Entry):
            launches.add_outcome(outcome_of(found))
        else:
            found.shape = shape
            found.own = True
            launches.add(found)
            self._open_keys.add(key)  # for good: a graph asks for each of its steps once

    @override
    async def collect(self, *, wait: bool = True) -> Sequence[Outcome]:
        return await self._launches.collect(wait=wait)

    @override
    def propose_end(self, decide: Callable[[Outcome], End | None]) -> None:
        if not self._drive.driver.pure:
            raise UsageError(f"driver {self.kind!r} is not declared pure, so it cannot propose an end")
        self._steps.propose = decide

    @override
    def show_outputs(self, outputs: Callable[[str], Mapping[str, JsonValue]]) -> None:
        """What `StepContext.outputs` of a step shows, by its key."""
        self._scope.outputs = outputs

    # --- children --------------------------------------------------------------------------------

    @override
    async def start(self, target: object, inputs: JsonValue = None, /) -> Child:
        drive, options = self._drive, self._options
        drive.check_leaving()
        self._refuse("a child run", "retry", "timeout", "total_timeout")
        prepared = self._host.prepare(target, inputs)
        mark = input_mark(dumps(prepared.inputs, what="inputs"))
        entry = self._recorder.find(EntryKind.CHILD, self._options.key, prepared.target, mark)
        if entry is not None:
            return Child(drive, entry)
        entry = self._recorder.entry(EntryKind.CHILD, options.key, prepared.target, StepStatus.WAITING, mark=mark)
        new = new_child(
            drive.record,
            prepared,
            entry.key,
            queue=options.queue,
            priority=options.priority,
            claim_by=self._host.claimer(prepared.definition) if options.queue is None else None,
        )
        entry.wait_reason = WaitReason.CHILD
        entry.child_id = new.id
        entry.attempts = 1
        unit = self._recorder.unit(entry)
        unit.starts = [new]

        def adopt(result: Result) -> None:
            if isinstance(result, Applied):
                self._host.adopt(new, result.started[0])

        # Not behind the await: where this run is cancelled meanwhile, the child may be ours to drive all the same.
        await self._recorder.commit(unit, first=adopt)
        drive.journal.record(entry)
        return Child(drive, entry)

    @override
    async def results(self, *children: ChildRun, return_errors: bool = False) -> Sequence[JsonValue | StepFailed]:
        own = [child for child in children if isinstance(child, Child)]
        if len(own) < len(children):
            raise UsageError("results() takes what this context's start() returned")
        await settle(self._drive, own)
        values: list[JsonValue | StepFailed] = []
        errors: list[StepFailed] = []
        for child in own:
            try:
                values.append(child.value())
            except StepFailed as error:
                values.append(error)
                errors.append(error)
        if errors and not return_errors:
            raise errors[0]
        return values

    # --- waiting ---------------------------------------------------------------------------------

    @override
    async def sleep(self, duration: Duration | None = None, *, until: Micros | None = None) -> None:
        drive = self._drive
        drive.check_leaving()
        if (duration is None) == (until is None):
            raise UsageError("sleep takes either a duration or until")
        mark = input_mark(dumps([duration, until]))
        entry = self._recorder.find(EntryKind.SLEEP, self._options.key, "sleep", mark)
        if entry is not None and entry.status.terminal:
            return
        if entry is None or entry.due_at is None:
            entry = self._recorder.entry(EntryKind.SLEEP, self._options.key, "sleep", StepStatus.WAITING, mark=mark)
            entry.wait_reason = WaitReason.TIMER
            entry.due_at = until if until is not None else Micros(self.now() + micros(duration))
        waiting = entry
        drive.openings.begin(entry.seq, lambda: replace(waiting))
        wait = Wait(WaitReason.TIMER, due_at=entry.due_at)
        while self.now() < (entry.due_at or 0):
            await drive.activity.wait(wait)
            wait = Wait(WaitReason.TIMER, due_at=entry.due_at)
        await self._recorder.commit(self._recorder.closing(entry, StepStatus.COMPLETED, NULL))

    @override
    async def wait(self, signal: str, *, timeout: Duration | None = None) -> JsonValue:
        drive = self._drive
        drive.check_leaving()
        mark = input_mark(dumps([signal, timeout]))
        entry = self._recorder.find(EntryKind.WAIT, self._options.key, signal, mark)
        if entry is not None and entry.status.terminal:
            return _waited(entry)
        if entry is None:
            entry = self._recorder.entry(EntryKind.WAIT, self._options.key, signal, StepStatus.WAITING, mark=mark)
            entry.wait_reason = WaitReason.SIGNAL
            entry.due_at = None if timeout is None else Micros(self.now() + micros(timeout))
        waiting = entry
        while True:
            drive.openings.begin(entry.seq, lambda: replace(waiting))
            item = drive.mailbox.take(ItemKind.SIGNAL, signal)
            if item is not None:
                unit = self._recorder.closing(entry, StepStatus.COMPLETED, item.payload)
                unit.consumed = [item.seq]
                await self._recorder.commit(unit)
                return loads(item.payload)
            if entry.due_at is not None and self.now() >= entry.due_at:
                failure = Failure(code=WaitTimeout.code, message=str(WaitTimeout(entry.key)), kind=FailureKind.TIMEOUT)
                if await self._commit_unless_woken(self._recorder.closing(entry, StepStatus.FAILED, None, failure)):
                    raise WaitTimeout(entry.key)
                continue
            wait = Wait(WaitReason.SIGNAL, kind=ItemKind.SIGNAL, names=(signal,), due_at=entry.due_at)
            await drive.activity.wait(wait)

    async def _commit_unless_woken(self, unit: RunUnit) -> bool:
        """A timeout holds only if nothing came to the inbox before its commit; else it is looked at first."""
        drive = self._drive
        unit.expect_wake = drive.wake_seen
        result = await self._host.committer.commit(unit)
        if isinstance(result, Woken):
            await drive.next_delivery(result.wake_seq)
            return False
        self._recorder.take_in(unit, result)
        return True

    # --- effects, signals, messages --------------------------------------------------------------

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
        drive = self._drive
        drive.check_leaving()
        journal_key = f"{EntryKind.EFFECT}:{key}" if scope is None else f"{EntryKind.EFFECT}:{key} of {scope}"
        entry = drive.journal.find(EntryKind.EFFECT, journal_key, key, None)
        if entry is not None and entry.output is not None:
            recorded: Any = loads(entry.output)
            return recorded  # type: ignore[no-any-return]  # the effect's type is its user's word
        began = self.now()
        effect = EffectCall(key, journal_key, call, verify, on_unknown, scope)
        foreign = await drive.activity.pin(f"effect {key!r}")
        try:
            value = await self._perform_effect(effect)
        finally:
            if foreign:
                drive.activity.suspend()
        entry = self._recorder.entry(EntryKind.EFFECT, journal_key, key, StepStatus.COMPLETED)
        entry.output = dumps(value)
        entry.attempts = 1
        entry.started_at, entry.finished_at = began, self.now()
        await self._recorder.commit(self._recorder.unit(entry))
        return value  # type: ignore[no-any-return]  # as above

    async def _perform_effect(self, effect: EffectCall) -> Any:
        while True:
            try:
                return await self._ledger.perform(effect)
            except AskEffect as asked:
                await self._ledger.ask(asked, effect.step_key, self._drive.activity.wait)

    @override
    async def signal(self, run_id: RunId, name: str, payload: JsonValue = None) -> None:
        text = dumps(payload, what="payload")
        signal = NewSignal(run_id, name, text, cause=Cause(self.run_id))
        unit = self._recorder.unit()
        unit.signals = [signal]
        await self._once_journaled(EntryKind.SIGNAL, name, input_mark(dumps([run_id, text])), unit)

    @override
    async def publish(self, channel: str, payload: JsonValue, *, key: str | None = None) -> None:
        check_channels(self._host.storage.capabilities)
        text = dumps(payload, what="payload")
        message = NewMessage(channel, text, key, cause=Cause(self.run_id))
        unit = self._recorder.unit()
        unit.messages = [message]
        await self._once_journaled(EntryKind.PUBLISH, channel, input_mark(dumps([key, text])), unit)

    async def _once_journaled(self, kind: EntryKind, name: str, mark: str, unit: RunUnit) -> None:
        """Commit `unit` with an entry of its own, unless the journal has it."""
        self._drive.check_leaving()
        if self._recorder.find(kind, self._options.key, name, mark) is not None:
            return
        entry = self._recorder.entry(kind, self._options.key, name, StepStatus.COMPLETED, mark=mark)
        entry.attempts = 1
        entry.output = NULL
        entry.finished_at = entry.started_at
        unit.entries = [entry]
        await self._recorder.commit(unit)

    # --- concurrency -----------------------------------------------------------------------------

    @override
    async def gather(self, *branches: Callable[[], Awaitable[T]], return_errors: bool = False) -> Sequence[T]:
        return await gather(self._drive, branches, return_errors=return_errors)

    # --- small things ----------------------------------------------------------------------------

    def _refuse(self, verb: str, *names: str) -> None:
        """Options that a verb cannot go by are a mistake, not to be passed over in silence."""
        given = [name for name in names if getattr(self._options, name) is not None]
        if given:
            raise UsageError(f"{verb} does not take {', '.join(given)}", hint="leave it out of options()")

    @override
    def note(self, text: str) -> None:
        self._drive.openings.note(text)

    @override
    def now(self) -> Micros:
        return self._host.clock.now()


def _entry_of(call: StepCall, outcome: Outcome, generation: int) -> Entry:
    """What a second `step` under the same key finds within one drive."""
    return Entry(
        seq=call.seq,
        key=call.key,
        kind=EntryKind.STEP,
        name=call.action.name,
        status=outcome.status,
        generation=generation,
        attempts=outcome.attempts,
        input_hash=call.input_hash,
        output=None if outcome.error is not None else dumps(outcome.output),
        error=outcome.error,
    )


def _value_of(outcome: Outcome) -> JsonValue:
    if outcome.ok:
        return outcome.output
    raise step_failed(outcome.key, outcome.status, outcome.error)


def _waited(entry: Entry) -> JsonValue:
    if entry.status is StepStatus.COMPLETED:
        return loads(entry.output or NULL)
    raise WaitTimeout(entry.key)
