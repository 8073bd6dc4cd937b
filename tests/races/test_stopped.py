"""Workers that are stopped or killed, as real processes.

A stopped one is fenced when it wakes; a killed one leaves nothing half done.
"""

import threading

import pytest

from trivium.errors import StoreBusy
from trivium.model.states import RunStatus, StepStatus
from trivium.testing.faults import raise_at
from trivium_storage_sqlite.location import parse_url
from trivium_storage_sqlite.turnstile import Turnstile

pytestmark = pytest.mark.parametrize("store_and_backend", ["sqlite-asyncio"], indirect=True)


@pytest.fixture
def run_id(hand, traces):
    """A run of two steps that leave traces."""
    return hand.start("script:marks", {"file": str(traces), "steps": ["a", "b"]})


def owner_of(hand, run_id):
    owner = hand.run(run_id).owner
    assert owner is not None
    return owner


def test_an_owner_stopped_outside_a_transaction_writes_nothing_when_it_wakes(hand, process, traces, run_id):
    owner = process("stop@engine.before_commit#2")
    owner.wait_stopped()
    taken = hand.take_over(run_id, owner_of(hand, run_id))
    hand.finish(taken)
    finished = hand.run(run_id)
    owner.go_on()
    owner.leave()

    assert hand.run(run_id) == finished
    assert hand.entries(run_id) == {}
    assert traces.read_text().split() == ["a"]


def test_an_owner_that_wakes_after_its_takeover_works_on_under_a_new_id(hand, process, traces, run_id):
    owner = process("stop@engine.before_commit#2", beats=True)
    owner.wait_stopped()
    old = owner_of(hand, run_id)
    taken = hand.take_over(run_id, old)
    next_run = hand.start("script:marks", {"file": str(traces), "steps": ["c"]})
    owner.go_on()
    hand.wait_ended(next_run)

    assert hand.entries(next_run)["c"].status is StepStatus.COMPLETED
    assert hand.run(run_id) == taken
    assert hand.entries(run_id) == {}
    assert old not in [worker.id for worker in hand.storage.workers()]


def test_an_owner_stopped_inside_a_transaction_keeps_its_run_and_goes_on(hand, process, traces, threads, run_id):
    owner = process("stop@storage.commit.inside#2")
    owner.wait_stopped()
    own = owner_of(hand, run_id)
    begun = threading.Event()

    def bury():
        begun.set()
        return hand.storage.bury(own, -1)  # nobody has seen such a beat: the compare fails, once it can be made

    buried = threads.submit(bury)
    begun.wait()
    while_stopped = hand.entries(run_id)
    owner.go_on()
    hand.wait_ended(run_id)
    owner.leave()

    assert buried.result() == 0
    assert while_stopped == {}
    assert (hand.status(run_id), hand.run(run_id).epoch, hand.run(run_id).losses) == (RunStatus.COMPLETED, 1, 0)
    assert traces.read_text().split() == ["a", "b"]


def test_writers_name_the_process_that_holds_the_lock(hand, store, process, run_id):
    owner = process("stop@storage.commit.inside#2")
    owner.wait_stopped()
    turnstile = Turnstile(parse_url(store.url).folder)
    turnstile.open()

    with pytest.raises(StoreBusy, match=f"process {owner.pid}"):
        turnstile.take(patience=0.05)
    turnstile.close()


def test_an_owner_killed_inside_a_transaction_leaves_nothing_of_it(seat, hand, process, traces, mark, run_id):
    process("kill@storage.commit.inside#2").wait_killed()
    after_death = hand.entries(run_id)

    seat = seat(mark)
    end = seat.end(run_id)

    assert after_death == {}
    assert end.status is RunStatus.COMPLETED
    assert (hand.run(run_id).epoch, traces.read_text().split()) == (3, ["a", "a", "b"])


def test_an_owner_killed_between_a_commit_and_its_acknowledgement_loses_nothing(
    seat, hand, process, traces, mark, run_id
):
    process("kill@engine.after_commit#2").wait_killed()
    after_death = hand.entries(run_id)

    seat = seat(mark)
    end = seat.end(run_id)

    assert after_death["a"].status is StepStatus.COMPLETED
    assert end.output == '["a","b"]'
    assert traces.read_text().split() == ["a", "b"]


def test_an_owner_killed_between_its_end_and_the_acknowledgement_has_ended_its_run(
    seat, hand, process, traces, mark, run_id
):
    process("kill@engine.after_commit#4").wait_killed()

    seat = seat(mark)

    assert seat.end(run_id).output == '["a","b"]'
    assert (hand.run(run_id).epoch, hand.run(run_id).losses) == (1, 0)
    assert traces.read_text().split() == ["a", "b"]


def test_a_start_that_was_committed_and_not_acknowledged_is_found_by_its_key(hand, process):
    process("kill@engine.after_commit", starts="script:marks_nothing").wait_killed()
    (first,) = hand.runs()

    again = hand.start("script:marks_nothing", {}, key="the client's")

    assert again == first.id


def test_a_store_that_is_busy_is_asked_again_with_the_same_batch(seat, hand, traces, mark):
    seat = seat(mark)
    with raise_at("storage.commit.before", StoreBusy("held by another")):
        run_id = seat.start("script:marks", {"file": str(traces), "steps": ["a"]})

    assert seat.end(run_id).output == '["a"]'
    assert len(hand.runs()) == 1
