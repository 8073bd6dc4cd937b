"""Asking a busy store again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from trivium.errors import StoreBusy

T = TypeVar("T")

_log = logging.getLogger("trivium.engine")

BUSY_ATTEMPTS = 12
"""Each waits as long as the storage waits for its lock: a minute, with SQLite's five seconds."""


def patiently(ask: Callable[[], T]) -> T:
    """What the store answers. A busy one applied nothing: somebody else holds the lock, perhaps a stopped process, so
    it is asked again. Blocks.

    :raises StoreBusy: it was busy all the time
    """
    for attempt in range(1, BUSY_ATTEMPTS):
        try:
            return ask()
        except StoreBusy as busy:
            _log.warning("attempt %d of %d: %s", attempt, BUSY_ATTEMPTS, busy)
    return ask()
