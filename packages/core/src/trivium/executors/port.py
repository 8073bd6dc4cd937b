"""The executor port: one call of a user's function, somewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from trivium.bridge import Bridge


@dataclass(slots=True)
class Call:
    """One call. `on_begin` is called on the event loop when it really begins, which is when its timeout starts."""

    function: Callable[..., object]
    arguments: Mapping[str, object]
    is_async: bool
    label: str
    on_begin: Callable[[], object] | None = None


class Executor(ABC):
    """Runs calls. Opened and closed with the worker; used from its event loop."""

    name: ClassVar[str]
    local: ClassVar[bool]
    """The call runs in this process, so its context (`once`) is at hand."""

    @abstractmethod
    async def run(self, call: Call) -> object:
        """The call's value, or its exception, as it is. May be cancelled at any time; what goes on then shows in
        `stuck`."""

    @property
    def stuck(self) -> int:
        """Calls that were cancelled and could not be stopped: each holds a place until it ends."""
        return 0

    @property
    def all_stuck(self) -> bool:
        """Every place is held by such a call: nothing can run here any more."""
        return False

    async def wait_unstuck(self, label: str, seconds: float) -> bool:
        """Wait up to `seconds` for stuck calls of this label to end; whether none is left."""
        return True

    def is_stuck(self, label: str) -> bool:
        """Whether a call of this label was cancelled and still runs."""
        return False

    def is_stuck_in(self, run: str) -> bool:
        """Whether a call whose label is `RUN/...` was cancelled and still runs."""
        return False

    @property
    def running(self) -> int:
        """Calls that would go on after `close`."""
        return 0

    def start(self, bridge: Bridge) -> None:  # noqa: B027 - most need nothing here
        """Get ready. Called on the event loop, with the way back into it from other threads."""

    def close(self) -> None:  # noqa: B027 - as above
        """Let go of what can be let go; calls that cannot be stopped are left to themselves."""

    def join(self) -> None:  # noqa: B027 - as above
        """Block until they have ended. Called after `close`, from a thread of its own."""
