"""The event loop itself: for `async def` actions, and for `def` actions that say so and never block."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from typing_extensions import override

from trivium.executors.port import Call, Executor


class InlineExecutor(Executor):
    """Awaits the call where it stands."""

    name = "inline"
    local = True

    @override
    async def run(self, call: Call) -> object:
        if call.on_begin is not None:
            call.on_begin()
        value = call.function(**call.arguments)
        return await cast(Awaitable[object], value) if call.is_async else value
