"""Doorbells between processes: one datagram socket for each, in a folder beside the database.

A ring is one datagram, sent without waiting. A queue that is full needs no other: its owner is about to wake, and as it
finds more than the system lets stand, it is told to look at everything. A sender that could not deliver says so with
its next ring. And a ring that is lost all the same costs the second until the owner looks by itself.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from typing_extensions import override

from trivium.errors import StoreUnreachable
from trivium.ids import RunId, WorkerId, uuid7
from trivium.model.commit import Ring
from trivium.storage.port import Doorbell
from trivium_storage_sqlite.forks import Forked, register
from trivium_storage_sqlite.work import Echo

LONGEST_RING: Final = 16 * 1024
"""Bytes of a datagram; what does not fit is rung as `everything`."""
LONGEST_ADDRESS: Final = 103
"""Bytes of a socket's address: 108 with the NUL on Linux, 104 on macOS."""
GRAIN: Final = 2_000_000_000
"""Nanoseconds: the coarsest time stamps that a file system has."""
SUFFIX: Final = ".bell"
UNFINISHED: Final = ".new"


def encode(ring: Ring) -> bytes:
    """One ring as a datagram."""
    if not ring.everything:
        text = f"{int(ring.work)}|{','.join(ring.inbox)}|{','.join(ring.ended)}".encode()
        if len(text) <= LONGEST_RING:
            return text
    return b"*"


def decode(data: bytes) -> Ring:
    """What a datagram says; one that cannot be read (another release's) rings everything."""
    parts = data.decode("utf-8", "replace").split("|")
    if not data:
        return Ring()
    if len(parts) != 3 or parts[0] not in ("0", "1"):
        return Ring(everything=True)
    inbox, ended = (frozenset(RunId(run_id) for run_id in part.split(",") if run_id) for part in parts[1:])
    return Ring(parts[0] == "1", inbox, ended)


class Bell(Doorbell, Forked):
    """The doorbell of a worker or a client of this process."""

    def __init__(self, bells: Bells, owner: WorkerId) -> None:
        self.name = f"{quote(owner, safe='')}.{uuid7()}{SUFFIX}"
        self._bells = bells
        self._closed = False
        self._most = backlog()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._listening = threading.Lock()
        register(self)

    def hang(self) -> None:
        """Become reachable."""
        # Under another name first: binding makes the file before it can be connected to, and a sender that comes in
        # between would take its owner for dead and remove it.
        unfinished = self.name.removesuffix(SUFFIX) + UNFINISHED
        try:
            self._socket.bind(self._bells.address(unfinished))
            os.rename(self._bells.path / unfinished, self._bells.path / self.name)
        except OSError as error:
            self._socket.close()
            raise StoreUnreachable(f"cannot hang a doorbell in {self._bells.path}: {error.strerror}") from error

    @override
    def wait(self, timeout: float) -> Ring:
        with self._listening:
            return self._wait(timeout)

    def _wait(self, timeout: float) -> Ring:
        heard = self._drain()
        deadline = time.monotonic() + timeout
        while not heard and not self._closed and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(OSError, ValueError):  # closed just now
                poll = select.poll()
                poll.register(self._socket, select.POLLIN)
                poll.poll(math.ceil(left * 1000))
            heard = self._drain()
        return heard

    def _drain(self) -> Ring:
        heard, count = Ring(), 0
        with contextlib.suppress(OSError):  # nothing more there, or closed just now
            while not self._closed:
                data = self._socket.recv(LONGEST_RING + 1)
                count += 1
                heard |= decode(data)
        # As many as the system lets stand, or more: then others may have found no place.
        return heard | Ring(everything=True) if count > self._most else heard

    @override
    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        # For a `wait` under way. Linux wakes it by this, which needs no file: somebody may have removed that.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.setblocking(False)
            waker.sendto(b"", self._bells.address(self.name))  # other systems; one with a full queue is awake
        self._bells.take_down(self)
        with self._listening:  # else the number that it listens to may be another file's by now
            self._socket.close()

    @override
    def after_fork_in_child(self) -> None:
        self._closed = True  # its parent's; here it stays silent
        self._listening = threading.Lock()  # a thread that does not exist here may have held it
        self._socket.close()


class Bells(Forked):
    """The folder where the bells hang, and the sender of this process. One for each open storage."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bells"
        self._own: list[Bell] = []
        self._start()
        register(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._directory = -1
        self._sender: socket.socket | None = None
        self._stamp = -1
        self._hung: Sequence[tuple[str, str]] = ()
        self._owed: set[str] = set()

    @override
    def after_fork_in_child(self) -> None:
        self._let_go()
        self._own = []
        self._start()

    def close(self) -> None:
        """Take down this storage's bells."""
        for bell in tuple(self._own):
            bell.close()
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    # --- hanging and taking down -----------------------------------------------------------------

    def hang(self, owner: WorkerId) -> Bell:
        """A new bell."""
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreUnreachable(f"cannot make {self.path}: {error.strerror}") from error
        bell = Bell(self, owner)
        bell.hang()
        self._own.append(bell)
        return bell

    def take_down(self, bell: Bell) -> None:
        """Remove a bell's socket."""
        with contextlib.suppress(ValueError):
            self._own.remove(bell)
        self._remove(bell.name)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.path / name).unlink()

    def address(self, name: str) -> str:
        """Where a bell is reached, in the few bytes that an address has room for.

        :raises OSError: it cannot be said in so few
        """
        path = str(self.path / name)
        if len(os.fsencode(path)) <= LONGEST_ADDRESS:
            return path
        with self._lock:
            if self._directory < 0:
                self._directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{name}"

    # --- ringing ---------------------------------------------------------------------------------

    def ring(self, echo: Echo, origin: WorkerId | None) -> None:
        """Ring all bells but the origin's. Called after the commit, without any lock of the store's."""
        for name, owner in self._bells():
            if owner == origin:
                continue
            ring = echo.ring(WorkerId(owner))
            if not ring:
                continue
            owing = name in self._owed
            if self.send(name, b"*" if owing else encode(ring)):
                self._owed.discard(name)
            else:
                self._owed.add(name)

    def send(self, name: str, data: bytes) -> bool:
        """Send to one bell; False where its queue is full, or this sender has too much under way."""
        try:
            address = self.address(name)
            try:
                self._sending().sendto(data, address)
            except BlockingIOError:
                # Is its queue full, or has this sender too much under way, to others that do not listen? A new one
                # has not.
                self._sending(anew=True).sendto(data, address)
        except ConnectionRefusedError:
            # Nobody has this socket open any more, and none that binds later has this name: its process is dead.
            self._remove(name)
        except FileNotFoundError:
            self._stamp = -1
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.ENOBUFS)
        return True

    def _sending(self, *, anew: bool = False) -> socket.socket:
        with self._lock:
            if anew and self._sender is not None:
                self._sender.close()  # what is under way arrives all the same
                self._sender = None
            if self._sender is None:
                self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sender.setblocking(False)
            return self._sender

    def _bells(self) -> Sequence[tuple[str, str]]:
        """The bells by name, with their owners; read again only when the folder has changed.

        A time stamp has the grain of the kernel's tick (or of the file system, up to two seconds): a bell that is hung
        in the same grain as an earlier change would leave no trace in it. So a listing is kept only if the stamp was
        old by more than that when it was read: whatever changes afterwards gets another stamp.
        """
        try:
            stamp = os.stat(self.path).st_mtime_ns
            if stamp == self._stamp:
                return self._hung
            settled = time.time_ns() - stamp > GRAIN
            names = os.listdir(self.path)
        except OSError:
            return ()
        hung = [
            (name, unquote(name.removesuffix(SUFFIX).rpartition(".")[0])) for name in names if name.endswith(SUFFIX)
        ]
        self._hung = hung
        self._stamp = stamp if settled else -1
        self._owed.intersection_update(names)
        return hung


def backlog() -> int:
    """How many datagrams a socket of this machine holds at least before it takes no more."""
    try:
        return int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    except (OSError, ValueError):
        return 8
