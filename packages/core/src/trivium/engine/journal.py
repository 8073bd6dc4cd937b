"""A run's journal in memory: which entry a verb finds, and which key a new one gets. No input or output."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from trivium.errors import Conflict
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import StepStatus


class KeyReused(Conflict):
    """An explicit key was met again with another action or another input."""

    code = "TRV-3005"

    def __init__(self, key: str, recorded: str, asked: str) -> None:
        self.key, self.recorded, self.asked = key, recorded, asked
        super().__init__(
            f"step {key!r} was recorded as {recorded} and is now asked for as {asked}",
            hint="give each call a key of its own, and put volatile inputs (times, random ids) into a step",
        )


class Journal:
    """The entries that count in the run's generation: those that completed, wait or run, and children that were
    started."""

    def __init__(self, entries: Iterable[Entry], *, generation: int) -> None:
        self.generation = generation
        self._by_key: dict[str, Entry] = {}
        self._automatic: dict[tuple[EntryKind, str, str | None], deque[Entry]] = {}
        self._unasked: dict[int, Entry] = {}
        self._counts: dict[str, int] = {}
        self._next_seq = generation << 32  # above all entries of older generations, which are not all brought along
        for entry in entries:
            self._next_seq = max(self._next_seq, entry.seq + 1)
            if entry.generation < generation and not _outlives(entry):
                continue
            older = self._by_key.get(entry.key)
            if older is not None:
                self._unasked.pop(older.seq, None)
            self._by_key[entry.key] = entry
            self._unasked[entry.seq] = entry
        for entry in self._by_key.values():
            self._automatic.setdefault((entry.kind, entry.name, entry.input_hash), deque()).append(entry)

    def __len__(self) -> int:
        return len(self._by_key)

    def next_seq(self) -> int:
        seq = self._next_seq
        self._next_seq = seq + 1
        return seq

    def find(self, kind: EntryKind, key: str, name: str, input_hash: str | None) -> Entry | None:
        """The entry under an explicit key.

        :raises KeyReused: it was recorded for something else
        """
        entry = self._by_key.get(key)
        if entry is None:
            return None
        if entry.kind is not kind or entry.name != name or entry.input_hash != input_hash:
            raise KeyReused(key, _describe(entry.kind, entry.name, entry.input_hash), _describe(kind, name, input_hash))
        self._unasked.pop(entry.seq, None)
        return entry

    def take(self, kind: EntryKind, name: str, input_hash: str | None) -> Entry | None:
        """The oldest entry of this verb, name and input that was not taken yet; each is taken once."""
        found = self._automatic.get((kind, name, input_hash))
        while found:
            entry = found.popleft()
            if entry.seq in self._unasked:
                del self._unasked[entry.seq]
                return entry
        return None

    def free_key(self, kind: EntryKind, name: str) -> str:
        """The lowest free automatic key: `sleep:nap`, then `sleep:nap#2`, ..."""
        base = f"{kind}:{name}"
        count = self._counts.get(base, 0) + 1
        while (key := base if count == 1 else f"{base}#{count}") in self._by_key:
            count += 1
        self._counts[base] = count
        return key

    def record(self, entry: Entry) -> None:
        """An entry that this drive made or changed."""
        self._by_key[entry.key] = entry

    def unasked(self) -> list[str]:
        """Keys of finished entries that the code did not ask for this time."""
        return [entry.key for entry in self._unasked.values() if entry.status is StepStatus.COMPLETED]


def _outlives(entry: Entry) -> bool:
    """Whether an entry counts in later generations: what completed, and children, which are retried, not started
    again."""
    return entry.status is StepStatus.COMPLETED or (entry.kind is EntryKind.CHILD and entry.child_id is not None)


def _describe(kind: EntryKind, name: str, input_hash: str | None) -> str:
    return f"{kind} {name!r} with input {input_hash[:12] if input_hash else 'none'}"
