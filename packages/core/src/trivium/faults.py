"""Named points in the engine and the storages at which a test may stop, kill or raise.

In production nothing is installed and a point costs one comparison. Points stand around commits, claims and parking,
never on the path of a single step. `trivium.testing.faults` installs the handlers.
"""

from __future__ import annotations

from collections.abc import Callable

_handler: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Say that execution is at `point`. May block, raise or never return, if a test asked for it."""
    if _handler is not None:
        _handler(point)


def install(handler: Callable[[str], None] | None) -> None:
    """Make `handler` the receiver of all points of this process; None takes it away."""
    global _handler
    _handler = handler
