"""Events to those who listen: streams on the event loop, and observers on a thread of their own.

Best effort: a listener that is slower than the engine loses its oldest events, and an observer that raises is logged.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

import anyio

from trivium.ids import RunId
from trivium.model.events import Event, Observer

_log = logging.getLogger("trivium.events")

CAPACITY = 10_000


class Subscription:
    """The events of one tree of runs, or of all, from when it was made."""

    def __init__(self, root_id: RunId | None, on_close: Callable[[Subscription], None]) -> None:
        self._root_id = root_id
        self._on_close = on_close
        self._events: deque[Event] = deque(maxlen=CAPACITY)
        self._arrived = anyio.Event()
        self._closed = False
        self._poked = False

    def put(self, event: Event) -> None:
        if self._root_id is None or event.root_id == self._root_id:
            self._events.append(event)
            self._arrived.set()

    def poke(self) -> None:
        """Have a `get` that waits, or the next one that would, return None: there is something to see elsewhere."""
        self._poked = True
        self._arrived.set()

    async def get(self, patience: float | None = None) -> Event | None:
        """The next event; None when there was none for `patience` seconds, or it was poked or closed."""
        while not self._events:
            if self._closed or self._poked:
                self._poked = False
                return None
            self._arrived = anyio.Event()
            with anyio.move_on_after(patience) as scope:
                await self._arrived.wait()
            if scope.cancelled_caught:
                return None
        return self._events.popleft()

    def close(self) -> None:
        """Get nothing more. May be called twice."""
        if not self._closed:
            self._closed = True
            self._arrived.set()
            self._on_close(self)


class Bus:
    """Where the engine sends its events. `listening` says whether it need make them."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._subscriptions: list[Subscription] = []
        self._queue: queue.Queue[Event | None] = queue.Queue(CAPACITY)
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self.listening = bool(observers)

    def start(self) -> None:
        if self._observers:
            self._thread = threading.Thread(target=self._run, name="trivium-observers", daemon=True)
            self._thread.start()

    def close(self, patience: float = 2.0) -> None:
        """Give observers up to `patience` seconds for what they have not seen. Blocks."""
        for subscription in list(self._subscriptions):
            subscription.close()
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=patience)
            except queue.Full:
                return
            self._thread.join(patience)

    def subscribe(self, root_id: RunId | None = None) -> Subscription:
        subscription = Subscription(root_id, self._unsubscribe)
        self._subscriptions.append(subscription)
        self.listening = True
        return subscription

    def emit(self, event: Event) -> None:
        """Never blocks."""
        for subscription in self._subscriptions:
            subscription.put(event)
        if self._thread is not None:
            try:
                self._queue.put_nowait(event)
            except queue.Full:
                self._dropped += 1
                if self._dropped == 1:
                    _log.warning("observers are too slow: events are dropped")

    def _unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        self.listening = bool(self._observers or self._subscriptions)

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            for observer in self._observers:
                try:
                    observer(event)
                except BaseException:  # foreign code: an observer's SystemExit must not end the thread of all
                    _log.exception("observer %r failed on %s", observer, type(event).__name__)
