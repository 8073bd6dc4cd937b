"""Text of the statements and tables for one database: `python -m trivium_storage_sql.compiling sqlite > FILE`.

Run by hand when `statements` or `tables` changed; the tests of each storage compare its module with what this gives.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator

from sqlalchemy import ClauseElement, Executable
from sqlalchemy.schema import CreateIndex, CreateTable

from trivium_storage_sql.dialects import Flavor, Sqlite
from trivium_storage_sql.statements import filters, statements
from trivium_storage_sql.tables import metadata

FLAVORS: dict[str, Callable[[], Flavor]] = {"sqlite": Sqlite}

HEAD = '''"""Every statement as text. Made by `python -m trivium_storage_sql.compiling {name}`; change it there.

The comment above a statement names its parameters in their order.
"""

from __future__ import annotations

from typing import Final
'''


def module(name: str) -> str:
    """The whole module for the database of this name."""
    flavor = FLAVORS[name]()
    parts = [HEAD.format(name=name)]
    for constant, statement in statements(flavor).items():
        text, parameters = compiled(flavor, statement)
        comment = "".join(f"# {line}\n" for line in textwrap.wrap(", ".join(parameters), 110))
        parts.append(f"{comment}{constant}: Final = {_literal(text)}\n")
    lines = [f'    "{part}": {_literal(compiled(flavor, clause)[0])},\n' for part, clause in filters(flavor).items()]
    parts.append(f"RUN_FILTERS: Final = {{\n{''.join(lines)}}}\n")
    return "\n".join(parts)


def compiled(flavor: Flavor, statement: Executable | ClauseElement) -> tuple[str, list[str]]:
    """The text of a statement on one line, and the names of its parameters in order."""
    if not isinstance(statement, ClauseElement):
        raise TypeError(f"{statement!r} cannot be compiled")
    found = statement.compile(dialect=flavor.dialect)
    return re.sub(r"\s+", " ", str(found)).strip(), list(getattr(found, "positiontup", None) or found.params)


def schema(name: str) -> Iterator[str]:
    """The statements that create all tables and indexes, sorted by name."""
    dialect = FLAVORS[name]().dialect
    for table in metadata.sorted_tables:
        yield re.sub(r"\s+", " ", str(CreateTable(table).compile(dialect=dialect))).strip()
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield re.sub(r"\s+", " ", str(CreateIndex(index).compile(dialect=dialect))).strip()


def _literal(text: str) -> str:
    """Python source of `text`, in pieces where it is too long for a line."""
    if len(text) <= 80:
        return f'"{text}"' if '"' not in text else repr(text)
    pieces, line = [], ""
    for part in re.split(r"(?<= )", text):
        if len(line) + len(part) > 108:
            pieces.append(line)
            line = ""
        line += part
    pieces.append(line)
    quoted = [f"    {piece!r}" if '"' in piece else f'    "{piece}"' for piece in pieces]
    return "(\n" + "\n".join(quoted) + "\n)"


if __name__ == "__main__":
    sys.stdout.write(module(sys.argv[1]))
