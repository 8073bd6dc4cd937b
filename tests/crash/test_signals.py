"""SIGTERM and SIGINT: what is under way finishes, the rest is handed back."""

from __future__ import annotations

import signal

from crash.harness import ACTIONS, Gate, Site, Snapshot, check_completed
from crash.scenarios import flow_file, one_step
from trivium.model.states import RunStatus, StepStatus

THEN = '  - {id: then, uses: add, with: {a: "${{ steps.step.output }}"}}\n'


def gated_flow(site: Site, gate: Gate) -> str:
    """One step at the gate, and one behind it."""
    return flow_file(site.folder, "gated", one_step("gated", "at_gate", f"{{gate: {gate.path}, value: 1}}", after=THEN))


def check_handed_back(found: Snapshot) -> str:
    """The step that was under way is recorded, the next has not begun, and nobody has the run."""
    (run,) = found.runs.values()
    assert (run.status, run.owner, run.losses) == (RunStatus.QUEUED, None, 0)
    assert [(entry.key, entry.status) for entry in found.entries[run.id]] == [("step", StepStatus.COMPLETED)]
    return run.id


def check_finished(site: Site) -> None:
    end = site.autopsy()
    check_completed(end)
    assert [(line.word, line.key) for line in site.witnessed() if line.word != "accepted"] == [
        ("start", "step"),
        ("end", "step"),
        ("start", "then"),
        ("end", "then"),
    ]


def test_sigterm_lets_a_worker_finish_its_steps_and_hand_its_runs_back(site: Site) -> None:
    gate = site.gate("gate")
    flow = gated_flow(site, gate)
    assert site.spawn("start", starts=[{"target": flow, "inputs": {}, "key": "gated"}]).wait() == 0
    worker = site.command("worker", "-m", ACTIONS)
    worker.wait_line("start")

    worker.signal(signal.SIGTERM)
    worker.wait_line("stopping")
    gate.open()

    assert worker.wait() == 0, worker.said()
    check_handed_back(site.autopsy())
    assert site.workers() == []
    assert site.spawn("work", until_all_ended=True).wait() == 0
    check_finished(site)


def test_sigint_lets_trivium_run_finish_its_steps_and_leaves_the_run_to_resume(site: Site) -> None:
    gate = site.gate("gate")
    command = site.command("run", gated_flow(site, gate), "-m", ACTIONS)
    command.wait_line("start")

    command.signal(signal.SIGINT)
    command.wait_line("stopping")
    gate.open()

    assert command.wait() == 130, command.said()
    run_id = check_handed_back(site.autopsy())
    assert f"trivium runs resume {run_id}" in command.said()
    resumed = site.command("runs", "resume", run_id, "-m", ACTIONS)
    assert resumed.wait() == 0, resumed.said()
    check_finished(site)


def test_a_second_sigint_leaves_at_once_and_the_step_under_way_runs_again(site: Site) -> None:
    gate = site.gate("gate")
    command = site.command("run", gated_flow(site, gate), "-m", ACTIONS)
    command.wait_line("start")

    command.signal(signal.SIGINT)
    command.wait_line("stopping")
    command.signal(signal.SIGINT)

    assert command.wait() == 130, command.said()
    gate.open()
    (run_id,) = site.autopsy().runs
    resumed = site.command("runs", "resume", run_id, "-m", ACTIONS)
    assert resumed.wait() == 0, resumed.said()
    check_completed(site.autopsy())
    assert [(line.word, line.key) for line in site.witnessed()] == [
        ("start", "step"),
        ("start", "step"),
        ("end", "step"),
        ("start", "then"),
        ("end", "then"),
    ]
