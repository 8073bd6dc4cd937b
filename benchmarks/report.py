"""What is required, what the best peers reach, and the table that sets the figures beside both."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec

PEERS_NOTE = "Peers: published or measured earlier on a like machine (2 cores), not in this run."


@dataclass(frozen=True, slots=True)
class Required:
    """What a figure must reach. With `of_limit` either bound is enough: a faster disk moves the limit, not our duty."""

    text: str
    at_least: float | None = None
    at_most: float | None = None
    of_limit: float | None = None

    def met(self, value: float, ratio: float | None) -> bool:
        if self.of_limit is not None and ratio is not None and ratio >= self.of_limit:
            return True
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


CHAIN = Required("0.4 x raw, or 3,600", at_least=3_600, of_limit=0.4)
CHAIN_PEER = "LangGraph 0.19 x raw, DBOS 0.07"
FAN_OUT = Required(">= 15,000", at_least=15_000)
FAN_OUT_PEER = "LangGraph 2,900, DBOS 500"
FAN_OUT_10_000_PEER = "LangGraph 554"
SAME_COST = Required("the same (<= 1.25)", at_most=1.25)
MANY_RUNS = Required(">= 2,500", at_least=2_500)
MANY_RUNS_PEER = "LangGraph 238, DBOS 80"
RESUME = Required("<= 0.4", at_most=0.4)
RESUME_PEER = "DBOS 2.0"
COLD_RUN = Required("<= 0.8", at_most=0.8)
COLD_RUN_PEER = "DBOS 0.83, LangGraph 1.0"
COLD_HELP = Required("<= 0.3", at_most=0.3)
LATENCY = Required("<= 10", at_most=10)
LATENCY_PEER = "huey 48, DBOS 1,000"
IDLE = Required("< 1", at_most=1)
MEMORY = Required("< 200", at_most=200)
LOAD = Required("<= 2", at_most=2)
LAYOUT = Required("<= 2", at_most=2)
LINEAR = Required("linear (<= 1.25)", at_most=1.25)


@dataclass(frozen=True, slots=True)
class Spread:
    """A few measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    row: str
    what: str
    unit: str
    value: Spread
    limit: float | None = None
    """The raw limit in the same unit, measured around the same repetitions."""
    limit_is: str = ""
    ratio: float | None = None
    """Median of value / limit, each value with the limit measured just before and after it."""
    required: Required | None = None
    peer: str = ""

    @property
    def passed(self) -> bool | None:
        """None where nothing is required."""
        return None if self.required is None else self.required.met(self.value.median, self.ratio)


def number(value: float) -> str:
    """Three digits that say something, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cells(figure: Figure) -> list[str]:
    value = figure.value
    spread = "" if value.low == value.high else f"{number(value.low)} - {number(value.high)}"
    limit = "" if figure.limit is None else f"{number(figure.limit)} ({figure.limit_is})"
    verdict = {None: "", True: "pass", False: "MISS"}[figure.passed]
    return [
        figure.row,
        f"{figure.what}, {figure.unit}",
        number(value.median),
        spread,
        limit,
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        "" if figure.required is None else figure.required.text,
        verdict,
        figure.peer,
    ]


HEADINGS = ["benchmark", "figure", "median", "min - max", "raw limit", "ratio", "required", "", "best peers"]


def plain(figures: Sequence[Figure]) -> str:
    """The table for a terminal."""
    rows = [HEADINGS, *map(cells, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", PEERS_NOTE])


def markdown(figures: Sequence[Figure]) -> str:
    """The table for a document."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(cells, figures)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def busy() -> str:
    """What others do on this machine, if it is too much to measure beside it; empty if it is not."""
    load = os.getloadavg()[0]
    return f"load {load:.1f}" if load > 1.0 else ""


def machine() -> dict[str, str | int]:
    """Where the figures come from."""
    return {
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "trivium": version("trivium"),
        "json": "orjson" if find_spec("orjson") else "standard library",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": platform.platform(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def to_json(figures: Sequence[Figure], *, quick: bool) -> str:
    """Everything, for a program."""
    found = [{**asdict(figure), "passed": figure.passed} for figure in figures]
    return json.dumps({"machine": machine(), "quick": quick, "figures": found}, indent=2)
