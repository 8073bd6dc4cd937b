"""How a verb finds, makes, closes and commits its journal entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trivium.engine.drive import Drive, unwound
from trivium.json import JsonText
from trivium.model.commit import Applied, Broken, Refused, Result, RunUnit
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import StepStatus


class Recorder:
    """The entries that the verbs of one drive make. A `key` is explicit where it is not None; else verbs of equal name
    and input are told apart by their order."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive

    def find(self, kind: EntryKind, key: str | None, name: str, mark: str | None) -> Entry | None:
        """What the journal has for a verb.

        :raises KeyReused: the explicit key was recorded for something else
        """
        journal = self._drive.journal
        return journal.take(kind, name, mark) if key is None else journal.find(kind, key, name, mark)

    def entry(
        self, kind: EntryKind, key: str | None, name: str, status: StepStatus, *, mark: str | None = None
    ) -> Entry:
        """A new entry, not yet committed."""
        journal = self._drive.journal
        return Entry(
            seq=journal.next_seq(),
            key=journal.free_key(kind, name) if key is None else key,
            kind=kind,
            name=name,
            status=status,
            generation=journal.generation,
            input_hash=mark,
            started_at=self._drive.host.clock.now(),
        )

    def unit(self, *entries: Entry) -> RunUnit:
        """A unit of this run with these entries."""
        return RunUnit(run_id=self._drive.run_id, epoch=self._drive.epoch, entries=entries)

    def closing(
        self, entry: Entry, status: StepStatus, output: JsonText | None, error: Failure | None = None
    ) -> RunUnit:
        """The commit of a wait's end, to be submitted at once. The waiting entry itself stays as it is."""
        self._drive.closes(entry.seq)
        last = replace(
            entry,
            status=status,
            output=output,
            error=error,
            wait_reason=None,
            due_at=None,
            attempts=1,
            generation=self._drive.journal.generation,
            finished_at=self._drive.host.clock.now(),
        )
        return self.unit(last)

    async def commit(self, unit: RunUnit, *, first: Callable[[Result], None] | None = None) -> Applied:
        """Commit what a verb did; raises what refused it. `first` as of the committer."""
        result = await self._drive.host.committer.commit(unit, first=first)
        if isinstance(result, (Refused, Broken)):
            raise result.error
        applied = self.take_in(unit, result)
        if applied is None:
            await unwound()
        return applied

    def take_in(self, unit: RunUnit, result: Result) -> Applied | None:
        """What follows from a commit; None if it was not applied, and the drive is on its way out."""
        drive = self._drive
        if not isinstance(result, Applied):
            drive.not_applied(result)
            return None
        for entry in unit.entries:
            if entry.status.terminal:
                drive.journal.record(entry)
                drive.teller.entry_ended(entry)
        if unit.shows_progress:
            drive.got_on()
        drive.wake_seq_seen(result.wake_seq)
        return result
