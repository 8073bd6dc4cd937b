"""What something costs, counted instead of timed: a count is the same on a busy machine as on an idle one.

Calls say how work grows with its input, not how long one of them takes; how long is for the benchmarks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Calls:
    """How many calls were made so far."""

    def __init__(self) -> None:
        self.count = 0

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call" or event == "c_call":
            self.count += 1


@contextmanager
def calls_counted() -> Iterator[Calls]:
    """Count the calls, of Python and of C functions, that this thread makes within the block; in an event loop those of
    all its tasks. What one call into C does is not seen: a scan of a long list counts as one.

    A profiler that is at work before is at work again behind it.
    """
    calls, before = Calls(), sys.getprofile()
    sys.setprofile(calls._note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
