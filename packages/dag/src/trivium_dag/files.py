"""Flow files that were loaded, for applications that start the same few again and again.

A file is read again unless it is certainly the one that was read: the same inode, size and times, and those times old
enough when it was read that a later change cannot have left them as they are (file systems count in ticks of some
milliseconds). Opening and reading lets go of the interpreter several times, which beside a busy worker costs more than
all else that a start does.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from trivium_dag.loading import Loaded, load_bytes
from trivium_dag.recent import Recent
from trivium_dag.yaml_reader import read_bytes

KEPT = 16
"""Files, and contents of files, that are kept."""
SETTLED = 2_000_000_000
"""Nanoseconds after which a change would show in a file's times."""

Stamp: TypeAlias = tuple[int, int, int, int, int]
"""Device, inode, size, and the nanoseconds of the last change of the content and of anything."""


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: Stamp | None
    """None: it had changed just before it was read, so it is read again."""
    loaded: Loaded


class FlowFiles:
    """The files last used. Usable from several threads."""

    def __init__(
        self, now: Callable[[], int] = time.time_ns, stamp: Callable[[str], Stamp | None] | None = None
    ) -> None:
        self._now = now
        self._stamp = stamp or stamp_of
        self._by_name: Recent[str, _Known] = Recent(KEPT)
        self._by_content: Recent[tuple[str, bytes], Loaded] = Recent(KEPT)

    def load(self, name: str) -> Loaded:
        """The flow of a file as it is now.

        :raises DefinitionError: with all that is wrong
        :raises NotFound: there is no such file
        """
        known = self._by_name.find(name)
        if known is not None and known.stamp is not None and known.stamp == self._stamp(name):
            return known.loaded
        before, now = self._stamp(name), self._now()
        data = read_bytes(Path(name))
        loaded = self._by_content.get((name, hashlib.sha256(data).digest()), lambda: load_bytes(data, name))
        settled = before is not None and before == self._stamp(name) and now - max(before[-2:]) > SETTLED
        self._by_name.put(name, _Known(before if settled else None, loaded))
        return loaded


def stamp_of(name: str) -> Stamp | None:
    """How a file looks from outside; None where it cannot be looked at."""
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
