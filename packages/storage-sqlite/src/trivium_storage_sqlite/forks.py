"""What a process must let go of when it is the child of a fork.

Descriptors that a child shares with its parent are one open file: as long as the child has them, a lock that the parent
held stays held after the parent's death. And a SQLite connection must not be used, nor even closed, across a fork. So
everything that holds either registers here and is told in the child, before any other code runs there.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from abc import ABC, abstractmethod


class Forked(ABC):
    """Something that a child must not share with its parent."""

    @abstractmethod
    def after_fork_in_child(self) -> None:
        """Close inherited descriptors, forget inherited locks. Nothing else runs in this process yet."""


_alive: weakref.WeakSet[Forked] = weakref.WeakSet()


def register(thing: Forked) -> None:
    """Tell `thing` about forks, as long as it lives."""
    _alive.add(thing)


def abandon(thing: object) -> None:
    """Keep it for ever, beyond the end of the interpreter: a SQLite connection is not to be closed by a child."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _in_child() -> None:
    for thing in list(_alive):
        thing.after_fork_in_child()


os.register_at_fork(after_in_child=_in_child)
