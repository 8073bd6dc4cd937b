"""The thread that waits at the doorbell."""

from __future__ import annotations

import threading
from collections.abc import Callable

from trivium.model.commit import Ring
from trivium.storage.port import Doorbell

_PATIENCE = 60.0


class BellThread:
    """Hands every ring over, from its own thread, until it is stopped."""

    def __init__(
        self, bell: Doorbell, *, on_ring: Callable[[Ring], object], on_failure: Callable[[BaseException], object]
    ) -> None:
        self._bell = bell
        self._on_ring = on_ring
        self._on_failure = on_failure
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="trivium-bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the bell and wait for the thread. May be called twice."""
        self._stopping = True
        self._bell.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                ring = self._bell.wait(_PATIENCE)
                if ring and not self._stopping:
                    self._on_ring(ring)
        except BaseException as error:
            if not self._stopping:
                self._on_failure(error)
