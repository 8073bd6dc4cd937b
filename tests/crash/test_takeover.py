"""Whoever lives goes on with the runs of the dead: soon, and without being asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crash.harness import ACTIONS, Site, check_completed, within
from crash.scenarios import flow_file, one_step

AT_MOST = 5.0
"""What is promised is two seconds; this machine may be busy with other tests."""


def start_lingering(site: Site) -> None:
    target = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    assert site.spawn("start", starts=[{"target": target, "inputs": {}, "key": "lingering"}]).wait() == 0


def check_taken_over(site: Site) -> None:
    end = site.look()
    check_completed(end)
    assert end.outputs() == {"lingering": {"step": 7}}
    assert [line.word for line in site.witnessed() if line.key == "step"] == ["start", "start", "end"]


def test_a_running_worker_goes_on_with_what_a_killed_one_had(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    start_lingering(site)
    victim = site.spawn("work")
    victim.wait_line("start")
    heir = site.spawn("work", until_all_ended=True)
    heir.wait_line("ready")

    with within(AT_MOST) as so_far:
        victim.kill()
        heir.wait_line("start")
        record_property("seconds", so_far())
        print(f"taken over after {so_far():.3f} s")

    assert heir.wait() == 0
    check_taken_over(site)


def test_a_new_worker_process_goes_on_at_once(site: Site, record_property: Callable[[str, object], None]) -> None:
    start_lingering(site)
    victim = site.spawn("work")
    victim.wait_line("start")
    victim.kill()

    with within(AT_MOST) as so_far:
        heir = site.spawn("work", until_all_ended=True)
        heir.wait_line("start")
        record_property("seconds", so_far())
        print(f"resumed after {so_far():.3f} s")

    assert heir.wait() == 0
    check_taken_over(site)


def test_runs_resume_goes_on_with_what_a_killed_trivium_run_had(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    victim = site.command("run", flow, "-m", ACTIONS, "--key", "lingering")
    victim.wait_line("start")
    victim.kill()
    (run_id,) = site.autopsy().runs

    with within(AT_MOST) as so_far:
        heir = site.command("runs", "resume", run_id, "-m", ACTIONS)
        heir.wait_line("start")
        record_property("seconds", so_far())
        print(f"resumed after {so_far():.3f} s, with the start of Python")

    assert heir.wait() == 0, heir.said()
    check_taken_over(site)


def test_a_trivium_worker_goes_on_with_what_a_killed_trivium_run_had(site: Site) -> None:
    flow = flow_file(site.folder, "lingering", one_step("lingering", "linger", "{value: 7}"))
    victim = site.command("run", flow, "-m", ACTIONS, "--key", "lingering")
    victim.wait_line("start")
    heir = site.command("worker", "-m", ACTIONS, "-v")
    heir.wait_line("worker ")

    with within(AT_MOST):
        victim.kill()
        heir.wait_line("start")

    heir.wait_line(f"{site.look().by_key('lingering').id}  flow:lingering  completed")
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
