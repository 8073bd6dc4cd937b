"""What a run has begun and not ended, and its lines for the history: both ride along with other commits."""

from __future__ import annotations

from collections.abc import Callable

from trivium.clock import Micros
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import StepStatus


class Openings:
    """The open entries of one run, by seq, each as a function that writes down how it stands."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._open: dict[int, Callable[[], Entry]] = {}
        self._noted: set[int] = set()
        """Those that the store has."""

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, seq: int, entry: Callable[[], Entry]) -> None:
        """Something has begun under `seq`."""
        self._open[seq] = entry

    def close(self, seq: int) -> None:
        """It has ended. Said when its last state is handed to the committer: from then on the older state must not be
        written any more, since it would land behind, and so over, the last one."""
        self._open.pop(seq, None)
        self._noted.discard(seq)

    def unnoted(self) -> list[Entry]:
        """What is not in the journal yet."""
        return [entry() for seq, entry in self._open.items() if seq not in self._noted]

    def noting(self, begun_before: Micros) -> list[Entry]:
        """What is not in the journal yet and has begun by then: it is written now."""
        found = [entry for entry in self.unnoted() if entry.started_at is not None and entry.started_at <= begun_before]
        self._noted.update(entry.seq for entry in found)
        return found

    def cut_off(self, at: Micros, *, children: bool) -> list[Entry]:
        """How everything open ends when the run does: cancelled; without `children`, those go on and are left out."""
        entries = [entry() for entry in self._open.values()]
        if not children:
            entries = [entry for entry in entries if entry.kind is not EntryKind.CHILD]
        for entry in entries:
            entry.status = StepStatus.CANCELLED
            entry.wait_reason = entry.due_at = None
            entry.finished_at = at
        return entries

    def note(self, text: str) -> None:
        """A line for the history, with the next commit that takes it; once, however often it is said meanwhile."""
        if text not in self.notes:
            self.notes.append(text)

    def take_notes(self) -> list[str]:
        """The lines that wait for a commit: they go with the one that is being made."""
        notes, self.notes = self.notes, []
        return notes
