"""Doorbells between processes: what is sent, and what happens when it cannot be."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trivium.ids import RunId, WorkerId
from trivium.model.commit import Ring
from trivium_storage_sqlite.bells import LONGEST_RING, Bell, Bells, backlog, decode, encode
from trivium_storage_sqlite.work import Echo

PATIENCE = 30.0
OWNER = WorkerId("owner")
A, B = RunId("a"), RunId("b")


@pytest.fixture
def bells(tmp_path: Path) -> Iterator[Bells]:
    bells = Bells(tmp_path)
    yield bells
    bells.close()


def echo(*, ended: tuple[RunId, ...] = (), inbox: dict[str, set[RunId]] | None = None, work: bool = False) -> Echo:
    made = Echo()
    made.ended.update(ended)
    made.timers = work
    for owner, runs in (inbox or {}).items():
        made.inbox[WorkerId(owner)] |= runs
    return made


@pytest.mark.parametrize(
    "ring",
    [
        Ring(work=True),
        Ring(inbox=frozenset({A, B})),
        Ring(ended=frozenset({A})),
        Ring(True, frozenset({A}), frozenset({A, B})),
        Ring(everything=True),
    ],
)
def test_a_ring_is_read_as_it_was_written(ring: Ring) -> None:
    assert decode(encode(ring)) == ring


def test_a_ring_that_is_too_long_says_everything() -> None:
    many = frozenset(RunId(f"run-{number:032}") for number in range(1000))

    data = encode(Ring(ended=many))

    assert len(data) <= LONGEST_RING
    assert decode(data) == Ring(everything=True)


@pytest.mark.parametrize("data", [b"2|a|b", b"1|a", b"0||||", b"\xff\xfe", b"hello"])
def test_a_ring_that_cannot_be_read_says_everything(data: bytes) -> None:
    assert decode(data) == Ring(everything=True)


def test_each_owner_hears_of_its_own_inbox_and_all_of_ends(bells: Bells) -> None:
    mine, other = bells.hang(OWNER), bells.hang(WorkerId("other"))

    bells.ring(echo(ended=(B,), inbox={"owner": {A}}), None)

    assert mine.wait(PATIENCE) == Ring(inbox=frozenset({A}), ended=frozenset({B}))
    assert other.wait(PATIENCE) == Ring(ended=frozenset({B}))


def test_the_origin_is_not_rung(bells: Bells) -> None:
    mine, other = bells.hang(OWNER), bells.hang(WorkerId("other"))

    bells.ring(echo(work=True), OWNER)

    assert other.wait(PATIENCE).work
    assert mine.wait(0) == Ring()


def test_a_bell_whose_queue_is_full_is_told_to_look_at_everything(bells: Bells) -> None:
    bell = bells.hang(OWNER)
    for number in range(backlog() + 20):
        bells.ring(echo(ended=(RunId(f"r{number}"),)), None)

    heard = bell.wait(PATIENCE)

    assert heard.everything


def test_a_sender_says_with_its_next_ring_what_it_could_not_deliver(bells: Bells) -> None:
    bell = bells.hang(OWNER)
    for _ in range(backlog() + 20):
        bells.ring(echo(work=True), None)
    bell.wait(PATIENCE)

    bells.ring(echo(ended=(A,)), None)
    first = bell.wait(PATIENCE)
    bells.ring(echo(ended=(A,)), None)

    assert first.everything
    assert bell.wait(PATIENCE) == Ring(ended=frozenset({A}))


def test_a_full_queue_does_not_keep_others_from_hearing(bells: Bells) -> None:
    bells.hang(WorkerId("deaf"))
    for _ in range(backlog() + 20):
        bells.ring(echo(work=True), None)
    awake = bells.hang(OWNER)

    bells.ring(echo(ended=(A,)), None)

    assert A in awake.wait(PATIENCE).ended


def test_the_socket_of_a_dead_process_is_removed_by_who_rings_it(bells: Bells) -> None:
    bells.hang(OWNER)
    stale = bells.path / "dead.0.bell"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(stale))

    bells.ring(echo(work=True), None)

    assert not stale.exists()


def test_bells_are_found_however_short_the_time_between_two(bells: Bells, tmp_path: Path) -> None:
    ringer = Bells(tmp_path)
    hung: list[Bell] = []
    for _ in range(50):
        hung.append(bells.hang(OWNER))
        ringer.ring(echo(work=True), None)
        assert hung[-1].wait(0).work
    ringer.close()


def test_a_listing_is_kept_once_the_folder_has_settled(bells: Bells) -> None:
    bell = bells.hang(OWNER)
    os.utime(bells.path, (1_000_000_000, 1_000_000_000))
    bells.ring(echo(work=True), None)
    hidden = bells.path / "later.0.bell"
    hidden.touch()
    os.utime(bells.path, (1_000_000_000, 1_000_000_000))

    bells.ring(echo(work=True), None)

    assert hidden.exists()  # it was not looked at, else it had been found dead
    assert bell.wait(PATIENCE).work


@pytest.mark.parametrize("length", [60, 100, 120, 200])
def test_a_path_may_be_longer_than_an_address(tmp_path: Path, length: int) -> None:
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    bells = Bells(folder)
    bell = bells.hang(OWNER)

    bells.ring(echo(work=True), None)

    assert bell.wait(PATIENCE) == Ring(work=True)
    bells.close()


def test_any_name_of_an_owner_is_a_name_of_a_file(bells: Bells) -> None:
    owner = WorkerId("a/b.c|ü")
    bell = bells.hang(owner)

    bells.ring(echo(inbox={owner: {A}}), None)

    assert bell.wait(PATIENCE) == Ring(inbox=frozenset({A}))


def test_closing_wakes_who_waits_and_leaves_no_socket(bells: Bells) -> None:
    bell = bells.hang(OWNER)
    heard: list[Ring] = []
    waiting = threading.Thread(target=lambda: heard.append(bell.wait(60)))
    waiting.start()

    bell.close()
    bell.close()
    waiting.join(PATIENCE)

    assert heard == [Ring()]
    assert list(bells.path.iterdir()) == []
    assert bell.wait(60) == Ring()


def test_closing_wakes_who_waits_though_its_socket_was_removed(bells: Bells) -> None:
    bell = bells.hang(OWNER)
    waiting = threading.Thread(target=bell.wait, args=(1_000,), daemon=True)
    waiting.start()
    (bells.path / bell.name).unlink()

    closing = threading.Thread(target=bell.close, daemon=True)
    closing.start()
    closing.join(PATIENCE)
    waiting.join(PATIENCE)

    assert (closing.is_alive(), waiting.is_alive()) == (False, False)


def test_a_bell_that_is_hung_leaves_nothing_but_its_socket(bells: Bells) -> None:
    bell = bells.hang(OWNER)

    assert [path.name for path in bells.path.iterdir()] == [bell.name]


def test_ringing_where_nobody_ever_waited_does_nothing(tmp_path: Path) -> None:
    Bells(tmp_path).ring(echo(work=True), None)

    assert list(tmp_path.iterdir()) == []


def test_a_commit_here_wakes_a_process_there(bench, child) -> None:
    waiter = child("storage.open(); bell = storage.doorbell(me); say('hung'); say(bell.wait(30).work); bell.close()")
    assert waiter.hear() == "hung"

    bench.start()

    assert waiter.hear() == "True"
