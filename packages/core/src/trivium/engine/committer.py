"""Group commit: one thread writes; what comes while a commit is under way goes into the next one.

An idle system commits at once, a busy one commits everything that came meanwhile, of all runs, in one transaction.
Callbacks run on the event loop, in the order of submission, after the commit is durable.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import anyio

from trivium import faults
from trivium.bridge import Bridge
from trivium.engine.patience import patiently
from trivium.errors import Conflict
from trivium.ids import WorkerId
from trivium.model.commit import Batch, BatchResult, ClaimRequest, Result, Ring, Unit
from trivium.storage.port import Storage

_log = logging.getLogger("trivium.engine")

OnResult = Callable[[Result], None]
OnClaim = Callable[[BatchResult], None]


@dataclass(slots=True)
class _Pending:
    units: list[Unit] = field(default_factory=list)
    callbacks: list[OnResult] = field(default_factory=list)
    claim: ClaimRequest | None = None
    on_claim: OnClaim | None = None


class Committer:
    """The only writer of an engine. `submit` and `claim` are for the event loop's thread."""

    def __init__(
        self,
        storage: Storage,
        bridge: Bridge,
        *,
        on_ring: Callable[[Ring], None],
        on_broken: Callable[[BaseException], None],
    ) -> None:
        self._storage = storage
        self._bridge = bridge
        self._on_ring = on_ring
        self._on_broken = on_broken
        self._condition = threading.Condition()
        self._pending = _Pending()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._drained = anyio.Event()
        self.origin: WorkerId | None = None
        self.commits = 0
        self.units = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="trivium-committer", daemon=True)
        self._thread.start()

    async def aclose(self) -> None:
        """Commit what was submitted, then end the thread. May be called twice."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread is not None and self._thread.is_alive():
            with anyio.CancelScope(shield=True):  # what was submitted is committed; its thread holds the store open
                await self._drained.wait()

    def submit(self, unit: Unit, callback: OnResult) -> None:
        """Commit `unit` with the next transaction; `callback` gets its result.

        :raises Conflict: the committer was closed
        """
        with self._condition:
            if self._stopping:
                raise Conflict("the engine was stopped", hint="open the store again")
            pending = self._pending
            pending.units.append(unit)
            pending.callbacks.append(callback)
            if len(pending.units) == 1:
                self._condition.notify()

    def claim(self, request: ClaimRequest, callback: OnClaim) -> None:
        """Claim behind the units of the next transaction. One claim at a time; none once it is closed."""
        with self._condition:
            if self._stopping:
                return
            self._pending.claim = request
            self._pending.on_claim = callback
            self._condition.notify()

    async def commit(self, unit: Unit, *, first: OnResult | None = None) -> Result:
        """Submit and wait. A caller that is cancelled while it waits does not take the unit back: what must follow from
        it all the same is `first`'s, which is called before the caller goes on, and also where it is gone."""
        done = anyio.Event()
        results: list[Result] = []

        def receive(result: Result) -> None:
            if first is not None:
                first(result)
            results.append(result)
            done.set()

        self.submit(unit, receive)
        await done.wait()
        return results[0]

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                with self._condition:
                    while not (self._pending.units or self._pending.claim or self._stopping):
                        self._condition.wait()
                    pending, self._pending = self._pending, _Pending()
                    if not (pending.units or pending.claim):
                        return
                self._commit(pending)
        except BaseException as error:
            self._bridge.call_soon(partial(self._on_broken, error))
        finally:
            self._bridge.call_soon(self._drained.set)

    def _commit(self, pending: _Pending) -> None:
        if pending.claim is not None:
            faults.reach("engine.before_claim")
        faults.reach("engine.before_commit")
        batch = Batch(pending.units, pending.claim, self.origin)
        result = patiently(lambda: self._storage.commit(batch))
        faults.reach("engine.after_commit")
        if result.claimed:
            faults.reach("engine.after_claim")
        self.commits += 1
        self.units += len(pending.units)

        def deliver() -> None:
            for callback, outcome in zip(pending.callbacks, result.results, strict=True):
                callback(outcome)
            if pending.on_claim is not None:
                pending.on_claim(result)
            if result.ring:
                self._on_ring(result.ring)

        self._bridge.call_soon(deliver)
