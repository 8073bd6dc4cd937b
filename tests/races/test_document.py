"""docs/races.md names the tests that there are."""

import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "races.md"


def test_the_page_of_the_races_names_every_test_and_no_other():
    named = re.findall(r"`tests/races/(test_\w+\.py::test_\w+)`", DOCUMENT.read_text())
    written = [
        f"{file.name}::{name}"
        for file in HERE.glob("test_*.py")
        if file != Path(__file__)
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    ]

    assert sorted(named) == sorted(written)
