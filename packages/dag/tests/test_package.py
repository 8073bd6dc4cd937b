"""What the package offers to others: its names, its plugin, its README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import trivium_dag
from trivium.hooks import Plugins
from trivium_dag import problems

PIPELINE = Path(__file__).parent / "cases" / "pipeline.yaml"
README = Path(__file__).parents[1] / "README.md"


def test_every_code_of_a_problem_stands_in_the_readme():
    table = dict(re.findall(r"^\| `(TRV-\d{4})` \| (.+) \|$", README.read_text("utf-8"), flags=re.MULTILINE))

    assert table == problems.CODES


def test_every_code_is_declared_once_and_explained():
    codes = [value for value in vars(problems).values() if isinstance(value, str) and value.startswith("TRV-")]

    assert sorted(codes) == sorted(problems.CODES)


def test_the_public_names_are_there():
    for name in trivium_dag.__all__:
        assert getattr(trivium_dag, name).__module__.startswith("trivium_dag.")


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="Flaw"):
        trivium_dag.Flaw  # noqa: B018 - the access is what is tested


def test_the_driver_is_plugged_in():
    drivers = [driver for driver in Plugins.load().drivers if driver.kind == "flow"]

    assert [type(driver).__name__ for driver in drivers] == ["FlowDriver"]


def imported_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_plugin_costs_the_command_line_nothing():
    names = imported_by("import trivium_dag.plugin")

    assert "yaml" not in names
    assert "trivium_dag.driver" not in names


def test_loading_a_right_flow_imports_no_graph_library():
    names = imported_by(f"from trivium_dag import load_flow; load_flow({str(PIPELINE)!r})")

    assert "yaml" in names
    assert "networkx" not in names
