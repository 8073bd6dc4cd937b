"""Two workers on one file, of which one is killed again and again."""

from __future__ import annotations

from collections import Counter, defaultdict

from crash.harness import Crash, Site, check_completed, check_journal, check_nothing_repeated, dice
from crash.scenarios import CHAIN, flow_file

RUNS = 200
CONCURRENCY = 4
KILLS = 6


def test_workers_share_runs_and_repeat_only_what_the_killed_one_had_under_way(site: Site) -> None:
    random = dice("two workers")
    chain = flow_file(site.folder, "chain", CHAIN.replace("uses: add,", "uses: add_slowly,"))
    starts = [{"target": chain, "inputs": {"n": n}, "key": f"order-{n}"} for n in range(RUNS)]
    assert site.spawn("start", starts=starts).wait() == 0
    survivor = site.spawn("work", until_all_ended=True, concurrency=CONCURRENCY)
    crashes, killed = [], []
    for _ in range(KILLS):
        victim = site.spawn("work", until_all_ended=True, concurrency=CONCURRENCY)
        victim.wait_lines_or_end(random.randint(2, 60))
        assert victim.kill() == -9
        killed.append(victim.pid)
        found = site.look()
        crashes.append(Crash(found, len(site.witnessed())))
    last = site.spawn("work", until_all_ended=True, concurrency=CONCURRENCY)

    assert (survivor.wait(), last.wait()) == (0, 0)

    lines, end = site.witnessed(), site.autopsy()
    check_completed(end)
    check_journal(end)
    check_nothing_repeated(lines, crashes)
    assert end.outputs() == {f"order-{n}": {"c": n + 3} for n in range(RUNS)}
    starters = defaultdict(list)
    for line in lines:
        if line.word == "start":
            starters[line.step].append(line.pid)
    repeated = Counter(pid for pids in starters.values() for pid in pids[:-1])
    assert len(starters) == 3 * RUNS
    assert set(repeated) <= set(killed)
    assert all(count <= CONCURRENCY for count in repeated.values()), repeated
    assert {line.pid for line in lines} >= {survivor.pid, *killed}
