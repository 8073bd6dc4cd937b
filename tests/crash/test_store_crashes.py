"""`kill -9` of a process that makes the store, and of one that prunes it, behind any call of SQLite and of the
system."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from crash.harness import Nursery, Site, check_completed, spread
from crash.scenarios import CHAIN, flow_file, one_step

FAR_AHEAD = 2**53


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, and the schema."""
    connection = sqlite3.connect(path)
    try:
        schema = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = {name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for (name,) in tables}
        return {"schema": schema, **rows}
    finally:
        connection.close()


def test_a_store_whose_maker_was_killed_is_made_by_the_next(nursery: Nursery, tmp_path: Path) -> None:
    with Site(tmp_path, nursery) as site:
        maker = site.spawn("open_store")
        assert maker.wait() == 0, maker.said()
        calls, whole = maker.told("calls"), content(site.path)
    for die_behind in spread(calls, "open", times=5):
        folder = tmp_path / str(die_behind)
        folder.mkdir()
        with Site(folder, nursery) as site:
            assert site.spawn("open_store", die_behind=die_behind).wait() == -9
            next_one = site.spawn("open_store")
            assert next_one.wait() == 0, next_one.said()
            assert content(site.path) == whole

    assert calls > 20


def test_a_pruning_that_was_killed_is_finished_by_the_next(nursery: Nursery, tmp_path: Path) -> None:
    large = flow_file(tmp_path, "large", one_step("large", "blow_up", "{value: 7}"))
    chain = flow_file(tmp_path, "chain", CHAIN)
    tree = {"target": "tree:root", "inputs": {"value": 1}, "key": "tree"}
    waiting = [{"target": chain, "inputs": {"n": 1}, "key": "kept"}]
    with Site(tmp_path, nursery) as site:
        starts = [{"target": chain, "inputs": {"n": n}, "key": f"chain-{n}"} for n in range(20)]
        starts += [{"target": large, "inputs": {}, "key": f"large-{n}"} for n in range(2)]
        assert site.spawn("drive", starts=starts).wait() == 0
        assert site.spawn("drive", starts=[tree], signals=2).wait() == 0
        assert site.spawn("start", starts=waiting).wait() == 0
        full = site.path
        pruned = copied(full, tmp_path / "pruned")
    with Site(pruned, nursery) as site:
        pruner = site.spawn("prune", before=FAR_AHEAD)
        assert pruner.wait() == 0, pruner.said()
        calls, rest = pruner.told("calls"), content(site.path)
    assert [len(rest[table]) for table in ("runs", "journal", "inbox", "notes", "blobs", "trash")] == [1, 0, 0, 0, 0, 0]

    for die_behind in spread(calls, "prune", times=3):
        with Site(copied(full, tmp_path / str(die_behind)), nursery) as site:
            assert site.spawn("prune", before=FAR_AHEAD, die_behind=die_behind).wait() == -9
            site.autopsy()
            assert site.spawn("prune", before=FAR_AHEAD).wait() == 0
            assert content(site.path) == rest
            assert site.spawn("drive", starts=waiting).wait() == 0
            check_completed(site.autopsy())

    assert calls > 20


def copied(store: Path, folder: Path) -> Path:
    """The folder of a copy of a store that nobody has open."""
    folder.mkdir()
    shutil.copy(store, folder / store.name)
    return folder
