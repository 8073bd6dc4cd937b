"""Printing data: JSON, and tables that are coloured on a terminal and plain everywhere else. Rich is imported only to
draw."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence

from trivium.graph.captions import drawable
from trivium.json import JsonValue

_OBEYED = re.compile(r"[\x7f-\x9f\ud800-\udfff]")
"""What JSON may leave as it is, and a terminal would obey or cannot show."""

STYLES = {
    "pending": "dim",
    "queued": "blue",
    "running": "cyan",
    "waiting": "yellow",
    "completed": "green",
    "failed": "red",
    "skipped": "dim",
    "cancelled": "magenta",
    "compensated": "magenta",
}
"""How a status word is drawn on a terminal."""


def print_json(value: JsonValue) -> None:
    """Indented JSON on stdout, keys in the order that they were made."""
    print(in_json(json.dumps(value, indent=2, ensure_ascii=False)))


def in_json(text: str) -> str:
    """JSON text for a terminal: the same value, with nothing in it that would be obeyed."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(text: str) -> str:
    """Text for a terminal: lone surrogates escaped, and without what it would obey."""
    return drawable(text.encode("utf-8", "backslashreplace").decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Rows on stdout, a status word coloured; `empty` on stderr where there are none."""
    if not rows:
        print(empty, file=sys.stderr)
    elif sys.stdout.isatty():
        _draw(columns, rows)
    else:
        print("\n".join(plain_table(columns, rows)))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned lines, nothing cut off: for pipes."""
    lines = [tuple(column.upper() for column in columns), *(tuple(map(one_line, row)) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(wide) for cell, wide in zip(line, widths, strict=True)).rstrip() for line in lines]


def one_line(text: str) -> str:
    """Text without line breaks and without what a terminal would obey."""
    return " ".join(drawable(text).split())


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=True, overflow="fold" if place == 0 else "ellipsis")
    for row in rows:
        cells = [one_line(cell) for cell in row]
        table.add_row(*(Text(cell, style=_style(column, cell)) for column, cell in zip(columns, cells, strict=True)))
    Console().print(table)


def _style(column: str, cell: str) -> str:
    """How a cell is drawn: states by their word, `waiting (timer)` as `waiting`."""
    return STYLES.get(cell.partition(" ")[0], "") if column == "status" else ""
