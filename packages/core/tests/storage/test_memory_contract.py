"""The in-memory storage keeps the contract of storages."""

import pytest

from trivium.storage.memory import MemoryStorage
from trivium.testing.storage_contract import MakeStorage, StorageContract, storage_machine


@pytest.fixture
def make_storage() -> MakeStorage:
    return lambda clock: MemoryStorage(clock=clock)


class TestMemoryStorage(StorageContract):
    pass


TestMemoryMachine = storage_machine(lambda clock: MemoryStorage(clock=clock)).TestCase
