"""Whether a worker's process lives, told by a lock on a file of its own.

The lock ends with the process, however that ends, so a free lock means that the worker is gone, at once. A held lock
proves nothing: a stopped process keeps it. The file lies on a local disk beside the database, so whoever can ask is on
the same machine. Where there is no file (somebody removed the folder, or copied the database alone) nothing is known,
and the heartbeat decides.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from typing_extensions import override

from trivium.errors import Conflict, StoreUnreachable
from trivium.ids import WorkerId
from trivium_storage_sqlite.forks import Forked, register


class Presence(Forked):
    """The lock of one worker of this process."""

    def __init__(self, folder: Path, worker_id: WorkerId) -> None:
        self._worker_id = worker_id
        self._path = lock_path(folder, worker_id)
        self._descriptor = -1
        register(self)

    def take(self) -> None:
        """Make the file and lock it; before the worker's row is there, so that nobody sees it free."""
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnreachable(
                f"cannot make {self._path}: {error.strerror}", hint="the user who runs this must own that folder"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise Conflict(f"worker {self._worker_id} is present already") from None

    @property
    def held(self) -> bool:
        """False in the child of a fork, whose end is not the worker's."""
        return self._descriptor >= 0

    def let_go(self, *, forget: bool) -> None:
        """Unlock; `forget` removes the file, once the worker's row is gone."""
        if self.held and forget:
            self._path.unlink(missing_ok=True)
        self._close()

    @override
    def after_fork_in_child(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_path(folder: Path, worker_id: WorkerId) -> Path:
    """The file of a worker."""
    return folder / "workers" / f"{quote(worker_id, safe='')}.lock"


def is_gone(folder: Path, worker_id: WorkerId) -> bool:
    """Whether the worker's process has ended for certain."""
    try:
        descriptor = os.open(lock_path(folder, worker_id), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def forget(folder: Path, worker_id: WorkerId) -> None:
    """Remove the file of a worker that was buried."""
    lock_path(folder, worker_id).unlink(missing_ok=True)
