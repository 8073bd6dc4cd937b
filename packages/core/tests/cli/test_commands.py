"""The other commands: graph, lint, actions, plugins, workers, store."""

from typing import Any
from xml.etree import ElementTree

import pytest


def test_a_flow_is_drawn_as_dot_on_stdout(folder: Any):
    called = folder("graph", "sum.yaml")

    assert called.code == 0
    assert called.out.startswith("digraph ")
    assert '"one" -> "two"' in called.out


def test_a_flow_is_drawn_without_its_inputs_and_without_its_actions(folder: Any):
    folder.write("trivium.toml", "")

    assert folder("graph", "sum.yaml").code == 0


def test_the_ending_of_the_file_says_the_format(folder: Any):
    called = folder("graph", "sum.yaml", "-o", "sum.svg")

    assert (called.code, called.out) == (0, "")
    assert ElementTree.parse(folder.path / "sum.svg").getroot().tag.endswith("svg")


def test_a_run_is_drawn_with_its_states(folder: Any):
    folder("run", "fails.yaml")

    called = folder("graph", folder.run_id(), "--format", "svg")

    assert called.code == 0
    assert "failed · " in called.out
    assert "completed 1" in called.out


def test_a_picture_as_json_is_its_nodes_and_edges(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")

    found = folder("graph", folder.run_id(), "--json").json

    assert [(node["id"], node["status"]) for node in found["nodes"]] == [
        ("one", "completed"),
        ("two", "completed"),
        ("loud", "completed"),
    ]
    assert found["edges"] == [{"source": "one", "target": "two", "label": "", "cause": False}]


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["none.yaml"], 3, "TRV-2001"),
        (["ffff0000"], 3, "run 'ffff0000' does not exist"),
        (["sum.yaml", "-o", "sum.bmp"], 2, "no picture ends in .bmp"),
        (["sum.yaml", "--format", "bmp"], 2, "TRV-1000"),
        (["sum.yaml", "-o", "no/such/folder.svg"], 2, "No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_drawn_says_why(folder: Any, words: list[str], code: int, error: str):
    called = folder("graph", *words)

    assert called.code == code
    assert error in called.err
    assert "Traceback" not in called.err


def test_lint_says_every_problem_of_every_file_with_its_place(folder: Any):
    folder.write("one.yaml", "trivium: 1\nname: one\nsteps:\n  - {id: a, uses: nothing}\n")
    folder.write("two.yaml", "trivium: 1\nname: two\nsteps:\n  - {id: a, uses: add, wiht: {a: 1}}\n")

    called = folder("lint", "one.yaml", "two.yaml", "sum.yaml")

    lines = called.out.splitlines()
    assert called.code == 2
    assert [line.split(":")[:2] for line in lines] == [["one.yaml", "4"], ["two.yaml", "4"]]
    assert all(line.split(" ")[1].startswith("TRV-") for line in lines)
    assert called.err == "3 files: 2 errors\n"


def test_lint_of_good_files_is_exit_0(folder: Any):
    called = folder("lint", "sum.yaml", "fails.yaml")

    assert (called.code, called.out) == (0, "")


def test_lint_without_modules_takes_every_action_for_granted(folder: Any):
    folder.write("trivium.toml", "")

    assert folder("lint", "sum.yaml").code == 0


def test_lint_as_json_has_file_line_column_code_and_message(folder: Any):
    folder.write("one.yaml", "trivium: 1\nname: one\nsteps:\n  - {id: a, uses: nothing}\n")

    (problem,) = folder("lint", "one.yaml", "--json").json

    assert (problem["file"], problem["line"], problem["warning"]) == ("one.yaml", 4, False)
    assert problem["code"].startswith("TRV-")


def test_lint_of_a_file_that_is_no_flow_says_so(folder: Any):
    called = folder("lint", "actions.py")

    assert called.code == 2
    assert called.out.startswith("actions.py:1:1: TRV-1000 this is no flow file")


def test_lint_of_a_missing_file_is_exit_3(folder: Any):
    assert folder("lint", "none.yaml").code == 3


def test_actions_are_listed_with_where_they_are(folder: Any):
    called = folder("actions")

    assert called.code == 0
    assert "add        thread    1         actions.py:5" in called.out
    assert "Adds two numbers." in called.out


def test_actions_as_json(folder: Any):
    found = folder("actions", "--json").json

    assert [action["name"] for action in found] == ["add", "boom", "pass_gate", "shout"]
    assert found[0]["description"] == "Adds two numbers."
    assert found[3]["async"] is True


def test_an_action_module_that_breaks_is_one_line_with_its_place(folder: Any):
    folder.write("broken.py", "x = 1\nraise RuntimeError('oops')\n")

    called = folder("actions", "-m", "broken.py")

    assert called.code == 2
    assert "broken.py:2: RuntimeError: oops" in called.err
    assert "Traceback" not in called.err


def test_plugins_are_listed_with_their_distributions(folder: Any):
    found = {plugin["name"]: plugin for plugin in folder("plugins", "--json").json}

    assert found["core"]["distribution"] == "trivium"
    assert "trivium_commands" in found["cli"]["hooks"]
    assert found["dag"]["distribution"] == "trivium-dag"


def test_nobody_is_at_work(folder: Any):
    called = folder("workers", "list")

    assert (called.code, called.err) == (0, "no worker is alive\n")
    assert folder("workers", "list", "--json").json == []


def test_pruning_deletes_what_ended_before(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")

    planned = folder("store", "prune", "--before", "2999-01-01", "--dry-run", "--json").json
    kept = folder("runs", "list", "--json").json
    done = folder("store", "prune", "--before", "2999-01-01", "--json").json

    assert (planned["runs"], planned["dry_run"], len(kept)) == (1, True, 1)
    assert (done["runs"], folder("runs", "list", "--json").json) == (1, [])


def test_pruning_by_age_keeps_what_is_young(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")

    assert folder("store", "prune", "--older-than", "1h", "--json").json["runs"] == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "prune needs one of --before and --older-than"),
        (["--before", "2026-01-01", "--older-than", "1h"], "prune needs one of"),
        (["--before", "yesterday"], "is not a time"),
        (["--older-than", "soon"], "soon"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_pruning_needs_a_time_that_can_be_read(folder: Any, words: list[str], error: str):
    called = folder("store", "prune", *words)

    assert called.code == 2
    assert error in called.err
