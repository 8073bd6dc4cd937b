"""`kill -9` at every point around a commit that the reference scenarios reach.

Each scenario is driven once undisturbed, counting how often it reaches each point; then, for a point and a number, by a
process that kills itself there, and by another one after it. By default some numbers of each point are taken, spread
over the run; TRIVIUM_CRASH_KILLS=all takes them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from crash.harness import (
    Crash,
    Nursery,
    Site,
    check_accepted,
    check_completed,
    check_journal,
    check_nothing_repeated,
    spread,
)
from crash.scenarios import LONG, SCENARIOS, Scenario

BY_CHANCE = {"engine.before_beat", "engine.after_claim", "engine.before_park", "sqlite.before_checkpoint"}
"""Points that a run may reach or not, as its timing has it."""
WHILE_RESUMING = (
    "engine.before_bury",
    "sqlite.locked",
    "sqlite.before_commit",
    "engine.after_commit",
    "engine.after_claim",
)


BACKENDS = ("trio", "asyncio")
"""A run that one event loop began is finished by the other."""


def by_name(scenario: Scenario) -> str:
    return scenario.name


@pytest.fixture(scope="session")
def counts(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, int]]:
    """How often each scenario reaches each point when nothing happens to it."""
    found = {}
    for scenario in (*SCENARIOS, LONG):
        folder = tmp_path_factory.mktemp(scenario.name)
        with Site(folder, nursery) as site:
            child = site.spawn("drive", counts=folder / "counts", **scenario.arguments(folder))
            assert child.wait() == 0, child.said()
            check_end(site, scenario, [])
        found[scenario.name] = json.loads((folder / "counts").read_text())
    return found


def check_end(site: Site, scenario: Scenario, crashes: list[Crash]) -> None:
    """What holds when a scenario is over, however often it was crashed."""
    end, lines = site.autopsy(), site.witnessed()
    check_completed(end)
    check_journal(end)
    check_accepted(lines, end)
    check_nothing_repeated(lines, crashes)
    assert end.outputs() == scenario.outputs
    assert len(end.runs) == scenario.runs


def crash(site: Site, scenario: Scenario, folder: Path, fault: str, backend: str = "asyncio") -> Crash | None:
    """Drive until the fault strikes; None if the scenario was over before."""
    child = site.spawn("drive", faults=fault, backend=backend, **scenario.arguments(folder))
    code = child.wait()
    assert code in (0, -9), child.said()
    found = Crash(site.autopsy(), len(site.witnessed()))
    check_journal(found.snapshot)
    return found if code else None


def resume(site: Site, scenario: Scenario, folder: Path, backend: str = "asyncio") -> None:
    child = site.spawn("drive", backend=backend, **scenario.arguments(folder))
    assert child.wait() == 0, child.said()


@pytest.mark.parametrize("scenario", [*SCENARIOS, LONG], ids=by_name)
def test_the_scenarios_reach_the_points_that_they_are_said_to_reach(
    scenario: Scenario, counts: Mapping[str, Mapping[str, int]]
) -> None:
    assert set(counts[scenario.name]) - BY_CHANCE == set(scenario.points) - BY_CHANCE


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scenario", "point"),
    [
        *(pytest.param(one, point, id=f"{one.name}-{point}") for one in SCENARIOS for point in one.points),
        pytest.param(LONG, "sqlite.before_checkpoint", id="long-sqlite.before_checkpoint"),
    ],
)
def test_a_scenario_killed_at_a_point_goes_on_and_repeats_only_what_was_under_way(
    nursery: Nursery, tmp_path: Path, counts: Mapping[str, Mapping[str, int]], scenario: Scenario, point: str
) -> None:
    kills = 0
    for nth in spread(counts[scenario.name].get(point, 1), scenario.name, point):
        folder = tmp_path / str(nth)
        folder.mkdir()
        with Site(folder, nursery) as site:
            struck = crash(site, scenario, folder, f"kill@{point}#{nth}", BACKENDS[nth % 2])
            resume(site, scenario, folder, BACKENDS[1 - nth % 2])
            check_end(site, scenario, [struck] if struck else [])
        kills += struck is not None

    assert kills


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", WHILE_RESUMING)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=by_name)
def test_a_scenario_killed_again_while_it_is_resumed_goes_on_all_the_same(
    nursery: Nursery, tmp_path: Path, counts: Mapping[str, Mapping[str, int]], scenario: Scenario, point: str
) -> None:
    middle = counts[scenario.name]["engine.before_commit"] // 2
    with Site(tmp_path, nursery) as site:
        crashes = [
            crash(site, scenario, tmp_path, f"kill@engine.before_commit#{middle}"),
            crash(site, scenario, tmp_path, f"kill@{point}"),
        ]
        resume(site, scenario, tmp_path)

        assert all(crashes)
        check_end(site, scenario, [struck for struck in crashes if struck])
