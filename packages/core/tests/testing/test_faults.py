"""Faults at named points: what they do, to whom, and that they leave nothing behind."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from trivium.faults import reach
from trivium.testing import pause_at, raise_at

PATIENCE = 30.0

CHILD = """
from trivium.faults import reach
from trivium.testing import install_from_env, kill_at, stop_at

install_from_env("TRIVIUM_FAULTS")
for number in range(3):
    print("round", number, flush=True)
    reach("here")
print("end", flush=True)
"""


class Boom(Exception):
    pass


def child(faults: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "TRIVIUM_FAULTS": faults},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- in this process ---------------------------------------------------------------------------------


def test_a_point_without_a_fault_is_passed():
    reach("anywhere")


def test_a_fault_raises_at_its_point_and_nowhere_else():
    with raise_at("here", Boom()):
        reach("there")
        with pytest.raises(Boom):
            reach("here")


def test_a_fault_happens_at_the_nth_time_alone():
    with raise_at("here", Boom(), nth=2):
        reach("here")
        with pytest.raises(Boom):
            reach("here")
        reach("here")


def test_a_fault_is_gone_with_its_block():
    with raise_at("here", Boom()):
        pass

    reach("here")


def test_faults_are_used_together():
    first, second = Boom(), Boom()

    with raise_at("one", first), raise_at("two", second):
        with pytest.raises(Boom) as at_two:
            reach("two")
        with pytest.raises(Boom) as at_one:
            reach("one")

    assert (at_one.value, at_two.value) == (first, second)


def test_a_paused_thread_waits_until_it_is_let_go():
    passed = threading.Event()

    def run() -> None:
        reach("here")
        passed.set()

    thread = threading.Thread(target=run)
    with pause_at("here") as pause:
        thread.start()
        pause.wait_reached(PATIENCE)
        before = passed.is_set()
        pause.resume()
        pause.resume()
        thread.join(PATIENCE)

    assert (before, passed.is_set()) == (False, True)


def test_a_pause_holds_one_thread_and_lets_the_others_pass():
    held = threading.Thread(target=reach, args=("here",))
    with pause_at("here") as pause:
        held.start()
        pause.wait_reached(PATIENCE)

        reach("here")

        assert held.is_alive()
    held.join(PATIENCE)


def test_leaving_the_block_lets_a_paused_thread_go():
    thread = threading.Thread(target=reach, args=("here",))
    with pause_at("here") as pause:
        thread.start()
        pause.wait_reached(PATIENCE)

    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_race_is_forced_by_two_pauses():
    order: list[str] = []

    def run(name: str) -> None:
        reach(name)
        order.append(name)

    threads = {name: threading.Thread(target=run, args=(name,)) for name in ("first", "second")}
    with pause_at("first") as first, pause_at("second") as second:
        for name, pause in (("first", first), ("second", second)):
            threads[name].start()
            pause.wait_reached(PATIENCE)
        second.resume()
        threads["second"].join(PATIENCE)
        first.resume()
        threads["first"].join(PATIENCE)

    assert order == ["second", "first"]


def test_a_pause_may_be_meant_for_one_of_several_threads():
    threads = [threading.Thread(target=reach, args=("here",)) for _ in range(2)]
    meant, other = threads
    with pause_at("here", counts=lambda: threading.current_thread() is meant) as pause:
        for thread in (other, meant):
            thread.start()
        other.join(PATIENCE)
        pause.wait_reached()
        assert (other.is_alive(), meant.is_alive()) == (False, True)
    meant.join(PATIENCE)

    assert not meant.is_alive()


def test_a_pause_that_nobody_reaches_is_said():
    with pause_at("here") as pause, pytest.raises(TimeoutError, match="nobody reached here"):
        pause.wait_reached(timeout=0.001)


# --- in a child process ------------------------------------------------------------------------------


def test_a_child_is_killed_at_the_nth_time():
    process = child("kill@here#2")

    out, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == -signal.SIGKILL
    assert out.split("\n") == ["round 0", "round 1", ""]


def test_a_child_is_stopped_and_goes_on():
    process = child("stop@here")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)

    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    assert out.endswith("end\n")


def test_a_child_without_faults_runs_through():
    process = child("")

    out, _ = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out.split("\n")[-2]) == (0, "end")


@pytest.mark.parametrize("text", ["kill", "kill@", "maim@here", "kill@here#x"])
def test_what_cannot_be_read_is_said(text: str):
    process = child(text)

    _, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert f"TRIVIUM_FAULTS has {text!r}" in err


# --- what the package needs --------------------------------------------------------------------------


def test_the_clock_and_the_faults_need_no_test_tools_and_the_contract_says_what_it_needs():
    script = """
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None  # as if they were not installed
import trivium.testing
from trivium.errors import MissingPackage
try:
    import trivium.testing.storage_contract
except MissingPackage as error:
    print(error)
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=True)

    assert 'pip install "trivium[testing]"' in done.stdout
