"""What can be set about an engine."""

from __future__ import annotations

from dataclasses import dataclass

from trivium.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Times in seconds."""

    name: str = "worker"
    concurrency: int = 100
    """Runs that are driven at once; those that only wait do not count."""
    threads: int = 32
    """`def` steps that run at once."""
    queues: frozenset[str] | None = None
    heartbeat_timeout: float = 10.0
    """After this long without a heartbeat a worker on another machine counts as dead."""
    park_after: float = 1.0
    """A run that only waits leaves memory after this."""
    shutdown_grace: float = 30.0
    """How long steps under way may go on when the worker is told to stop."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", hint="give 1 or more")
        if not self.heartbeat_timeout >= 0.5:
            raise ConfigError(
                f"heartbeat_timeout is {self.heartbeat_timeout}",
                hint="give half a second or more: ten beats must fit in",
            )
        for name in ("heartbeat_timeout", "park_after", "shutdown_grace"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}", hint="give seconds, 0 or more")

    @property
    def beat_interval(self) -> float:
        """Ten beats within the timeout, but none more often than every 50 ms or rarer than once a second."""
        return min(1.0, max(0.05, self.heartbeat_timeout / 10))
