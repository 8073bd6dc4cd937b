"""A run that kills whoever drives it."""

from __future__ import annotations

from crash.harness import Nursery, Site
from crash.scenarios import flow_file, one_step
from trivium.model.states import FailureKind, RunStatus

NEIGHBOUR = "trivium: 1\nname: neighbour\nsteps:\n" + "".join(
    f"  - {{id: s{n}, uses: add_slowly, with: {{a: {n}}}, needs: [{f's{n - 1}' if n else ''}]}}\n" for n in range(40)
)


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
    workers = [site.spawn("work", until_all_ended=True) for _ in range(2)]
    deaths = []
    while workers:
        ended = nursery.wait_any(workers)
        workers.remove(ended)
        if ended.wait() != 0:
            deaths.append(ended.pid)
            workers.append(site.spawn("work", until_all_ended=True))

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
