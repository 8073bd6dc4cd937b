"""The first flow that a reader sees."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_flow_reads_sums_and_reports(example):
    run = example.trivium("run", "sales.yaml", "-m", "actions.py", "-i", "orders=orders.csv")

    assert run["status"] == "completed"
    assert run["outputs"] == {"report": "report.txt", "totals": {"DE": 20, "FR": 14.75}}
    assert (example.folder / "report.txt").read_text() == "DE: 20.00\nFR: 14.75\n"


def test_the_readme_shows_the_files_as_they_are(example):
    shown = dict(re.findall(r"<!-- file: (\S+) -->\n+```\w+\n(.*?)```\n", README.read_text("utf-8"), re.DOTALL))

    assert shown == {name: (example.folder / name).read_text("utf-8") for name in shown}
    assert set(shown) == {"actions.py", "sales.yaml", "orders.csv"}
