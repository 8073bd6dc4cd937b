"""What core plugs in: the in-memory storage, and finding `@action`s in modules. The commands are in
`trivium.cli.plugin`."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from trivium.hooks.spec import StorageFactory, hookimpl

if TYPE_CHECKING:
    from trivium.clock import Clock
    from trivium.registry import Registry
    from trivium.storage.port import Storage


@hookimpl
def trivium_storages() -> Mapping[str, StorageFactory]:
    return {"memory": _memory}


@hookimpl
def trivium_discover(module: ModuleType, registry: Registry) -> None:
    registry.discover(module)


def _memory(url: str, clock: Clock) -> Storage:
    from trivium.storage.memory import MemoryStorage

    return MemoryStorage(url, clock)
