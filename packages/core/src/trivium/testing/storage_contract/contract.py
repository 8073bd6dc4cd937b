"""The contract of every storage, put together from its subjects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from trivium.storage.port import Capability, Storage
from trivium.testing.clock import TestClock
from trivium.testing.storage_contract.bench import Bench, MakeStorage
from trivium.testing.storage_contract.cancels import Cancels
from trivium.testing.storage_contract.claims import Claims
from trivium.testing.storage_contract.doorbells import Doorbells
from trivium.testing.storage_contract.durability import DurableContract
from trivium.testing.storage_contract.effects import Effects
from trivium.testing.storage_contract.ends import Ends
from trivium.testing.storage_contract.journals import Journals
from trivium.testing.storage_contract.limits import Limits
from trivium.testing.storage_contract.reads import Lists, Pruning, ReadsDuringWrites
from trivium.testing.storage_contract.retries import Retries
from trivium.testing.storage_contract.sharing import SharedContract
from trivium.testing.storage_contract.signals import Signals
from trivium.testing.storage_contract.starts import Starts
from trivium.testing.storage_contract.waits import Waits
from trivium.testing.storage_contract.workers import Workers


class StorageContract(
    Starts,
    Journals,
    Signals,
    Ends,
    Waits,
    Cancels,
    Retries,
    Claims,
    Limits,
    Workers,
    Effects,
    Doorbells,
    Lists,
    Pruning,
    ReadsDuringWrites,
):
    """What every storage owes. A test class inherits it, and has or gets a fixture `make_storage`."""

    @pytest.fixture
    def clock(self) -> TestClock:
        return TestClock()

    @pytest.fixture
    def storage(self, make_storage: MakeStorage, clock: TestClock) -> Iterator[Storage]:
        with make_storage(clock) as storage:
            yield storage

    @pytest.fixture
    def bench(self, storage: Storage, clock: TestClock) -> Iterator[Bench]:
        with ExitStack() as stack:
            yield Bench(storage, clock, stack)

    def test_the_storage_is_tested_for_all_that_it_declares(self, storage: Storage) -> None:
        declared = storage.capabilities & {Capability.DURABLE, Capability.SHARED}

        tested = {
            capability
            for capability, contract in ((Capability.DURABLE, DurableContract), (Capability.SHARED, SharedContract))
            if contract in type(self).__mro__
        }

        assert declared == tested, (
            "a test class inherits DurableContract and SharedContract as its storage declares them"
        )

    def test_the_storage_goes_by_the_clock_that_it_was_given(self, storage: Storage, clock: TestClock) -> None:
        assert storage.clock is clock

    def test_closing_twice_is_closing(self, storage: Storage) -> None:
        storage.close()
        storage.close()
