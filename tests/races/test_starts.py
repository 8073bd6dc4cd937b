"""A key is one run, whoever starts it first and however often."""

import pytest

from trivium.errors import KeyConflict
from trivium.model.commit import Applied, Refused, StartUnit
from trivium.testing.faults import pause_at


@pytest.fixture
def target(scripts):
    @scripts()
    async def target(context):
        return 1

    return target


def start_twice(store, hand, threads, first, second):
    """The results of two starts: the second comes to the lock while the first holds it."""
    other = store.open()
    with pause_at("storage.commit.inside") as inside, pause_at("storage.commit.before", 2) as before:
        ahead = threads.submit(hand.one, StartUnit(first))
        inside.wait_reached()
        behind = threads.submit(hand.one_of, other, StartUnit(second))
        before.wait_reached()
        before.resume()
        inside.resume()
        return ahead.result(), behind.result()


def test_two_processes_that_start_one_key_get_one_run(store, hand, threads, target):
    ahead, behind = start_twice(store, hand, threads, hand.new(target, 1, key="k"), hand.new(target, 1, key="k"))

    assert isinstance(ahead, Applied)
    assert isinstance(behind, Applied)
    assert ahead.started[0].run_id == behind.started[0].run_id
    assert (ahead.started[0].existed, behind.started[0].existed) == (False, True)


def test_two_processes_that_start_one_key_with_other_inputs_get_one_run_and_one_conflict(store, hand, threads, target):
    ahead, behind = start_twice(store, hand, threads, hand.new(target, 1, key="k"), hand.new(target, 2, key="k"))

    assert isinstance(ahead, Applied)
    assert isinstance(behind, Refused)
    assert isinstance(behind.error, KeyConflict)
    assert behind.error.run_id == ahead.started[0].run_id


def test_two_starts_of_one_key_in_one_batch_are_one_run(hand, target):
    new = [hand.new(target, 1, key="k"), hand.new(target, 1, key="k"), hand.new(target, 2, key="k")]

    first, second, third = hand.commit(*map(StartUnit, new)).results

    assert first.started[0].run_id == second.started[0].run_id == new[0].id
    assert (first.started[0].existed, second.started[0].existed) == (False, True)
    assert isinstance(third, Refused)
    assert hand.storage.run(new[1].id) is None


def test_a_key_whose_run_has_just_ended_gives_that_run(seat, hand, target):
    seat = seat()
    with pause_at("engine.after_commit", 2) as end:
        run_id = seat.start(target, key="k")
        end.wait_reached()
        again = hand.one(StartUnit(hand.new(target, {}, key="k")))
        end.resume()
        seat.end(run_id)

    assert isinstance(again, Applied)
    assert again.started[0].existed
    assert again.started[0].run_id == run_id
