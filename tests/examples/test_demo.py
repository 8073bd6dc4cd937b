"""The demo checks itself; here it is seen to, and to have left what it says."""

import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo" / "demo.py"
pytestmark = pytest.mark.timeout(180)


def test_the_demo_runs_draws_kills_and_resumes(example, tmp_path):
    output = tmp_path / "output"

    said = example.run(sys.executable, str(DEMO), "--output", str(output)).stdout

    assert "ok: none of the 3 finished steps ran again" in said
    assert "ok: its report is the same" in said
    assert {"demo.db", "run.dot", "run.svg", "resumed.svg"} <= {path.name for path in output.iterdir()}


def test_the_demo_leaves_a_folder_alone_that_it_did_not_make(example, tmp_path):
    precious = tmp_path / "mine" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")

    said = example.run(sys.executable, str(DEMO), "--output", str(precious.parent), code=1).stderr

    assert "choose another folder" in said
    assert precious.read_text() == "mine"
