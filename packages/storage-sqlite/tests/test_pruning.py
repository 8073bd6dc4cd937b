"""Blobs, and what pruning takes away of everything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from trivium.errors import NotFound
from trivium.json import JsonText, dumps
from trivium.model.commit import RetryUnit, RunUnit
from trivium.model.effects import EffectChange, EffectStatus
from trivium.model.runs import Definition, Limit
from trivium.storage.port import Pruned
from trivium.testing.faults import raise_at
from trivium.testing.storage_contract import Bench
from trivium.testing.storage_contract.bench import COMPLETED, FAILED, applied, entry, new_run, refused
from trivium_storage_sql.blobs import BLOB_THRESHOLD, needs_blob
from trivium_storage_sqlite.pruning import ENTRIES_AT_ONCE, RUNS_AT_ONCE

BIG = dumps("b" * BLOB_THRESHOLD)


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found)


def everything(path: Path) -> dict[str, int]:
    tables = "runs journal inbox signal_ids waits definitions holdings effects notes blobs blob_refs trash"
    return {table: found for table in tables.split() if (found := count(path, table))}


def prune(bench: Bench) -> Pruned:
    bench.clock.advance(1)
    return bench.storage.prune(before=bench.clock.now())


# --- blobs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "large"),
    [
        ("x" * BLOB_THRESHOLD, False),
        ("x" * (BLOB_THRESHOLD + 1), True),
        ("ü" * (BLOB_THRESHOLD // 2), False),
        ("ü" * (BLOB_THRESHOLD // 2) + "x", True),
        ("\U0001f600" * (BLOB_THRESHOLD // 4), False),
        ("\U0001f600" * (BLOB_THRESHOLD // 4 + 1), True),
    ],
)
def test_the_threshold_is_one_of_bytes(text: str, large: bool) -> None:
    assert needs_blob(text) == large


def test_equal_texts_are_stored_once(path: Path, bench: Bench) -> None:
    first, second = bench.running(new_run(inputs=BIG)), bench.running(new_run(inputs=BIG))

    bench.write(first, entry(0, output=BIG), entry(1, output=BIG))
    bench.signal(second.id, payload=BIG)

    assert count(path, "blobs") == 1
    assert [each.output for each in bench.storage.entries(first.id)] == [BIG, BIG]
    assert bench.storage.inbox(second.id)[1][0].payload == BIG


@pytest.mark.parametrize("text", ['"@sha256:0000"', '"@"', '["@sha256:"]'])
def test_text_that_looks_like_a_reference_is_none(bench: Bench, text: str) -> None:
    run = bench.running(new_run(inputs=JsonText(text)))

    bench.write(run, entry(0, output=JsonText(text)))

    assert bench.run(run.id).inputs == text
    assert bench.storage.entries(run.id)[0].output == text


# --- pruning -------------------------------------------------------------------------------------


def test_pruning_leaves_nothing_of_a_tree(path: Path, bench: Bench) -> None:
    own = Definition.of("test", "own", {"body": "d" * BLOB_THRESHOLD})
    bench.start(new_run(definition=own, inputs=BIG, limits=[Limit("k", 1)], key="key"))
    root = bench.claim_one(bench.request(serves=[own]))
    effect = EffectChange(
        scope=root.id, key="e", status=EffectStatus.INTENDED, step_key="s", output=dumps("e" * 70_000)
    )
    bench.signal(root.id, payload=dumps("s" * 70_000), id="once")
    bench.one(RunUnit(run_id=root.id, epoch=1, entries=[entry(0, output=BIG)], effects=[effect], notes=["note"]))
    (child,) = bench.spawn(root, new_run(parent=root, definition=own))
    bench.cancel(child)
    bench.end(root)

    pruned = prune(bench)

    assert pruned == Pruned(runs=2, entries=1, blobs=4)
    assert everything(path) == {}


def test_a_dry_run_says_what_a_pruning_does(bench: Bench) -> None:
    for text in (BIG, dumps("other" * 20_000)):
        run = bench.running(new_run(inputs=text))
        bench.write(run, entry(0, output=BIG))
        bench.end(run)
    bench.start(new_run(inputs=dumps("other" * 20_000)))
    bench.clock.advance(1)

    told = bench.storage.prune(before=bench.clock.now(), dry_run=True)

    assert told == Pruned(runs=2, entries=2, blobs=1)
    assert bench.storage.prune(before=bench.clock.now()) == told


def test_what_others_refer_to_stays(path: Path, bench: Bench) -> None:
    old, young = bench.running(new_run(inputs=BIG)), bench.running(new_run(inputs=BIG))
    bench.end(old)

    assert prune(bench) == Pruned(runs=1, entries=0, blobs=0)

    assert bench.run(young.id).inputs == BIG
    assert count(path, "definitions") == 1


def test_effects_of_a_wider_scope_stay(bench: Bench) -> None:
    run = bench.running()
    applied(bench.effect(run, EffectChange(scope="tenant", key="e", status=EffectStatus.INTENDED, step_key="s")))
    bench.end(run)

    prune(bench)

    assert bench.storage.effect("tenant", "e") is not None


def test_a_large_tree_goes_in_parts(path: Path, bench: Bench) -> None:
    root = bench.running()
    bench.spawn(root, *(new_run(parent=root) for _ in range(2 * RUNS_AT_ONCE)))
    bench.write(root, *(entry(number) for number in range(2 * ENTRIES_AT_ONCE + 10)))
    bench.commit(
        *(RunUnit(run_id=each.run.id, epoch=1, then=COMPLETED) for each in bench.claim(bench.request(limit=1000)))
    )
    bench.end(root)

    pruned = prune(bench)

    assert pruned == Pruned(runs=2 * RUNS_AT_ONCE + 1, entries=2 * ENTRIES_AT_ONCE + 10, blobs=0)
    assert everything(path) == {}


@pytest.mark.parametrize("part", range(1, 6))
def test_a_pruning_that_breaks_off_is_finished_by_the_next(path: Path, bench: Bench, part: int) -> None:
    root = bench.running()
    bench.spawn(root, *(new_run(parent=root) for _ in range(RUNS_AT_ONCE + 10)))
    bench.write(root, *(entry(number) for number in range(ENTRIES_AT_ONCE + 10)))
    bench.end(root, FAILED)
    bench.clock.advance(1)

    with raise_at("sqlite.before_commit", KeyError("crash"), nth=part), pytest.raises(KeyError):
        bench.storage.prune(before=bench.clock.now())
    bench.storage.prune(before=bench.clock.now())

    assert everything(path) == {}


def test_a_tree_that_is_being_pruned_cannot_be_retried(path: Path, bench: Bench) -> None:
    root = bench.running()
    bench.spawn(root, *(new_run(parent=root) for _ in range(RUNS_AT_ONCE + 10)))
    bench.end(root, FAILED)
    bench.clock.advance(1)
    with raise_at("sqlite.before_commit", KeyError("crash"), nth=3), pytest.raises(KeyError):
        bench.storage.prune(before=bench.clock.now())
    assert bench.storage.run(root.id) is not None

    refused(bench.one(RetryUnit(root.id)), NotFound)
