"""UUIDv7: valid, sorted by the time they were made, and never made twice."""

import subprocess
import sys
import threading
import time
import uuid

from trivium.ids import new_run_id, new_worker_id, uuid7


def test_ids_are_valid_uuids_of_version_7() -> None:
    found = uuid.UUID(uuid7())

    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert str(uuid.UUID(new_run_id())) != str(uuid.UUID(new_worker_id()))


def test_ids_carry_the_time_they_were_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7()).int >> 80
    after = time.time_ns() // 1_000_000

    assert before <= made <= after + 50  # ids made in a burst run ahead of the clock


def test_ids_of_one_process_sort_in_the_order_they_were_made() -> None:
    made = [uuid7() for _ in range(20_000)]

    assert made == sorted(set(made))


def test_ids_of_all_threads_are_different_and_sorted_in_each() -> None:
    made: list[list[str]] = [[] for _ in range(4)]
    together = threading.Barrier(4)

    def make(into: list[str]) -> None:
        together.wait()
        into.extend(uuid7() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(one == sorted(one) for one in made)
    assert len(set().union(*made)) == 20_000


FORKS = """
import os, threading
from trivium.clock import SystemClock
from trivium.ids import uuid7

stop = threading.Event()
clock = SystemClock()

def make():
    while not stop.is_set():
        uuid7()
        clock.now()

thread = threading.Thread(target=make)  # holds a lock at the moment of one fork or another
thread.start()
for _ in range(20):
    if (child := os.fork()) == 0:
        clock.now()
        os.write(1, "".join(uuid7() + chr(10) for _ in range(10)).encode())
        os._exit(0)
    os.write(1, "".join(uuid7() + chr(10) for _ in range(10)).encode())
    os.waitpid(child, 0)
stop.set()
thread.join()
"""


def test_forked_children_go_on_and_repeat_no_id() -> None:
    # A process of its own: forking beside a thread is what later Pythons warn of, and what happens to libraries.
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=30, check=True
    )

    made = ended.stdout.split()
    assert len(made) == len(set(made)) == 400
