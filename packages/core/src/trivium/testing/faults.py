"""Faults at the named points of `trivium.faults`: kill, stop, raise, or hold a thread there until the test lets it go.

All are context managers, may be used together, and act on the whole process::

    with pause_at("storage.commit.inside") as pause:
        thread.start()
        pause.wait_reached()
        ...                                # the other side of the race
        pause.resume()

A child process has no test around it: its script calls `install_from_env("TRIVIUM_FAULTS")`, with
`kill@storage.commit.inside#3` in that variable.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from trivium.faults import install

Act: TypeAlias = Callable[[], None]

PATIENCE = 30.0
"""Seconds after which a test that waits for a point has certainly gone wrong."""


class _Fault:
    """Something that happens when a point is reached for the nth time."""

    def __init__(self, point: str, nth: int, act: Act, counts: Callable[[], bool] | None = None) -> None:
        self.point, self.act = point, act
        self._left = nth
        self._counts = counts

    def reached(self) -> bool:
        """Count; whether this was the nth time. Called under the lock."""
        if self._counts is not None and not self._counts():
            return False
        self._left -= 1
        return self._left == 0


_lock = threading.Lock()
_faults: list[_Fault] = []


def _reached(point: str) -> None:
    with _lock:
        due = [fault for fault in _faults if fault.point == point and fault.reached()]
    for fault in due:  # without the lock: acting may take as long as the test likes
        fault.act()


def _add(fault: _Fault) -> None:
    with _lock:
        _faults.append(fault)
        install(_reached)


@contextmanager
def _during(fault: _Fault) -> Iterator[None]:
    _add(fault)
    try:
        yield
    finally:
        with _lock:
            _faults.remove(fault)
            if not _faults:
                install(None)


# --- for the process itself ------------------------------------------------------------------------


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    # To this thread: a signal to the process is delivered to any of its threads, and this one would run on until that
    # one has stopped all, past the point and perhaps into a transaction.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


@contextmanager
def kill_at(point: str, nth: int = 1) -> Iterator[None]:
    """End this process by SIGKILL when `point` is reached for the nth time."""
    with _during(_Fault(point, nth, _kill)):
        yield


@contextmanager
def stop_at(point: str, nth: int = 1) -> Iterator[None]:
    """Stop this process by SIGSTOP when `point` is reached for the nth time; somebody else has to continue it."""
    with _during(_Fault(point, nth, _stop)):
        yield


@contextmanager
def raise_at(point: str, error: BaseException, nth: int = 1) -> Iterator[None]:
    """Raise `error` in the thread that reaches `point` for the nth time."""

    def act() -> None:
        raise error

    with _during(_Fault(point, nth, act)):
        yield


# --- for races between threads ---------------------------------------------------------------------


class Pause:
    """A thread that is held at a point, or will be."""

    def __init__(self, point: str) -> None:
        self.point = point
        self._reached = threading.Event()
        self._resumed = threading.Event()

    def wait_reached(self, timeout: float = PATIENCE) -> None:
        """Block until a thread is held.

        :raises TimeoutError: none came
        """
        if not self._reached.wait(timeout):
            raise TimeoutError(f"nobody reached {self.point} within {timeout} s")

    def resume(self) -> None:
        """Let the thread go on, or pass if it has not come yet. May be called twice."""
        self._resumed.set()

    def _hold(self) -> None:
        self._reached.set()
        self._resumed.wait()


@contextmanager
def pause_at(point: str, nth: int = 1, *, counts: Callable[[], bool] | None = None) -> Iterator[Pause]:
    """Hold the thread that reaches `point` for the nth time until `resume` is called or the block is left. Where
    several threads come by that do the same, `counts` says, asked in each, whether this one is meant."""
    pause = Pause(point)
    with _during(_Fault(point, nth, pause._hold, counts)):
        try:
            yield pause
        finally:
            pause.resume()


# --- for child processes ---------------------------------------------------------------------------

_ACTS: dict[str, Act] = {"kill": _kill, "stop": _stop}


def install_from_env(variable: str) -> None:
    """Install, for the rest of this process, what the variable says: `ACTION@POINT[#NTH]`, separated by commas; the
    actions are `kill` and `stop`. Without the variable nothing happens. For the scripts of tests, never the library.

    :raises ValueError: it cannot be read
    """
    for text in filter(None, os.environ.get(variable, "").split(",")):
        action, at, place = text.strip().partition("@")
        point, _, nth = place.partition("#")
        if not at or not point or action not in _ACTS or not (nth or "1").isdecimal():
            raise ValueError(
                f"{variable} has {text!r}; it is ACTION@POINT or ACTION@POINT#NTH, ACTION one of {[*_ACTS]}"
            )
        _add(_Fault(point, int(nth or "1"), _ACTS[action]))
