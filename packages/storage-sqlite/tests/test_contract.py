"""The contract of the storage port, kept by the SQLite storage."""

from pathlib import Path

import pytest

from trivium.clock import Clock
from trivium.testing.storage_contract import DurableContract, MakeStorage, SharedContract, StorageContract
from trivium_storage_sqlite.store import SqliteStorage


@pytest.fixture
def make_storage(tmp_path: Path) -> MakeStorage:
    def made(clock: Clock) -> SqliteStorage:
        return SqliteStorage(f"sqlite:///{tmp_path}/store.db", clock)

    return made


class TestSqliteStorage(StorageContract, DurableContract, SharedContract):
    pass
