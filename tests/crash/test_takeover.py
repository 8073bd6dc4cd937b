"""Whoever lives goes on with the runs of the dead: without being asked, and without waiting for heartbeats to fail.

A heartbeat may fail for minutes here, longer than any of these tests waits: whatever is taken over was seen to be dead.
How soon that is, the benchmarks tell.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from crash.harness import ACTIONS, PATIENCE, Child, Site, check_completed
from crash.scenarios import flow_file, one_step

TIMEOUT = 20 * PATIENCE
"""Seconds until a worker without heartbeats counts as dead."""


@pytest.fixture
def site(site: Site) -> Site:
    """A place where commands take the same timeout."""
    site.folder.joinpath("trivium.toml").write_text(f'heartbeat_timeout = "{TIMEOUT:.0f}s"\n')
    return site


def spawn_heir(site: Site) -> Child:
    return site.spawn("work", until_all_ended=True, heartbeat_timeout=TIMEOUT)


def start_lingering(site: Site) -> None:
    target = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    assert site.spawn("start", starts=[{"target": target, "inputs": {}, "key": "lingering"}]).wait() == 0


def check_taken_over(site: Site) -> None:
    end = site.look()
    check_completed(end)
    assert end.outputs() == {"lingering": {"step": 7}}
    assert [line.word for line in site.witnessed() if line.key == "step"] == ["start", "start", "end"]


def test_a_running_worker_goes_on_with_what_a_killed_one_had(site: Site) -> None:
    start_lingering(site)
    victim = site.spawn("work")
    victim.wait_line("start")
    heir = spawn_heir(site)
    heir.wait_line("ready")

    victim.kill()
    heir.wait_line("start")

    assert heir.wait() == 0
    check_taken_over(site)


def test_a_new_worker_process_goes_on_at_once(site: Site) -> None:
    start_lingering(site)
    victim = site.spawn("work")
    victim.wait_line("start")
    victim.kill()

    heir = spawn_heir(site)
    heir.wait_line("start")

    assert heir.wait() == 0
    check_taken_over(site)


def test_runs_resume_goes_on_with_what_a_killed_trivium_run_had(site: Site) -> None:
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    victim = site.command("run", flow, "-m", ACTIONS, "--key", "lingering")
    victim.wait_line("start")
    victim.kill()
    (run_id,) = site.autopsy().runs

    heir = site.command("runs", "resume", run_id, "-m", ACTIONS)
    heir.wait_line("start")

    assert heir.wait() == 0, heir.said()
    check_taken_over(site)


def test_a_trivium_worker_goes_on_with_what_a_killed_trivium_run_had(site: Site) -> None:
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    victim = site.command("run", flow, "-m", ACTIONS, "--key", "lingering")
    victim.wait_line("start")
    heir = site.command("worker", "-m", ACTIONS, "-v")
    heir.wait_line("worker ")

    victim.kill()
    heir.wait_line("start")

    heir.wait_line(f"{site.look().by_key('lingering').id}  flow:lingering  completed")
    check_taken_over(site)


def test_a_process_that_a_step_left_behind_does_not_keep_its_dead_worker_alive(site: Site) -> None:
    gate = site.gate("gate")
    flow = flow_file(
        site.folder, "lingering", one_step("lingering", "leave_orphan", f"{{value: 7, gate: {gate.path}}}")
    )
    assert site.spawn("start", starts=[{"target": flow, "inputs": {}, "key": "lingering"}]).wait() == 0
    victim = site.spawn("work")
    victim.wait_line("orphan")
    heir = spawn_heir(site)
    heir.wait_line("ready")

    victim.kill()
    heir.wait_line("start")

    assert heir.wait() == 0
    gate.open()
    check_taken_over(site)


def test_heirs_that_come_together_share_what_a_killed_worker_had(site: Site) -> None:
    runs = 20
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    starts = [{"target": flow, "inputs": {}, "key": f"lingering-{n}"} for n in range(runs)]
    assert site.spawn("start", starts=starts).wait() == 0
    victim = site.spawn("work")
    victim.wait_line("start", times=runs)
    victim.kill()

    heirs = [site.spawn("work", until_all_ended=True, concurrency=3, heartbeat_timeout=TIMEOUT) for _ in range(3)]

    assert [heir.wait() for heir in heirs] == [0, 0, 0]
    end, lines = site.autopsy(), site.witnessed()
    check_completed(end)
    assert len([line for line in lines if line.word == "start"]) == 2 * runs
    assert [len(notes) for notes in end.notes.values()] == [1] * runs  # one loss each


def test_of_two_that_run_one_key_the_other_goes_on_when_the_first_is_killed(site: Site) -> None:
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    words: list[str | Path] = ["run", flow, "-m", ACTIONS, "--key", "lingering"]
    first = site.command(*words)
    first.wait_line("start")
    second = site.command(*words)
    second.wait_line("run ")  # "found by its key"

    first.kill()
    second.wait_line("start")

    assert second.wait() == 0, second.said()
    check_taken_over(site)


@pytest.mark.parametrize("again", ["run", "resume"])
def test_a_key_finds_the_run_that_a_killed_process_left(site: Site, again: str) -> None:
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    words: list[str | Path] = ["run", flow, "-m", ACTIONS, "--key", "lingering"]
    victim = site.command(*words)
    victim.wait_line("start")
    victim.kill()
    (run_id,) = site.autopsy().runs

    heir = site.command(*(words if again == "run" else ["runs", "resume", run_id, "-m", ACTIONS]))

    assert heir.wait() == 0, heir.said()
    assert set(site.autopsy().runs) == {run_id}
    check_taken_over(site)
