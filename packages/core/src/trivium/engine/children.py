"""Child runs, seen from their parent: one journal entry each, `waiting` until the child's end is taken out of the
inbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from typing_extensions import override

from trivium.engine.drive import Drive, unwound
from trivium.engine.waiting import Wait
from trivium.ids import RunId
from trivium.json import JsonValue, dumps, loads
from trivium.model.commit import Applied, RunUnit
from trivium.model.context import ChildRun
from trivium.model.failure import Failure, step_failed
from trivium.model.inbox import ItemKind, child_end
from trivium.model.journal import Entry
from trivium.model.states import StepStatus, WaitReason


class Child(ChildRun):
    """The handle that `RunContext.start` returns."""

    def __init__(self, drive: Drive, entry: Entry) -> None:
        if entry.child_id is None:
            raise ValueError(f"entry {entry.key!r} has no child")
        self.id: RunId = entry.child_id
        self.entry = entry
        self._drive = drive
        self.looked = drive.epoch == 1
        """Whether an end can have been missed was looked into. A run that is driven for the first time has missed
        none."""
        if not self.settled:
            waiting = replace(entry, status=StepStatus.WAITING, error=None, generation=drive.journal.generation)
            drive.openings.begin(entry.seq, lambda: replace(waiting))

    @property
    def settled(self) -> bool:
        """Its end stands in the journal. A failed child of an older generation is not: it was retried with its
        parent."""
        entry = self.entry
        return entry.status is StepStatus.COMPLETED or (
            entry.status.terminal and entry.generation == self._drive.journal.generation
        )

    def value(self) -> JsonValue:
        """Its output, once it is settled.

        :raises StepFailed: it failed or was cancelled
        """
        entry = self.entry
        if entry.status is StepStatus.COMPLETED:
            return loads(entry.output or "null")
        raise step_failed(entry.key, entry.status, entry.error)

    @override
    async def result(self) -> JsonValue:
        await settle(self._drive, [self])
        return self.value()


async def settle(drive: Drive, children: Sequence[Child]) -> None:
    """Wait until the ends of all of them are in the journal: woken once for all, and with one commit for all that is
    there.

    :raises Parked: the run leaves memory meanwhile
    """
    drive.check_leaving()
    while waiting := {child.id: child for child in children if not child.settled}:
        ended: dict[Child, tuple[str, int | None]] = {
            child: (item.payload, item.seq)
            for child in waiting.values()
            if (item := drive.mailbox.take(ItemKind.CHILD_END, child.id)) is not None
        }
        if ended:
            await _close(drive, ended)
        elif missed := [child for child in waiting.values() if not child.looked]:
            await _look_for_missed(drive, missed)
        else:
            await drive.activity.wait(Wait(WaitReason.CHILD, kind=ItemKind.CHILD_END, names=waiting))


async def _look_for_missed(drive: Drive, children: Sequence[Child]) -> None:
    """Ends whose items went with an end of the parent that a retry took back."""
    ended: dict[Child, tuple[str, int | None]] = {}
    for child in children:
        child.looked = True
        run = await drive.host.read_run(child.id)
        if run is not None and run.status.terminal:
            ended[child] = (child_end(run.status, run.output, run.error), None)
    if ended:
        await _close(drive, ended)


async def _close(drive: Drive, ends: Mapping[Child, tuple[str, int | None]]) -> None:
    """Take the children's ends, each with its inbox item, into the parent's journal, in one commit."""
    closed = {child: _closed(drive, child.entry, payload) for child, (payload, _) in ends.items()}
    for entry in closed.values():
        drive.closes(entry.seq)
    consumed = [seq for _, seq in ends.values() if seq is not None]
    result = await drive.host.committer.commit(
        RunUnit(run_id=drive.run_id, epoch=drive.epoch, entries=list(closed.values()), consumed=consumed)
    )
    if not isinstance(result, Applied):
        drive.not_applied(result)
        await unwound()
    for child, entry in closed.items():
        child.entry = entry
        drive.journal.record(entry)
        drive.wake(ItemKind.CHILD_END, child.id)  # others may wait for this result too, and the item is gone
        drive.teller.entry_ended(entry)
    drive.got_on()
    drive.wake_seq_seen(result.wake_seq)


def _closed(drive: Drive, entry: Entry, end: str) -> Entry:
    found = loads(end)
    if not isinstance(found, dict):
        raise ValueError(f"not a child's end: {end:.80}")
    status = StepStatus(str(found["status"]))
    error = found.get("error")
    return replace(
        entry,
        status=status,
        generation=drive.journal.generation,
        output=dumps(found.get("output")) if status is StepStatus.COMPLETED else None,
        error=None if error is None else Failure.from_text(dumps(error)),
        wait_reason=None,
        finished_at=drive.host.clock.now(),
    )
