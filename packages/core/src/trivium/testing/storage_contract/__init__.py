"""The contract that every storage keeps, as test classes to inherit from.

A test module of a storage gives a fixture `make_storage` (a callable that takes a `Clock` and returns a storage, not
yet opened) and a class for it; it also inherits the contracts of what its storage declares::

    import pytest

    from trivium.testing.storage_contract import DurableContract, SharedContract, StorageContract, storage_machine


    @pytest.fixture
    def make_storage(tmp_path):
        return lambda clock: MyStorage(f"mine:///{tmp_path}/store", clock)


    class TestMyStorage(StorageContract, DurableContract, SharedContract):
        pass


    TestMachine = storage_machine(make_fresh_storage).TestCase

Where `DurableContract` or `SharedContract` is inherited, all storages made within one test are one store. The machine
takes no fixture: its `make_fresh_storage(clock)` gives a new, empty store at every call.
"""

from trivium.errors import MissingPackage

try:
    import hypothesis  # noqa: F401 - only to say early and clearly that it is missing
    import pytest
except ImportError:
    raise MissingPackage("trivium.testing.storage_contract", "testing") from None

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "bench",
            "cancels",
            "claims",
            "contract",
            "doorbells",
            "durability",
            "effects",
            "ends",
            "journals",
            "limits",
            "machine",
            "model",
            "reads",
            "retries",
            "sharing",
            "signals",
            "starts",
            "waits",
            "workers",
        )
    )
)

from trivium.testing.storage_contract.bench import Bench, MakeStorage  # noqa: E402 - after the rewriting
from trivium.testing.storage_contract.contract import StorageContract  # noqa: E402 - as above
from trivium.testing.storage_contract.durability import DurableContract  # noqa: E402 - as above
from trivium.testing.storage_contract.machine import storage_machine  # noqa: E402 - as above
from trivium.testing.storage_contract.sharing import SharedContract  # noqa: E402 - as above

__all__ = [
    "Bench",
    "DurableContract",
    "MakeStorage",
    "SharedContract",
    "StorageContract",
    "storage_machine",
]
