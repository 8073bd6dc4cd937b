"""The in-memory storage: the reference for what the port means, and the store of tests and throw-away runs.

`tables` holds the rows and their indexes, `units` applies the units of a batch, `claims` picks runs and admits them to
their limits, `bells` wakes who waits, `store` puts one lock around all of it.
"""

from trivium.storage.memory.store import MemoryStorage

__all__ = ["MemoryStorage"]
