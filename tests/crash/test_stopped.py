"""A worker that was stopped for too long, and wakes after others took its runs over.

It beats once a second, and is stopped before its first beat: stopped in one, it would hold the lock of the store.
"""

from __future__ import annotations

import signal

import pytest

from crash.harness import Site, check_completed, check_journal
from crash.scenarios import CHAIN, flow_file, one_step

TIMEOUT = 0.5
"""Seconds of its own beats after which an heir holds for dead whoever has not beaten."""
OUTCOME_IN_HAND = ("engine.before_commit", "storage.commit.before")


def test_a_worker_that_was_stopped_in_a_step_writes_nothing_when_it_wakes_and_works_again(site: Site) -> None:
    gate = site.gate("gate")
    flow = flow_file(site.folder, "gated", one_step("gated", "at_gate", f"{{gate: {gate.path}, value: 1}}"))
    assert site.spawn("start", starts=[{"target": flow, "inputs": {}, "key": "gated"}]).wait() == 0
    sleeper = site.spawn("work")
    sleeper.wait_line("start")
    (before,) = site.workers()
    sleeper.signal(signal.SIGSTOP)
    heir = site.spawn("work", until_all_ended=True, heartbeat_timeout=TIMEOUT)
    heir.wait_line("start")
    gate.open()
    assert heir.wait() == 0, heir.said()
    taken_over = site.look()

    sleeper.signal(signal.SIGCONT)
    chain = flow_file(site.folder, "chain", CHAIN)
    assert site.spawn("start", starts=[{"target": chain, "inputs": {"n": 1}, "key": "new"}]).wait() == 0
    sleeper.wait_line("end", times=4)  # that of the step that it had under way, and three new ones
    (after,) = site.workers()
    sleeper.signal(signal.SIGTERM)
    assert sleeper.wait() == 0

    end = site.autopsy()
    check_completed(end)
    check_journal(end)
    gated = taken_over.by_key("gated")
    assert end.runs[gated.id] == gated
    assert end.entries[gated.id] == taken_over.entries[gated.id]
    assert end.notes[gated.id] == taken_over.notes[gated.id]
    assert end.outputs() == {"gated": {"step": 1}, "new": {"c": 4}}
    assert before.pid == after.pid == sleeper.pid
    assert before.id != after.id


@pytest.mark.parametrize("point", OUTCOME_IN_HAND)
def test_an_outcome_that_a_worker_was_stopped_with_changes_nothing_when_it_wakes(site: Site, point: str) -> None:
    chain = flow_file(site.folder, "chain", CHAIN)
    start = {"target": chain, "inputs": {"n": 1}, "key": "chain"}
    assert site.spawn("start", starts=[start]).wait() == 0
    sleeper = site.spawn("work", faults=f"stop@{point}#3")
    sleeper.wait_line("start", times=2)
    heir = site.spawn("work", until_all_ended=True, heartbeat_timeout=TIMEOUT)
    assert heir.wait() == 0, heir.said()
    taken_over = site.look()

    sleeper.signal(signal.SIGCONT)
    again = {"target": chain, "inputs": {"n": 10}, "key": "again"}
    assert site.spawn("start", starts=[again]).wait() == 0
    ready = site.spawn("work", until_all_ended=True)
    assert ready.wait() == 0
    sleeper.signal(signal.SIGTERM)
    assert sleeper.wait() == 0

    end = site.autopsy()
    check_completed(end)
    check_journal(end)
    run_id = taken_over.by_key("chain").id
    assert end.runs[run_id] == taken_over.runs[run_id]
    assert end.entries[run_id] == taken_over.entries[run_id]
    assert end.outputs() == {"chain": {"c": 4}, "again": {"c": 13}}
