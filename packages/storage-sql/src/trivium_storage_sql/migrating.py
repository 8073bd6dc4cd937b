"""Which steps a database lacks. Each storage has its own steps (`MIGRATIONS`) and runs them under its own lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trivium.errors import StoreTooNew

SCHEMA_ENTRY = "INSERT INTO meta (name, value) VALUES ('schema', '0')"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. The schema's version is the number of the last step that was taken."""

    number: int
    title: str
    statements: Sequence[str]


def missing(url: str, found: int, migrations: Sequence[Migration]) -> Sequence[Migration]:
    """The steps that a database of version `found` (0: an empty one) lacks, in order.

    :raises StoreTooNew: it has steps that this release does not know
    """
    known = migrations[-1].number
    if found > known:
        raise StoreTooNew(url, found, known)
    return [step for step in migrations if step.number > found]
