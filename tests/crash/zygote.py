"""A process that has everything imported and forks children on request: `python -m crash.zygote SOCKET_FD`.

A forked child is a process like any other: it has its own id, it opens the store by itself, and SIGKILL ends it. Only
importing half a second of modules for each of some hundred crashes is spared.

It has one thread, opens no store, and ends with its socket; the children that are left then are killed. A request is a
JSON object `{"role", "arguments", "environment", "log"}` with the writing end of the child's wire beside it; it is
answered by `{"pid"}`, and when the child has ended by `{"pid", "code"}` (negative: the signal that ended it).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

from crash import roles, scenarios


class Zygote:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._children: set[int] = set()
        self._wake, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._channel.fileno() in ready:
                data, wires, _, _ = socket.recv_fds(self._channel, 1 << 20, 1)
                if not data:
                    break
                self._fork(json.loads(data), wires[0])
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            self._tell({"pid": pid, "code": os.waitstatus_to_exitcode(status)})

    def _fork(self, request: dict[str, Any], wire: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._channel.close()
            become(request, wire)
        os.close(wire)
        self._children.add(pid)
        self._tell({"pid": pid})

    def _tell(self, answer: dict[str, int]) -> None:
        self._channel.sendall(json.dumps(answer).encode() + b"\n")


def become(request: dict[str, Any], wire: int, last: Callable[[], None] = lambda: None) -> NoReturn:
    """Play a role in this process, and leave."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(request["environment"])
        os.environ["CRASH_WIRE"] = str(wire)
        code = roles.play(request["role"], request["arguments"])
        last()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def import_what_a_child_imports(backend: str) -> None:
    """Much is imported late, when it is first used: a first child uses it and says what it had imported then."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as found:
        pid = os.fork()
        if pid == 0:
            os.environ["CRASH_WITNESS"] = f"{folder}/witness"
            starts = [
                {"target": scenarios.flow_file(Path(folder), "warm", scenarios.FLOW), "inputs": {"n": 1}, "key": "warm"}
            ]
            arguments = {"url": f"sqlite:///{folder}/warm.db", "starts": starts, "backend": backend}
            request = {"role": "drive", "arguments": arguments, "environment": {}, "log": f"{folder}/log"}
            become(request, os.open(os.devnull, os.O_WRONLY), lambda: _write(found))
        os.waitpid(pid, 0)
        found.seek(0)
        for name in json.load(found):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _write(found: IO[str]) -> None:
    json.dump([*sys.modules], found)
    found.flush()


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        import_what_a_child_imports(backend)
    Zygote(socket.socket(fileno=int(sys.argv[1]))).serve()
