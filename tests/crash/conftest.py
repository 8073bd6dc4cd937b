"""A zygote for the session, and a place for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.harness import Nursery, Site


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def site(tmp_path: Path, nursery: Nursery) -> Iterator[Site]:
    """A store that does not exist yet."""
    with Site(tmp_path, nursery) as site:
        yield site
