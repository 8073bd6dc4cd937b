"""Which entry a verb finds on a second drive, and which key a new one gets: by itself, without a store."""

from __future__ import annotations

import pytest

from trivium.engine.journal import Journal, KeyReused
from trivium.engine.mailbox import Mailbox
from trivium.ids import RunId
from trivium.json import dumps
from trivium.model.inbox import Item, ItemKind
from trivium.model.journal import Entry, EntryKind
from trivium.model.states import StepStatus

S, W, C = EntryKind.STEP, EntryKind.WAIT, EntryKind.CHILD


def entry(
    seq: int,
    key: str,
    kind: EntryKind = S,
    *,
    name: str = "work",
    mark: str | None = "m",
    status: StepStatus = StepStatus.COMPLETED,
    generation: int = 0,
    child: str | None = None,
) -> Entry:
    return Entry(
        seq=seq,
        key=key,
        kind=kind,
        name=name,
        status=status,
        generation=generation,
        input_hash=mark,
        child_id=None if child is None else RunId(child),
    )


def test_an_explicit_key_finds_its_entry_however_often():
    journal = Journal([entry(0, "k")], generation=0)

    first, second = journal.find(S, "k", "work", "m"), journal.find(S, "k", "work", "m")
    assert first is second is not None
    assert journal.find(S, "other", "work", "m") is None


@pytest.mark.parametrize(
    ("kind", "name", "mark"), [(W, "work", "m"), (S, "play", "m"), (S, "work", "n"), (S, "work", None)]
)
def test_an_explicit_key_that_was_recorded_for_something_else_is_an_error(kind, name, mark):
    journal = Journal([entry(0, "k")], generation=0)

    with pytest.raises(KeyReused, match="'k'"):
        journal.find(kind, "k", name, mark)


def test_an_automatic_verb_takes_each_entry_of_its_name_and_input_once_oldest_first():
    journal = Journal([entry(0, "wait:go", W, name="go"), entry(1, "wait:go#2", W, name="go")], generation=0)

    taken = [journal.take(W, "go", "m") for _ in range(3)]

    assert [found and found.key for found in taken] == ["wait:go", "wait:go#2", None]


def test_an_automatic_verb_with_another_input_does_not_take_its_neighbour_s_entry():
    journal = Journal([entry(0, "child:c", C, name="c", mark="x")], generation=0)

    assert journal.take(C, "c", "y") is None
    found = journal.take(C, "c", "x")
    assert found is not None
    assert found.key == "child:c"


def test_a_new_automatic_key_is_the_lowest_free_one():
    journal = Journal([entry(0, "wait:go#2", W, name="go")], generation=0)

    assert [journal.free_key(W, "go") for _ in range(3)] == ["wait:go", "wait:go#3", "wait:go#4"]


def test_places_go_on_behind_those_that_stand_and_above_those_of_older_generations():
    first, later = Journal([entry(7, "k")], generation=0), Journal([entry(7, "k")], generation=2)

    assert [first.next_seq(), first.next_seq()] == [8, 9]
    assert later.next_seq() == 2 << 32


@pytest.mark.parametrize(
    ("status", "child", "counts"),
    [
        (StepStatus.COMPLETED, None, True),
        (StepStatus.FAILED, None, False),
        (StepStatus.RUNNING, None, False),
        (StepStatus.CANCELLED, None, False),
        (StepStatus.FAILED, "run", True),
        (StepStatus.WAITING, "run", True),
    ],
)
def test_of_an_older_generation_count_what_completed_and_children_that_were_started(status, child, counts):
    kind = S if child is None else C
    journal = Journal([entry(0, "k", kind, status=status, child=child)], generation=1)

    assert (journal.find(kind, "k", "work", "m") is not None) is counts


def test_of_two_entries_of_one_key_the_later_generation_counts():
    old, new = entry(0, "k", C, child="run"), entry(1 << 32, "k", C, child="run", generation=1)
    journal = Journal([old, new], generation=1)

    assert journal.find(C, "k", "work", "m") is new
    assert journal.unasked() == []


def test_what_completed_and_is_not_asked_for_again_is_named():
    journal = Journal(
        [entry(0, "a"), entry(1, "b"), entry(2, "c", status=StepStatus.WAITING)],
        generation=0,
    )
    journal.find(S, "a", "work", "m")

    assert journal.unasked() == ["b"]


# --- the inbox in memory ------------------------------------------------------------------------------


def item(seq: int, name: str = "n", kind: ItemKind = ItemKind.SIGNAL) -> Item:
    return Item(seq=seq, run_id=RunId("r"), kind=kind, name=name, payload=dumps(seq), created_at=0)  # type: ignore[arg-type]  # any time


def test_an_inbox_that_is_read_again_delivers_only_what_is_new():
    mailbox = Mailbox()

    assert [one.seq for one in mailbox.deliver([item(1), item(2)])] == [1, 2]
    assert [one.seq for one in mailbox.deliver([item(1), item(2), item(5)])] == [5]
    assert mailbox.deliver([]) == []


def test_items_are_taken_by_kind_and_name_oldest_first():
    mailbox = Mailbox()
    mailbox.deliver([item(1), item(2, "m"), item(3), item(4, kind=ItemKind.CHILD_END)])

    taken = [mailbox.take(ItemKind.SIGNAL, "n") for _ in range(3)]

    assert [one and one.seq for one in taken] == [1, 3, None]
    assert mailbox.take(ItemKind.CHILD_END, "n") is not None
