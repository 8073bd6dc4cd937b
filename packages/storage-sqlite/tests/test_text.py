"""The text of statements and schema is what the tables say; what runs on it takes the ways that were meant."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from trivium.model.journal import Entry
from trivium_storage_sql.compiling import FLAVORS, compiled, schema
from trivium_storage_sql.statements import filters, statements
from trivium_storage_sql.tables import metadata
from trivium_storage_sqlite import sql
from trivium_storage_sqlite.migrations import MIGRATIONS

TEXTS = {name: text for name, text in vars(sql).items() if name.isupper() and isinstance(text, str)}
LISTED_WHOLE = {
    "NEEDS": "every set of needs",
    "NEEDS_DELETE": "as above, and every definition; once a pruning",
    "WORKERS": "every worker",
    "RUNS_WHERE": "a list, newest first, that a filter narrows",
    "TRASH": "what a pruning has left",
    "CANDIDATES": "the queue, which is an index of its own",
    "SUSPECTS": "as above",
    "OFFERED": "every slot that is offered to a run, which is an index of its own",
}
"""Statements that look at a whole table or index, and why they may."""


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for step in MIGRATIONS:
        for statement in step.statements:
            connection.execute(statement)
    yield connection
    connection.close()


def test_the_text_is_compiled_from_the_tables() -> None:
    flavor = FLAVORS["sqlite"]()

    wanted = {name: compiled(flavor, statement)[0] for name, statement in statements(flavor).items()}

    assert wanted == TEXTS, "run: python -m trivium_storage_sql.compiling sqlite > .../trivium_storage_sqlite/sql.py"


def test_the_filters_are_compiled_from_the_tables() -> None:
    flavor = FLAVORS["sqlite"]()

    assert {part: compiled(flavor, clause)[0] for part, clause in filters(flavor).items()} == sql.RUN_FILTERS


def test_the_migrations_make_what_the_tables_say() -> None:
    wanted = {normal(statement) for statement in schema("sqlite")}

    made = {normal(statement) for step in MIGRATIONS for statement in step.statements}

    assert made == wanted


def normal(statement: str) -> str:
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(statement.split()))


def test_journal_columns_are_the_parts_of_an_entry() -> None:
    columns = [column.name for column in metadata.tables["journal"].columns]

    assert columns == ["run_id", *(field.name for field in fields(Entry))]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_statement_looks_through_a_whole_table(database: sqlite3.Connection, name: str) -> None:
    text = TEXTS[name]

    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", ("[]",) * text.count("?"))]

    tables = "|".join(metadata.tables)
    whole = [step for step in plan if re.match(rf"SCAN ({tables})\b", step)]
    assert bool(whole) == (name in LISTED_WHOLE), plan


@pytest.mark.parametrize("name", ["CANDIDATES", "CANDIDATES_OF_QUEUE", "NEXT_DUE", "TOP_PRIORITY"])
def test_queues_are_read_in_the_order_of_their_index(database: sqlite3.Connection, name: str) -> None:
    text = TEXTS[name]

    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", ("[]",) * text.count("?"))]

    assert not [step for step in plan if "TEMP B-TREE" in step]


@pytest.mark.parametrize("name", ["CANDIDATES_OF_ROOTS", "CANDIDATES_OF_ROOTS_IN_ANY_QUEUE"])
def test_of_each_tree_as_many_are_read_as_are_wanted_in_the_order_of_the_index(
    database: sqlite3.Connection, name: str
) -> None:
    text = TEXTS[name]

    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", ("[]",) * text.count("?"))]

    assert "SEARCH first USING INDEX runs_queued_by_root (root_id=?)" in plan
    assert len([step for step in plan if "TEMP B-TREE" in step]) == 1  # what is left of all trees


def test_creating_and_opening_a_store_imports_no_sqlalchemy(tmp_path: Path) -> None:
    script = """
import sys
from trivium.clock import SystemClock
from trivium.model.commit import Batch
from trivium_storage_sqlite.plugin import trivium_storages
for _ in range(2):
    with trivium_storages()["sqlite"](sys.argv[1], SystemClock()) as storage:
        storage.commit(Batch())
        storage.needs()
print([name for name in sys.modules if name.startswith("sqlalchemy")])
"""

    done = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{tmp_path}/x.db"], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
