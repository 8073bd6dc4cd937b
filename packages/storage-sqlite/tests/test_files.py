"""Files that cannot be a store, disks that are full, and the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from trivium.errors import StoreError, StoreUnreachable
from trivium.faults import install
from trivium.ids import RunId
from trivium.json import dumps
from trivium.model.commit import Batch, Broken, NewSignal, RunUnit, SignalUnit, StartUnit
from trivium.model.runs import Run
from trivium.model.states import RunStatus
from trivium.storage.port import RunFilter
from trivium.testing.clock import TestClock
from trivium.testing.faults import raise_at
from trivium.testing.storage_contract import Bench
from trivium.testing.storage_contract.bench import CANCELLED, applied, entry, new_run
from trivium_storage_sqlite.checkpoints import FIRST, LONG, PAGE
from trivium_storage_sqlite.store import SqliteStorage


def log_pages(path: Path) -> float:
    return path.with_name("store.db-wal").stat().st_size / PAGE


def refused(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        SqliteStorage(url, TestClock(), patience=0.05).open()
    assert caught.value.hint
    return caught.value


# --- who may read it -----------------------------------------------------------------------------


def test_a_new_store_is_for_its_owner_alone(path: Path, child) -> None:
    hands = child('os.umask(0); storage.open(); start(); say("made"); hear()')
    assert hands.hear() == "made"

    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.glob("store.db*") if each.is_file()}

    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert not list(path.with_name("store.db-trivium").glob("new-*"))


def test_the_mode_of_a_file_that_is_there_is_left_alone(path: Path, url: str, clock: TestClock) -> None:
    path.touch()
    path.chmod(0o640)

    with SqliteStorage(url, clock):
        assert path.stat().st_mode & 0o777 == 0o640
        assert path.with_name("store.db-wal").stat().st_mode & 0o777 == 0o640


# --- what cannot be opened -----------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refused(f"sqlite:///{tmp_path}/no/where/x.db")

    assert isinstance(error, StoreUnreachable)
    assert f"mkdir -p {tmp_path}/no/where" in str(error)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "it is a folder" in str(refused(f"sqlite:///{tmp_path}"))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert isinstance(refused(f"sqlite:///{tmp_path}/file/x.db"), StoreUnreachable)


NOBODY_OPENS = """
from trivium.errors import StoreUnreachable
if os.getuid() == 0:
    os.setuid(65534)
try:
    storage.open()
except StoreUnreachable as error:
    say("refused", error)
"""


@pytest.mark.parametrize("mode", [0o500, 0o555])
def test_a_folder_of_somebody_else_is_named(path: Path, child, mode: int) -> None:
    path.parent.parent.chmod(0o755)
    path.parent.chmod(mode)

    said = child(NOBODY_OPENS).hear()

    path.parent.chmod(0o700)
    assert said.startswith("refused")
    assert str(path) in said


def test_a_place_where_nothing_can_be_made_is_named() -> None:
    assert isinstance(refused("sqlite:////proc/store.db"), StoreUnreachable)


def test_a_file_of_another_kind_is_left_alone(path: Path, url: str) -> None:
    path.write_text("not a database, but long enough to look like one if nobody looks closely\n" * 20)
    before = path.read_bytes()

    error = refused(url)

    assert isinstance(error, StoreUnreachable)
    assert "is not a SQLite database" in str(error)
    assert path.read_bytes() == before


def test_a_damaged_file_is_an_error_and_no_traceback_of_sqlite(path: Path, url: str, clock: TestClock) -> None:
    with SqliteStorage(url, clock) as storage:
        storage.commit(Batch([StartUnit(new_run()) for _ in range(500)]))
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (path.stat().st_size - PAGE))

    with pytest.raises(StoreUnreachable, match="damaged") as caught, SqliteStorage(url, clock) as storage:
        storage.commit(Batch([StartUnit(new_run())]))

    assert ".recover" in str(caught.value)


def test_a_file_that_became_unreadable_is_an_error_for_readers(path: Path, bench: Bench) -> None:
    bench.storage.close()

    with pytest.raises(StoreUnreachable, match="closed"):
        bench.storage.needs()
    with pytest.raises(StoreUnreachable, match="closed"):
        bench.start()
    bench.storage.open()


def test_a_full_disk_is_an_error_and_the_store_goes_on_when_it_is_not(bench: Bench, child) -> None:
    # A limit on the size of files is the one full disk that a test can make without being root; SQLite sees it as
    # an error of the disk.
    victim = child("""
import resource, signal
from trivium.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
storage.open()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
begun = 0
try:
    while True:
        start()
        begun += 1
except StoreError as error:
    say(error.code, type(error.__cause__).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
start()
say(begun + 1)
""")

    code, cause = victim.hear().split()
    begun = int(victim.hear())

    assert (code, cause) == ("TRV-5001", "OperationalError")
    victim.wait()
    assert len(bench.storage.runs(RunFilter(limit=10_000))) == begun


# --- data that cannot be stored ------------------------------------------------------------------


def test_only_the_unit_whose_data_is_refused_is_broken(bench: Bench) -> None:
    run = bench.running()
    units = [RunUnit(run_id=run.id, epoch=1, entries=[entry(number)]) for number in range(40)]
    units[7] = RunUnit(run_id=run.id, epoch=1, entries=[entry(7), entry(99, output=dumps("x"), key="\ud800")])
    units[31] = RunUnit(run_id=run.id, epoch=1, entries=[entry(2**70)])

    results = bench.commit(*units, claim=bench.request()).results

    broken = [number for number, result in enumerate(results) if isinstance(result, Broken)]
    assert broken == [7, 31]
    assert {each.seq for each in bench.storage.entries(run.id)} == set(range(40)) - {7, 31}


def test_a_refused_unit_takes_its_rings_and_starts_with_it(bench: Bench) -> None:
    run = bench.running()
    bad = RunUnit(run_id=run.id, epoch=1, starts=[new_run(key="k")], entries=[entry(0, key="\ud800")])

    result = bench.commit(bad, SignalUnit(NewSignal(run.id, "go")))

    assert isinstance(result.results[0], Broken)
    assert "lone surrogate" in str(result.results[0].error)
    assert applied(result.results[1]).wake_seq == 1
    assert not result.ring.work
    assert not bench.started(new_run(key="k")).existed


def test_a_tree_is_cancelled_and_retried_from_the_top_whatever_its_ids(bench: Bench) -> None:
    root = bench.running(new_run(run_id=RunId("m")))
    bench.spawn(root, new_run(run_id=RunId("l"), parent=root))
    bench.spawn(root, new_run(run_id=RunId("a"), parent=bench.run(RunId("l"))))

    bench.cancel(root.id)
    bench.end(root, CANCELLED)

    assert bench.run(RunId("l")).wake_seq == 0  # it had ended before its child did
    bench.retry(root.id)
    assert set(bench.storage.statuses([RunId("m"), RunId("l"), RunId("a")]).values()) == {RunStatus.QUEUED}


def test_an_id_that_cannot_be_is_an_error_with_a_code(bench: Bench) -> None:
    with pytest.raises(StoreError, match="lone surrogate"):
        bench.storage.run(RunId("\udcff"))


# --- the log -------------------------------------------------------------------------------------


def log_size(path: Path) -> int:
    return path.with_name("store.db-wal").stat().st_size


def write(bench: Bench, run: Run, size: int) -> None:
    """Commit about so many bytes, 400,000 at a time."""
    text = dumps("x" * 40_000)
    for _ in range(size // 400_000 + 1):
        bench.write(run, *(entry(number, output=text) for number in range(10)))


def test_the_log_does_not_grow_without_end(path: Path, bench: Bench) -> None:
    run = bench.running()

    write(bench, run, 4 * LONG)

    assert log_size(path) < LONG + FIRST


def test_the_log_of_small_commits_stays_small(path: Path, url: str) -> None:
    with SqliteStorage(f"{url}?synchronous=normal", TestClock()) as storage:
        for _ in range(2000):
            storage.commit(Batch([StartUnit(new_run())]))

        assert log_size(path) < 3 * FIRST


@contextmanager
def long_read(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        yield
        reader.execute("COMMIT")


def test_a_long_read_costs_disk_but_few_attempts(path: Path, bench: Bench) -> None:
    run = bench.running()
    reached: list[str] = []
    install(reached.append)
    with long_read(path):
        write(bench, run, 2 * LONG)
        grown = log_size(path)
    install(None)

    assert grown > 2 * LONG
    assert 1 < reached.count("sqlite.before_checkpoint") < 8


def test_the_log_shrinks_when_a_long_read_is_over(path: Path, bench: Bench) -> None:
    run = bench.running()
    with long_read(path):
        write(bench, run, 2 * LONG)

    write(bench, run, 4 * LONG)

    assert log_size(path) < LONG + FIRST


def test_a_crash_before_a_checkpoint_loses_nothing(bench: Bench) -> None:
    run = bench.running()
    with raise_at("sqlite.before_checkpoint", KeyError("crash")), pytest.raises(KeyError):
        write(bench, run, 2 * FIRST)

    assert len(bench.storage.entries(run.id)) == 10
    write(bench, run, FIRST)
