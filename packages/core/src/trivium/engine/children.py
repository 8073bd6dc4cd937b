"""A child run, seen from its parent: one journal entry, `waiting` until the child's end is taken out of the inbox."""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import override

from trivium.engine.drive import Drive
from trivium.engine.effects import unwound
from trivium.engine.waiting import Wait
from trivium.errors import StepFailed
from trivium.ids import RunId
from trivium.json import JsonValue, dumps, loads
from trivium.model.commit import Applied, RunUnit
from trivium.model.context import ChildRun
from trivium.model.failure import Failure
from trivium.model.inbox import ItemKind, child_end
from trivium.model.journal import Entry
from trivium.model.states import StepStatus, WaitReason


class Child(ChildRun):
    """The handle that `RunContext.start` returns."""

    def __init__(self, drive: Drive, entry: Entry) -> None:
        if entry.child_id is None:
            raise ValueError(f"entry {entry.key!r} has no child")
        self.id: RunId = entry.child_id
        self._drive = drive
        self._entry = entry
        if not self._settled:
            waiting = replace(entry, status=StepStatus.WAITING, error=None, generation=drive.journal.generation)
            drive.open_entries[entry.seq] = lambda: replace(waiting)

    @property
    def _settled(self) -> bool:
        """A failed child of an older generation is not: it was retried with its parent."""
        entry = self._entry
        return entry.status is StepStatus.COMPLETED or (
            entry.status.terminal and entry.generation == self._drive.journal.generation
        )

    @override
    async def result(self) -> JsonValue:
        drive = self._drive
        drive.check_leaving()
        looked = drive.epoch == 1  # a run that is driven for the first time cannot have missed an end
        while not self._settled:
            item = drive.mailbox.take(ItemKind.CHILD_END, self.id)
            if item is not None:
                await self._close(item.payload, [item.seq])
            elif not looked:
                looked = True
                run = await drive.host.read_run(self.id)
                if run is not None and run.status.terminal:
                    await self._close(child_end(run.status, run.output, run.error), [])
            else:
                await drive.wait(Wait(WaitReason.CHILD, kind=ItemKind.CHILD_END, name=self.id))
        entry = self._entry
        if entry.status is StepStatus.COMPLETED:
            return loads(entry.output or "null")
        error = entry.error
        raise StepFailed(
            entry.key,
            error.message if error is not None else f"its run is {entry.status}",
            kind=error.kind if error is not None else "error",
            failure_code=error.code if error is not None else StepFailed.code,
        )

    async def _close(self, end: str, consumed: list[int]) -> None:
        """Take the child's end into the parent's journal."""
        drive = self._drive
        found = loads(end)
        if not isinstance(found, dict):
            raise ValueError(f"not a child's end: {end:.80}")
        status = StepStatus(str(found["status"]))
        error = found.get("error")
        entry = replace(
            self._entry,
            status=status,
            generation=drive.journal.generation,
            output=dumps(found.get("output")) if status is StepStatus.COMPLETED else None,
            error=None if error is None else Failure.from_text(dumps(error)),
            wait_reason=None,
            finished_at=drive.host.clock.now(),
        )
        drive.closes(entry.seq)
        result = await drive.host.committer.commit(
            RunUnit(run_id=drive.run_id, epoch=drive.epoch, entries=[entry], consumed=consumed)
        )
        if not isinstance(result, Applied):
            drive.not_applied(result)
            await unwound()
        self._entry = entry
        drive.wake(ItemKind.CHILD_END, self.id)  # others may have asked for this result too, and the item is gone
        drive.journal.record(entry)
        if drive.host.listening:
            drive.emit_entry(entry)
        drive.wake_seq_seen(result.wake_seq)
