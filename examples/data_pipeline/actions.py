import csv
from collections import defaultdict
from pathlib import Path

from trivium import Retry, action


@action(retry=Retry(max_attempts=3, initial="1s"), timeout="30s")
def read_orders(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


@action
def sum_by_country(orders: list[dict[str, str]]) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for order in orders:
        totals[order["country"]] += float(order["amount"])
    return dict(totals)


@action
def write_report(totals: dict[str, float], file: str) -> str:
    Path(file).write_text("".join(f"{country}: {total:.2f}\n" for country, total in sorted(totals.items())))
    return file
