"""The turnstile: writers of all processes take turns.

SQLite's own lock is not fair: beside a writer that never pauses, another process waits for seconds. So every write
and every checkpoint goes through two file locks: take `next`, take `write`, let go of `next`. Whoever holds `next` is
the one that gets `write` when its holder is done, and that holder, if it wants to write again, queues behind it.

The locks are flocks, which belong to the open file: they end with the process that took them, however it ends, and
two storages of one process exclude each other like two processes do. Waiting is polling with a deadline, because a
blocking flock can neither time out nor be interrupted from another thread.

The folder's files are never deleted while a store is in use: a lock on a deleted file excludes nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import threading
import time
from pathlib import Path
from typing import Final

from typing_extensions import override

from trivium.errors import StoreBusy, StoreError, StoreUnreachable
from trivium_storage_sqlite.forks import Forked, register

PATIENCE: Final = 5.0
"""Seconds that a write waits for its turn."""
_TRY: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_FIRST_PAUSE, _LONGEST_PAUSE = 20e-6, 1e-3


class Turnstile(Forked):
    """One for each open storage; used by one thread at a time, which its mutex sees to."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        self._paths = (folder / "next.lock", folder / "write.lock")
        self._patience = patience
        # The same two doors for the threads of this process: a mutex alone would let the one that writes most in again
        # before the one that waits has woken up.
        self._gate = threading.Lock()
        self._mutex = threading.Lock()
        self._next = self._write = -1
        self._signature = b""
        self._sign: mmap.mmap | None = None
        register(self)

    def open(self) -> None:
        """Open the files, making them where they are missing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._next = os.open(self._paths[0], flags, 0o600)
            self._write = os.open(self._paths[1], flags, 0o600)
            self._signature = f"{os.getpid():<12}\n".encode()
            self._sign = self._mapped()
        except OSError as error:
            raise StoreUnreachable(
                f"cannot open the lock files in {self._paths[0].parent}: {error.strerror}",
                hint="the user who runs this must own that folder",
            ) from error

    def _mapped(self) -> mmap.mmap:
        """The place in the lock file where the holder has written its process id."""
        size = len(self._signature)
        if os.fstat(self._write).st_size < size:
            os.pwrite(self._write, b" " * size, 0)
        # For looking only: a page that is written through its mapping may need a new block on the disk, and where there
        # is none, the process is killed instead of getting an error.
        return mmap.mmap(self._write, size, prot=mmap.PROT_READ)

    def close(self) -> None:
        """Close the files. Nobody may be in the turnstile."""
        if self._sign is not None:
            self._sign.close()
            self._sign = None
        for descriptor in (self._next, self._write):
            if descriptor >= 0:
                os.close(descriptor)
        self._next = self._write = -1

    @override
    def after_fork_in_child(self) -> None:
        self._gate = threading.Lock()  # a thread that does not exist here may have held them
        self._mutex = threading.Lock()
        self.close()

    def take(self, patience: float | None = None) -> None:
        """Wait for this storage's turn to write.

        :raises StoreBusy: it did not come in time; the message names the process that holds the lock
        """
        patience = self._patience if patience is None else patience
        if not self._gate.acquire(timeout=patience):
            raise self._busy(patience)
        try:
            entered = self._mutex.acquire(timeout=patience)
        finally:
            self._gate.release()
        if not entered:
            raise self._busy(patience)
        try:
            if self._write < 0:
                self.open()
            self._lock(self._next, patience)
            try:
                self._lock(self._write, patience)
            finally:
                fcntl.flock(self._next, fcntl.LOCK_UN)
            self._leave_name()
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next one in."""
        try:
            if self._write >= 0:
                fcntl.flock(self._write, fcntl.LOCK_UN)  # nothing happens if it was not taken
        finally:
            self._mutex.release()

    def _leave_name(self) -> None:
        """Write down who has the turn, for those who wait too long."""
        # Looked at in mapped memory: a system call would let go of the interpreter, and beside a busy loop wait for it.
        # Mostly this process has written last.
        if self._sign is not None and self._sign[:] != self._signature:
            with contextlib.suppress(OSError):  # a full disk: it is a help, and not worth a commit
                os.pwrite(self._write, self._signature, 0)

    def _lock(self, descriptor: int, patience: float) -> None:
        try:
            fcntl.flock(descriptor, _TRY)
        except BlockingIOError:
            self._wait(descriptor, patience)
        except OSError as error:
            raise StoreError(f"cannot lock {self._paths[0].parent}: {error.strerror}") from error

    def _wait(self, descriptor: int, patience: float) -> None:
        # Each of the two waits gets the whole patience: who holds `next` is sure to be next, and giving up just then
        # would cost it its place.
        deadline = time.monotonic() + patience
        pause = _FIRST_PAUSE
        while True:
            time.sleep(pause)
            try:
                fcntl.flock(descriptor, _TRY)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._busy(patience) from None
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    def holder(self) -> int | None:
        """The process that wrote last, which is the one that writes if one does."""
        try:
            text = os.pread(self._write, 13, 0).strip() if self._write >= 0 else b""
        except OSError:
            return None
        return int(text) if text.isdigit() else None

    def _busy(self, patience: float) -> StoreBusy:
        pid = self.holder()
        who = "another thread of this process" if pid == os.getpid() else f"process {pid}" if pid else "another process"
        return StoreBusy(
            f"the store in {self._paths[0].parent} is being written by {who}, which did not let go within"
            f" {patience:g} s",
            hint=f"look at process {pid}: it may be stopped or hang" if pid and pid != os.getpid() else None,
        )
