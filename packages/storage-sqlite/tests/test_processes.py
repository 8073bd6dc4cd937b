"""Real processes on one file: turns, crashes, forks."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

import pytest

from trivium.clock import SystemClock
from trivium.errors import StoreBusy
from trivium.model.commit import Stale
from trivium.model.states import RunStatus
from trivium.storage.port import RunFilter
from trivium.testing.clock import TestClock
from trivium.testing.storage_contract import Bench
from trivium.testing.storage_contract.bench import entry
from trivium_storage_sqlite.store import SqliteStorage
from trivium_storage_sqlite.turnstile import Turnstile


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again, for what nobody tells."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"


def test_a_process_that_never_pauses_lets_the_one_that_waits_go_first(path: Path, bench: Bench, child) -> None:
    busy = child(
        "enter(); hear()\n"
        "with stop_at('sqlite.begin'): write(0)\n"
        "with stop_at('sqlite.begin'): write(1)\n"  # at once behind the first
    )
    mine = busy.hear().split()[1]
    busy.say()
    os.waitid(os.P_PID, busy.pid, os.WSTOPPED)
    waiting = threading.Thread(target=bench.start)
    waiting.start()
    with open(path.with_name("store.db-trivium") / "next.lock") as door:
        wait_until(lambda: is_locked(door))

    os.kill(busy.pid, signal.SIGCONT)
    os.waitid(os.P_PID, busy.pid, os.WSTOPPED)  # in its second turn

    runs = {run.id: run for run in bench.storage.runs(RunFilter())}
    assert len(runs) == 2
    assert [each.seq for each in bench.storage.entries(mine)] == [0]
    os.kill(busy.pid, signal.SIGCONT)
    assert busy.wait() == 0
    waiting.join(30)


def is_locked(file: IO[str]) -> bool:
    """Whether somebody holds a lock on it: nobody else takes one while this one looks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def test_a_thread_that_never_pauses_lets_the_one_that_waits_go_first(tmp_path: Path) -> None:
    turnstile, turns = Turnstile(tmp_path, patience=30), []

    def wait_for_a_turn() -> None:
        turnstile.take()
        turns.append("waiting")
        turnstile.give_back()

    turnstile.take()
    turns.append("busy")
    waiting = threading.Thread(target=wait_for_a_turn)
    waiting.start()
    wait_until(turnstile._gate.locked)

    turnstile.give_back()
    turnstile.take()
    turns.append("busy")

    turnstile.give_back()
    waiting.join(30)
    turnstile.close()
    assert turns == ["busy", "waiting", "busy"]


@pytest.mark.parametrize("point", ["sqlite.locked", "sqlite.begin", "storage.commit.inside", "sqlite.before_commit"])
def test_a_process_killed_in_its_turn_leaves_the_turn_and_nothing_else(bench: Bench, child, point: str) -> None:
    victim = child(f"enter(); hear()\nwith kill_at('{point}'): write(0)")
    worker, run_id = victim.hear().split()
    victim.say()
    assert victim.wait() == -signal.SIGKILL

    bench.start()  # or it raises StoreBusy

    assert list(bench.storage.entries(run_id)) == []
    assert {each.id: each.gone for each in bench.storage.workers()}[worker]


def test_a_commit_survives_a_kill_right_behind_it(bench: Bench, child) -> None:
    victim = child("enter(); hear()\nwith kill_at('sqlite.after_commit'): write(0)")
    run_id = victim.hear().split()[1]
    victim.say()
    victim.wait()

    assert [each.seq for each in bench.storage.entries(run_id)] == [0]


def test_a_killed_worker_is_gone_at_once_and_its_runs_can_be_taken_over(bench: Bench, child) -> None:
    victim = child("enter(); hear()")
    worker, run_id = victim.hear().split()
    seen = {each.id: each for each in bench.storage.workers()}
    assert (seen[worker].gone, seen[worker].runs, seen[worker].pid) == (False, 1, victim.pid)

    victim.kill()

    (dead,) = [each for each in bench.storage.workers() if each.gone]
    assert dead.id == worker
    assert bench.storage.bury(worker, dead.beat) == 1
    assert bench.claim_ids() == [run_id]


def test_a_stopped_process_is_not_gone_and_writes_nothing_after_a_takeover(bench: Bench, child) -> None:
    victim = child("enter(); hear(); say(type(write(0)).__name__)")
    worker, run_id = victim.hear().split()
    os.kill(victim.pid, signal.SIGSTOP)

    (stopped,) = [each for each in bench.storage.workers() if each.id == worker]
    assert not stopped.gone
    bench.storage.bury(worker, stopped.beat)
    assert bench.claim_ids() == [run_id]
    os.kill(victim.pid, signal.SIGCONT)
    victim.say()

    assert victim.hear() == Stale.__name__
    assert list(bench.storage.entries(run_id)) == []


def test_who_waits_too_long_is_told_who_writes(url: str, bench: Bench, child) -> None:
    victim = child("enter(); hear()\nwith stop_at('sqlite.begin'): write(0)")
    run_id = victim.hear().split()[1]
    victim.say()
    os.waitid(os.P_PID, victim.pid, os.WSTOPPED)

    with SqliteStorage(url, TestClock(), patience=0.05) as impatient, pytest.raises(StoreBusy) as caught:
        impatient.beat(bench.me)

    assert f"process {victim.pid}" in str(caught.value)
    os.kill(victim.pid, signal.SIGCONT)
    assert victim.wait() == 0
    assert [each.seq for each in bench.storage.entries(run_id)] == [0]


def test_reads_and_opening_do_not_wait_for_a_writer(url: str, bench: Bench) -> None:
    run_id = bench.start()
    turnstile = Turnstile(Path(url.removeprefix("sqlite:///") + "-trivium"))
    turnstile.take()

    with SqliteStorage(url, TestClock(), patience=0.05) as reader:
        assert reader.statuses([run_id]) == {run_id: RunStatus.QUEUED}

    turnstile.give_back()
    turnstile.close()


def test_another_program_that_writes_is_waited_for(path: Path, bench: Bench) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        started = threading.Thread(target=bench.start)
        started.start()
        foreign.execute("COMMIT")
        started.join(30)

    assert len(bench.claim()) == 1


def test_another_program_that_does_not_let_go_is_an_error(path: Path, url: str, bench: Bench) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with (
            SqliteStorage(url, TestClock(), patience=0.05) as impatient,
            pytest.raises(StoreBusy, match="another program"),
        ):
            impatient.beat(bench.me)

    assert bench.storage.beat(bench.me)


FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
enter()
bell = storage.doorbell(me)
pid = os.fork()
if pid == 0:
    run_id = start()                      # with connections and locks of its own
    bell.close()                          # its parent's: nothing happens
    presence.__exit__(None, None, None)   # as if it ended like its parent would
    storage.close()
    say("child", run_id, os.getpid())
    hear()
    os._exit(0)
"""


def test_the_child_of_a_fork_writes_beside_its_parent(url: str, child) -> None:
    parent = child(FORK + 'os.waitpid(pid, 0); say("parent", start(), len(storage.workers()), type(write(0)).__name__)')
    parent.hear()
    said = parent.hear().split()
    parent.say()
    heard = parent.hear().split()

    assert said[0] == "child"
    assert (heard[0], *heard[2:]) == ("parent", "1", "Applied")
    parent.wait()
    with SqliteStorage(url, SystemClock()) as storage:
        assert set(storage.statuses([said[1], heard[1]]).values()) == {RunStatus.QUEUED}


def test_the_child_of_a_fork_does_not_keep_its_dead_parent_alive(bench: Bench, child) -> None:
    parent = child(FORK + "os.waitpid(pid, 0)")
    worker, _ = parent.hear().split()
    orphan = int(parent.hear().split()[2])

    parent.kill()

    os.kill(orphan, 0)  # it lives
    assert {each.id: each.gone for each in bench.storage.workers()}[worker]
    bench.start()
    os.kill(orphan, signal.SIGKILL)


def test_a_worker_that_could_not_leave_is_gone(path: Path, bench: Bench) -> None:
    record = bench.record()
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as foreign,
        SqliteStorage(f"sqlite:///{path}", TestClock(), patience=0.05) as impatient,
    ):
        with pytest.raises(StoreBusy), impatient.presence(record):
            foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("COMMIT")

    assert {each.id: each.gone for each in bench.storage.workers()}[record.id]


def test_nothing_of_the_store_reaches_a_program_that_is_started(bench: Bench) -> None:
    bench.storage.doorbell(bench.me)
    bench.run(bench.start())
    script = (
        "import os; print([os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') if int(fd) > 2])"
    )

    told = subprocess.run([sys.executable, "-c", script], close_fds=False, capture_output=True, text=True, check=False)

    assert "store.db" not in told.stdout


def test_two_storages_of_one_process_exclude_each_other(url: str, bench: Bench) -> None:
    run = bench.running()
    with SqliteStorage(url, TestClock()) as other, ExitStack() as stack:
        hands = Bench(other, TestClock(), stack)

        def write(which: Bench, first: int) -> None:
            for number in range(first, first + 50):
                which.write(run, entry(number))

        threads = [threading.Thread(target=write, args=(which, first)) for which, first in ((bench, 0), (hands, 50))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert [each.seq for each in bench.storage.entries(run.id)] == list(range(100))
