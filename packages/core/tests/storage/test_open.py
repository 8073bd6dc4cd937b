"""Opening a store by its URL, and what of a URL is ever shown."""

import pytest

from trivium.clock import Clock
from trivium.errors import ConfigError, MissingPackage
from trivium.storage.memory import MemoryStorage
from trivium.storage.open import open_storage, redacted
from trivium.storage.port import Storage
from trivium.testing import TestClock


def test_memory_is_always_there():
    with open_storage("memory:") as storage:
        assert isinstance(storage, MemoryStorage)


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_every_store_in_memory_is_one_of_its_own(url: str):
    assert open_storage(url) is not open_storage(url)


def test_a_store_in_memory_has_no_name():
    with pytest.raises(ConfigError, match="has no name"):
        open_storage("memory:mine")


def test_the_storage_gets_the_clock():
    clock = TestClock()

    assert open_storage("memory:", clock=clock).clock is clock


def test_an_opener_gets_the_whole_url_and_the_clock():
    clock = TestClock()
    asked: list[tuple[str, Clock]] = []

    def opener(url: str, given: Clock) -> Storage:
        asked.append((url, given))
        return MemoryStorage(clock=given)

    open_storage("Nats://ana:secret@host/store?x=1", clock=clock, openers={"nats": opener})

    assert asked == [("Nats://ana:secret@host/store?x=1", clock)]


def test_a_package_that_is_not_installed_is_named_with_its_cure():
    with pytest.raises(MissingPackage) as caught:
        open_storage("sqlite:///a.db")

    assert 'pip install "trivium[sqlite]"' in str(caught.value)


def test_an_unknown_scheme_lists_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        open_storage("mongo://ana:secret@host", openers={"nats": MemoryStorage})

    assert "'mongo'" in str(caught.value)
    assert "known are memory:, nats:" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_bare_file_name_is_told_how_to_be_a_url():
    with pytest.raises(ConfigError, match=r"sqlite:///work/trivium\.db"):
        open_storage("work/trivium.db")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///trivium.db?synchronous=full", "sqlite:///trivium.db?synchronous=full"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://ana:s3cret@host:5432/db", "postgresql://ana:***@host:5432/db"),
        ("postgresql://ana:s3/c?r@et@host/db?a=1", "postgresql://ana:***@host/db?a=1"),
        ("nats://s3cret@host", "nats://***@host"),
        ("postgresql://host/db?password=s3cret&a=1", "postgresql://host/db?password=***&a=1"),
        ("x://host?a=1&SslPassword=s3cret", "x://host?a=1&SslPassword=***"),
        ("x://host?api_key=s3cret;token=s3cret", "x://host?api_key=***;token=***"),
    ],
)
def test_secrets_of_a_url_are_never_shown(url: str, shown: str):
    assert redacted(url) == shown
