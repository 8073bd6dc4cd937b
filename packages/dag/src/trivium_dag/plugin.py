"""What this package plugs into Trivium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trivium.hooks import hookimpl

if TYPE_CHECKING:
    from trivium.model.drivers import Driver


@hookimpl
def trivium_drivers() -> Sequence[Driver]:
    """The driver of flows."""
    from trivium_dag.driver import FlowDriver

    return [FlowDriver()]
