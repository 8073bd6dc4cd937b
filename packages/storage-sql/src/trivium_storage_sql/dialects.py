"""What the statements need to know of a database: how it upserts, and how a list is passed as one parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Dialect, FromClause, Select, Table, bindparam, exists, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert
from typing_extensions import override


class Flavor(ABC):
    """One database, as `statements` sees it."""

    dialect: Dialect

    @abstractmethod
    def members(self, name: str) -> Select[Any]:
        """The members of the list that is passed as the parameter `name`."""

    @abstractmethod
    def together(self, columns: Iterable[ColumnElement[Any]]) -> ColumnElement[Any]:
        """All rows as one JSON text, an array of arrays, so that they come in one step."""

    @abstractmethod
    def has_label(self, labels: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a run has the label of the parameters `label` and `value`."""

    @abstractmethod
    def each_of(self, name: str) -> FromClause:
        """The members of the list that is passed as the parameter `name`, as a table with the column `value`."""

    @abstractmethod
    def put(self, table: Table) -> Insert:
        """Insert a whole row, or replace the one under its primary key."""

    @abstractmethod
    def add(self, table: Table) -> Insert:
        """Insert a whole row, unless its primary key is taken."""


class Sqlite(Flavor):
    """SQLite: a list is a JSON array."""

    def __init__(self) -> None:
        self.dialect = sqlite.dialect(paramstyle="qmark")

    @override
    def members(self, name: str) -> Select[Any]:
        return select(func.json_each(bindparam(name)).table_valued("value").c.value)

    @override
    def together(self, columns: Iterable[ColumnElement[Any]]) -> ColumnElement[Any]:
        return func.json_group_array(func.json_array(*columns))

    @override
    def has_label(self, labels: ColumnElement[Any]) -> ColumnElement[bool]:
        # Not by a path: a name may hold what a path cannot, such as a quote.
        each = func.json_each(labels).table_valued("key", "value")
        return exists().where(each.c.key == bindparam("label"), each.c.value == bindparam("value"))

    @override
    def each_of(self, name: str) -> FromClause:
        return func.json_each(bindparam(name)).table_valued("value")

    @override
    def put(self, table: Table) -> Insert:
        # Not an upsert: on a table without a rowid and without further indexes, REPLACE is an insert that overwrites.
        return table.insert().prefix_with("OR REPLACE").values(_every(table))

    @override
    def add(self, table: Table) -> Insert:
        return table.insert().prefix_with("OR IGNORE").values(_every(table))


def _every(table: Table) -> dict[str, Any]:
    return {column.name: bindparam(column.name) for column in _columns(table)}


def _columns(table: Table) -> Iterable[Any]:
    return table.columns
