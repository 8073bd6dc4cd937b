"""Identifiers: distinct types, and UUIDv7 so that they sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time
from typing import NewType

RunId = NewType("RunId", str)
WorkerId = NewType("WorkerId", str)
DefinitionId = NewType("DefinitionId", str)
NeedsId = NewType("NeedsId", str)

_lock = threading.Lock()
_last = 0


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # a thread that is not in the child may have held it


os.register_at_fork(after_in_child=_after_fork)


def uuid7() -> str:
    """A new UUIDv7 in canonical text form; ids made by one process sort strictly in the order they were made.

    RFC 9562, section 6.2, method 3: the 12 bits behind the millisecond are a fraction of it, and count on where the
    clock stands still or runs back. The last 62 bits come fresh from the system, so processes, forked ones too, do not
    meet.
    """
    global _last
    stamp = time.time_ns()
    millis, rest = divmod(stamp, 1_000_000)
    ticks = (millis << 12) | (rest * 4096 // 1_000_000)
    with _lock:
        ticks = _last = max(ticks, _last + 1)
    tail = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{ticks >> 12:012x}{0x7000 | (ticks & 0xFFF):04x}{0x8000_0000_0000_0000 | tail:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_run_id() -> RunId:
    """The id of a run that is about to be started."""
    return RunId(uuid7())


def new_worker_id() -> WorkerId:
    """A boot id: a worker that starts again under its old name is somebody else."""
    return WorkerId(uuid7())
