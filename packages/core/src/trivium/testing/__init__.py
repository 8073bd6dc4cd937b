"""For tests, ours and those of everybody who writes a storage or a flow: a clock to move by hand, faults at named
points, work that is counted instead of timed, and the contract that every storage keeps.

The clock, the faults and the counts need nothing; `trivium.testing.storage_contract` needs
`pip install "trivium[testing]"`.
"""

from trivium.testing.clock import TestClock
from trivium.testing.faults import Pause, install_from_env, kill_at, pause_at, raise_at, stop_at
from trivium.testing.work import Calls, calls_counted

__all__ = [
    "TestClock",
    # faults
    "Pause",
    "install_from_env",
    "kill_at",
    "pause_at",
    "raise_at",
    "stop_at",
    # work
    "Calls",
    "calls_counted",
]
