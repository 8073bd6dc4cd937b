"""`kill -9` at moments that nobody chose."""

from __future__ import annotations

from collections import Counter

from crash.harness import Crash, Site, check_accepted, check_completed, check_journal, check_nothing_repeated, dice
from crash.scenarios import WIDE_STEPS, WIDTH, flow_file, wide

MOST_CRASHES = 40


def test_a_flow_of_300_steps_gets_through_any_number_of_kills(site: Site) -> None:
    random = dice("wide")
    start = {"target": flow_file(site.folder, "wide", wide()), "inputs": {}, "key": "wide"}
    crashes: list[Crash] = []
    for _ in range(MOST_CRASHES):
        child = site.spawn("drive", starts=[start])
        # More than the first steps of all columns: three kills in a row without a commit between are a crash loop.
        child.wait_lines_or_end(random.randint(2 * WIDTH + 5, 2 * WIDE_STEPS // 6))
        if child.kill() == 0:
            break
        crashes.append(Crash(site.autopsy(), len(site.witnessed())))
    else:
        assert site.spawn("drive", starts=[start]).wait() == 0

    lines, end = site.witnessed(), site.autopsy()
    assert len(crashes) >= 3
    check_completed(end)
    check_journal(end)
    check_accepted(lines, end)
    check_nothing_repeated(lines, crashes)
    assert len(end.entries[end.by_key("wide").id]) == WIDE_STEPS
    assert end.outputs() == {
        "wide": {f"s{WIDE_STEPS - WIDTH + column}": column + WIDE_STEPS // WIDTH for column in range(WIDTH)}
    }
    starts = Counter(line.step for line in lines if line.word == "start")
    assert starts.total() <= WIDE_STEPS + WIDTH * len(crashes)
