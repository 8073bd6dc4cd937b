"""The contract of the storage port, kept by the SQLite storage."""

import tempfile
from pathlib import Path

import pytest
from typing_extensions import override

from trivium.clock import Clock
from trivium.testing.storage_contract import (
    DurableContract,
    MakeStorage,
    SharedContract,
    StorageContract,
    storage_machine,
)
from trivium_storage_sqlite.store import SqliteStorage


@pytest.fixture
def make_storage(tmp_path: Path) -> MakeStorage:
    def made(clock: Clock) -> SqliteStorage:
        return SqliteStorage(f"sqlite:///{tmp_path}/store.db", clock)

    return made


class TestSqliteStorage(StorageContract, DurableContract, SharedContract):
    pass


class FreshStore(SqliteStorage):
    """A new store in a folder of its own, which goes with it."""

    def __init__(self, clock: Clock) -> None:
        self._place = tempfile.TemporaryDirectory()
        super().__init__(f"sqlite:///{self._place.name}/store.db?synchronous=normal", clock)

    @override
    def close(self) -> None:
        super().close()
        self._place.cleanup()


TestSqliteMachine = storage_machine(FreshStore).TestCase
