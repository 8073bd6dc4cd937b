"""The plugin: `sqlite:///...` is served by this package. Imports nothing before a store is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trivium.hooks import hookimpl

if TYPE_CHECKING:
    from trivium.clock import Clock
    from trivium.hooks.spec import StorageFactory
    from trivium.storage.port import Storage


def open_sqlite(url: str, clock: Clock) -> Storage:
    """The storage behind a `sqlite:` URL, not yet opened."""
    from trivium_storage_sqlite.store import SqliteStorage

    return SqliteStorage(url, clock)


@hookimpl
def trivium_storages() -> Mapping[str, StorageFactory]:
    return {"sqlite": open_sqlite}
