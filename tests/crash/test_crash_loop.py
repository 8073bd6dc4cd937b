"""A run that kills whoever drives it."""

from __future__ import annotations

import pytest

from crash.harness import Nursery, Site
from crash.scenarios import flow_file, one_step
from trivium.model.states import FailureKind, RunStatus

NEIGHBOUR = "trivium: 1\nname: neighbour\nsteps:\n" + "".join(
    f"  - {{id: s{n}, uses: add_slowly, with: {{a: {n}}}, needs: [{f's{n - 1}' if n else ''}]}}\n" for n in range(40)
)


MOST_DEATHS = 6


def keep_workers(site: Site, nursery: Nursery, *, many: int = 2) -> list[int]:
    """Have so many workers until all runs have ended; the process ids of those that died meanwhile."""
    workers = [site.spawn("work", until_all_ended=True, heartbeat_timeout=3.0) for _ in range(many)]
    deaths: list[int] = []
    while workers:
        ended = nursery.wait_any(workers)
        workers.remove(ended)
        if ended.wait() != 0:
            deaths.append(ended.pid)
            assert len(deaths) <= MOST_DEATHS
            workers.append(site.spawn("work", until_all_ended=True, heartbeat_timeout=3.0))
    return deaths


def test_a_run_that_kills_its_worker_three_times_is_failed_and_its_neighbour_completes(
    site: Site, nursery: Nursery
) -> None:
    poison = flow_file(site.folder, "poison", one_step("poison", "kill_worker", "{}"))
    neighbour = flow_file(site.folder, "neighbour", NEIGHBOUR)
    starts = [
        {"target": neighbour, "inputs": {}, "key": "neighbour"},
        {"target": poison, "inputs": {}, "key": "poison"},
    ]
    assert site.spawn("start", starts=starts).wait() == 0
    deaths = keep_workers(site, nursery)

    end, lines = site.autopsy(), site.witnessed()
    poisoned, beside = end.by_key("poison"), end.by_key("neighbour")
    assert len(deaths) == 3
    assert (poisoned.status, poisoned.error and poisoned.error.kind) == (RunStatus.FAILED, FailureKind.LOST_WORKER)
    victims = [line.pid for line in lines if line.run_id == poisoned.id and line.word == "start"]
    assert (len(victims), set(victims)) == (3, set(deaths))
    assert beside.status is RunStatus.COMPLETED
    assert len(end.entries[beside.id]) == 40
    begun = {(line.word, line.step) for line in lines if line.pid == victims[2]}
    assert {step for word, step in begun if word == "start" and ("end", step) not in begun} == {(poisoned.id, "step")}


@pytest.mark.parametrize("action", ["kill_worker_late", "kill_worker_in_effect"])
def test_writing_down_what_began_is_no_progress(site: Site, nursery: Nursery, action: str) -> None:
    poison = flow_file(site.folder, "poison", one_step("poison", action, "{}"))
    assert site.spawn("start", starts=[{"target": poison, "inputs": {}, "key": "poison"}]).wait() == 0

    deaths = keep_workers(site, nursery, many=1)

    run = site.autopsy().by_key("poison")
    assert len(deaths) == 3
    assert (run.status, run.error and run.error.kind) == (RunStatus.FAILED, FailureKind.LOST_WORKER)
