"""No example without a README whose commands run, and none without a test of its own."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "tests" / "docs" / "run_document.py"
NAMES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir() and not path.name.startswith("."))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", NAMES)
def test_the_commands_of_its_readme_run(name, copied):
    example = copied(name)

    example.run(sys.executable, str(RUNNER), "README.md")


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_test_of_its_own(name):
    assert Path(__file__).with_name(f"test_{name}.py").exists()


def test_there_are_examples():
    assert {"demo", "data_pipeline", "dagger", "embedded"} <= set(NAMES)
