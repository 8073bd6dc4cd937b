"""How a verb says that it cannot be."""

from __future__ import annotations

from trivium.errors import TriviumError
from trivium.model.commit import Refused
from trivium.model.effects import Effect


class CannotBe(Exception):
    """Unwinds a unit of which a verb is refused."""

    def __init__(self, error: TriviumError, effect: Effect | None = None) -> None:
        super().__init__(error)
        self.refused = Refused(error, effect)
