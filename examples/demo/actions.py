"""The steps of `daily_sales.yaml`: each reads files, computes, and writes one file in a fixed place.

Writing in a fixed place makes a step idempotent: one that was cut off by a crash runs again and writes the same file.
Each attempt first leaves a line in `witness.log`, outside of Trivium's knowledge, so that the demo can prove what ran.
"""

import csv
import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trivium import StepContext, action

MOMENT = 0.25
"""Seconds. The computing here takes no time; real steps do, and there should be something to watch."""

RATES = {"EUR": 1.0, "USD": 0.92, "CHF": 1.05}
SEGMENTS = ("new", "regular", "business")


@action
def collect_orders(folder: str, count: int, step: StepContext) -> dict[str, str | int]:
    """The day's orders as they come from the shop: some are broken, some come twice."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    work(place, step, MOMENT)
    day = random.Random(2026)
    rows = []
    for number in range(1, count + 1):
        amount = "" if day.random() < 0.03 else f"{day.uniform(5, 250):.2f}"
        row = {"order": number, "customer": day.randrange(300), "currency": day.choice([*RATES]), "amount": amount}
        rows += [row] * (2 if day.random() < 0.02 else 1)
    return write_rows(place / "orders.csv", rows)


@action
def clean_orders(orders: str, step: StepContext) -> dict[str, str | int]:
    """Drop orders without an amount, and those that came twice."""
    work(Path(orders).parent, step, MOMENT)
    kept = {row["order"]: row for row in read_rows(orders) if row["amount"]}
    return write_rows(Path(orders).with_name("clean.csv"), kept.values())


@action
def convert_currencies(orders: str, step: StepContext) -> dict[str, str | int]:
    """What each order is worth in euros."""
    work(Path(orders).parent, step, MOMENT)
    rows = [
        {"order": row["order"], "euros": f"{float(row['amount']) * RATES[row['currency']]:.2f}"}
        for row in read_rows(orders)
    ]
    return write_rows(Path(orders).with_name("euros.csv"), rows)


@action
def look_up_customers(orders: str, step: StepContext) -> dict[str, str | int]:
    """Which segment each order's customer is in."""
    work(Path(orders).parent, step, 4 * MOMENT)
    rows = [{"order": row["order"], "segment": SEGMENTS[int(row["customer"]) % 3]} for row in read_rows(orders)]
    return write_rows(Path(orders).with_name("segments.csv"), rows)


@action
def estimate_shipping(orders: str, step: StepContext) -> dict[str, str | int]:
    """What sending each order costs. The service that knows is not there at the first try, as services are."""
    work(Path(orders).parent, step, 2 * MOMENT)
    if step.attempt == 1:
        raise ConnectionError("the shipping service does not answer")
    rows = [{"order": row["order"], "shipping": f"{4 + int(row['order']) % 5}"} for row in read_rows(orders)]
    return write_rows(Path(orders).with_name("shipping.csv"), rows)


@action
def add_up(amounts: str, segments: str, shipping: str, step: StepContext) -> dict[str, float | dict[str, float]]:
    """Revenue and shipping of the day, and the revenue of each segment."""
    work(Path(amounts).parent, step, MOMENT)
    euros = {row["order"]: float(row["euros"]) for row in read_rows(amounts)}
    by_segment: dict[str, float] = defaultdict(float)
    for row in read_rows(segments):
        by_segment[row["segment"]] += euros[row["order"]]
    return {
        "revenue": round(sum(euros.values()), 2),
        "shipping": sum(float(row["shipping"]) for row in read_rows(shipping)),
        "segments": {segment: round(total, 2) for segment, total in sorted(by_segment.items())},
    }


@action
def draw_chart(folder: str, totals: dict[str, Any], step: StepContext) -> str:
    """A bar for each segment, as SVG."""
    work(Path(folder), step, MOMENT)
    longest = max(totals["segments"].values())
    bars = [
        f'<text x="8" y="{30 * place + 24}">{segment}</text>'
        f'<rect x="90" y="{30 * place + 10}" width="{300 * total / longest:.0f}" height="18" fill="#22a356"/>'
        for place, (segment, total) in enumerate(totals["segments"].items())
    ]
    text = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="110" font-family="sans-serif" font-size="14">'
    return write_text(Path(folder, "chart.svg"), "\n".join([text, *bars, "</svg>", ""]))


@action
def write_report(folder: str, totals: dict[str, Any], raw: int, kept: int, step: StepContext) -> str:
    """The page that somebody reads in the morning."""
    work(Path(folder), step, MOMENT)
    lines = [
        "# Sales of the day",
        "",
        f"{kept:,} orders ({raw - kept:,} of {raw:,} rows were empty or double).",
        "",
        "| segment | revenue |",
        "|---|---:|",
        *(f"| {segment} | {total:,.2f} EUR |" for segment, total in totals["segments"].items()),
        f"| all | {totals['revenue']:,.2f} EUR |",
        "",
        f"Shipping costs {totals['shipping']:,.2f} EUR.",
    ]
    return write_text(Path(folder, "report.md"), "\n".join([*lines, ""]))


# --- what the steps share ------------------------------------------------------------------------


def work(folder: Path, step: StepContext, seconds: float) -> None:
    """Leave a line that this attempt began, in this process; then take a while."""
    line = json.dumps({"step": step.step_key, "attempt": step.attempt, "pid": os.getpid()}) + "\n"
    witness = os.open(folder / "witness.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(witness, line.encode())  # one write to a file opened for appending: no other step's line gets between
    finally:
        os.close(witness)
    time.sleep(seconds)


def read_rows(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> dict[str, str | int]:
    rows = list(rows)
    draft = path.with_suffix(".draft")
    with draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draft.replace(path)  # there as a whole or not at all, whenever the process is killed
    return {"file": str(path), "rows": len(rows)}


def write_text(path: Path, text: str) -> str:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)
    return str(path)
