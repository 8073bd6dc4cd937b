"""A client that dies between its starts."""

from __future__ import annotations

from crash.harness import Site, check_accepted, check_completed, check_journal, dice
from crash.scenarios import CHAIN, flow_file

STARTS = 60
POINTS = ("storage.commit.before", "storage.commit.inside", "sqlite.after_commit", "storage.commit.after")


def test_every_start_that_returned_is_there_and_its_key_gives_it_again(site: Site) -> None:
    random = dice("clients")
    chain = flow_file(site.folder, "chain", CHAIN)
    starts = [{"target": chain, "inputs": {"n": n}, "key": f"order-{n}"} for n in range(STARTS)]
    for point in POINTS:
        random.shuffle(starts)
        assert site.spawn("start", starts=starts, faults=f"kill@{point}#{random.randint(1, STARTS)}").wait() == -9
        random.shuffle(starts)
        at_random = site.spawn("start", starts=starts)
        at_random.wait_lines_or_end(random.randint(1, STARTS))
        at_random.kill()
        check_accepted(site.witnessed(), site.autopsy())

    assert site.spawn("start", starts=starts).wait() == 0
    assert site.spawn("work", until_all_ended=True).wait() == 0

    lines, end = site.witnessed(), site.autopsy()
    assert len(end.runs) == STARTS
    check_accepted(lines, end)
    check_completed(end)
    check_journal(end)
    assert end.outputs() == {f"order-{n}": {"c": n + 3} for n in range(STARTS)}
    assert sum(line.word == "start" for line in lines) == 3 * STARTS
