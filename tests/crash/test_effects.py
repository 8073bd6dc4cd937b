"""Effects that must not be repeated, and a process that dies in the middle of them."""

from __future__ import annotations

import json
from pathlib import Path

from crash.harness import Crash, Nursery, Site, check_completed, check_nothing_repeated
from crash.scenarios import flow_file, one_step
from trivium.model.states import FailureKind, RunStatus, StepStatus

RETRIED = ", retry: {max_attempts: 3, backoff: fixed, initial: 1ms}"


def start_of(site: Site, action: str, inputs: str, *, more: str = "") -> list[dict[str, object]]:
    flow = flow_file(site.folder, "effect", one_step("effect", action, inputs, more=more))
    return [{"target": flow, "inputs": {}, "key": "effect"}]


def words(site: Site) -> list[str]:
    return [line.word for line in site.witnessed() if line.word != "accepted"]


def test_an_at_most_once_step_that_was_killed_is_not_repeated(site: Site) -> None:
    starts = start_of(site, "linger_at_most_once", "{value: 1}", more=RETRIED)
    victim = site.spawn("drive", starts=starts)
    victim.wait_line("start")
    victim.kill()

    assert site.spawn("drive", starts=starts).wait() == 0

    end = site.autopsy()
    run = end.by_key("effect")
    entry = end.entry(run.id, "step")
    assert words(site) == ["start"]
    assert (entry.status, entry.error and entry.error.kind) == (StepStatus.FAILED, FailureKind.UNKNOWN)
    assert (run.status, run.error and run.error.kind) == (RunStatus.FAILED, FailureKind.UNKNOWN)


def test_an_effect_whose_process_died_behind_it_is_verified_and_not_repeated(site: Site) -> None:
    starts = start_of(site, "pay", "{amount: 5, die: true}")
    assert site.spawn("drive", starts=starts).wait() == -9

    assert site.spawn("drive", starts=starts).wait() == 0

    end = site.autopsy()
    check_completed(end)
    assert words(site) == ["start", "effect", "start", "verify", "end"]
    assert end.outputs() == {"effect": {"step": "paid 5"}}


def test_an_effect_that_nobody_can_verify_fails_its_step_as_unknown(site: Site) -> None:
    starts = start_of(site, "pay_blindly", "{amount: 5}", more=RETRIED)
    assert site.spawn("drive", starts=starts).wait() == -9

    assert site.spawn("drive", starts=starts).wait() == 0

    run = site.autopsy().by_key("effect")
    assert words(site).count("effect") == 1
    assert (run.status, run.error and run.error.kind) == (RunStatus.FAILED, FailureKind.UNKNOWN)


def test_an_effect_happens_once_whichever_of_its_commits_is_killed(nursery: Nursery, tmp_path: Path) -> None:
    with Site(tmp_path, nursery) as site:
        starts = start_of(site, "pay", "{amount: 5}")
        counts = tmp_path / "counts"
        assert site.spawn("drive", starts=starts, counts=counts).wait() == 0
    killed = 0
    for point in ("engine.before_commit", "storage.commit.inside", "storage.commit.after", "engine.after_commit"):
        for nth in range(1, json.loads(counts.read_text())[point] + 1):
            folder = tmp_path / f"{point}-{nth}"
            folder.mkdir()
            with Site(folder, nursery) as site:
                code = site.spawn("drive", starts=starts, faults=f"kill@{point}#{nth}").wait()
                crash = Crash(site.autopsy(), len(site.witnessed()))
                assert site.spawn("drive", starts=starts).wait() == 0
                check_completed(site.autopsy())
                check_nothing_repeated(site.witnessed(), [crash])
                assert words(site).count("effect") == 1
            killed += code == -9

    assert killed >= 8
