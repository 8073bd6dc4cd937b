"""`trivium run`: outputs, exit codes, keys, inputs."""

import json
from typing import Any

import pytest


def test_outputs_go_to_stdout_and_the_story_to_stderr(folder: Any):
    called = folder("run", "sum.yaml", "-i", "a=1")

    assert called.code == 0
    assert called.json == {"total": 12, "loud": "HI"}
    assert "started" in called.err
    assert "completed  two" in called.err
    assert " completed in " in called.err


def test_json_is_one_object_with_every_step(folder: Any):
    called = folder("run", "sum.yaml", "-i", "a=1", "--json")

    found = called.json
    assert list(found) == ["run_id", "kind", "name", "status", "outputs", "error", "steps"]
    assert (found["kind"], found["name"], found["status"], found["error"]) == ("flow", "sum", "completed", None)
    assert found["outputs"] == {"total": 12, "loud": "HI"}
    assert set(found["steps"]) == {"one", "two", "loud"}
    assert list(found["steps"]["one"]) == ["status", "attempts", "output", "error", "started_at", "finished_at"]
    assert found["steps"]["one"]["finished_at"].endswith("Z")
    assert called.err == ""


def test_a_failed_run_is_exit_1_and_says_why(folder: Any):
    called = folder("run", "fails.yaml")

    assert called.code == 1
    assert called.out == ""
    assert "error TRV-4010: step 'bad' failed: no <b>such</b> thing" in called.err
    assert "trivium runs show " in called.err
    assert "Traceback" not in called.err


def test_a_failed_run_as_json_has_the_error_of_run_and_step(folder: Any):
    called = folder("run", "fails.yaml", "--json")

    found = called.json
    assert (called.code, found["status"], found["outputs"]) == (1, "failed", None)
    assert found["error"]["code"] == "TRV-4010"
    assert found["steps"]["bad"]["error"]["type"] == "ValueError"


def test_the_same_key_finds_the_same_run(folder: Any):
    first = folder("run", "sum.yaml", "-i", "a=1", "--key", "k", "--json").json
    second = folder("run", "sum.yaml", "-i", "a=1", "--key", "k", "--json").json

    assert second == first


def test_the_same_key_with_other_inputs_is_exit_4(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1", "--key", "k")

    called = folder("run", "sum.yaml", "-i", "a=2", "--key", "k")

    assert called.code == 4
    assert called.err.startswith("error TRV-3002: key 'k' belongs to run ")


def test_inputs_come_from_a_file_and_single_ones_win(folder: Any):
    folder.write("inputs.json", json.dumps({"a": 1, "text": "file"}))

    called = folder("run", "sum.yaml", "--inputs", "inputs.json", "-i", "text=1")

    assert called.json == {"total": 12, "loud": "1"}  # by the declared type: text stays text


def test_detach_prints_the_id_of_a_run_that_waits_for_a_worker(folder: Any):
    called = folder("run", "sum.yaml", "-i", "a=1", "--detach")

    shown = folder("runs", "show", called.out.strip(), "--json").json
    assert called.code == 0
    assert shown["status"] == "queued"


def test_detach_needs_no_actions_here(folder: Any):
    folder.write("trivium.toml", "")

    called = folder("run", "sum.yaml", "-i", "a=1", "--detach", "--json")

    assert (called.code, called.json["status"]) == (0, "queued")


def test_labels_are_found_again(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1", "--label", "month=11")
    folder("run", "sum.yaml", "-i", "a=1")

    assert len(folder("runs", "list", "--label", "month=11", "--json").json) == 1


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["run"], 2, "error TRV-1000: Missing argument 'TARGET'"),
        (["run", "sum.yaml", "--speed", "9"], 2, "error TRV-1000: No such option: --speed"),
        (["run", "sum.yaml"], 2, "error TRV-1003: "),
        (["run", "sum.yaml", "-i", "a=x"], 2, "error TRV-1003: "),
        (["run", "sum.yaml", "-i", "a"], 2, "error TRV-1000: -i 'a' is not KEY=VALUE"),
        (["run", "sum.yaml", "-i", "a=1", "--label", "x"], 2, "error TRV-1000: --label 'x' is not KEY=VALUE"),
        (["run", "sum.yaml", "--inputs", "actions.py"], 2, "error TRV-1000: actions.py is not JSON"),
        (["run", "sum.yaml", "--inputs", "none.json"], 3, "error TRV-2001: file 'none.json' does not exist"),
        (["run", "none.yaml"], 3, "error TRV-2001: "),
        (["run", "sum.yaml", "-i", "a=1", "-m", "none.py"], 3, "error TRV-2001: module "),
        (["run", "sum.yaml", "-i", "a=1", "--store", "nonsense"], 2, "error TRV-6001: "),
        (["run", "sum.yaml", "-i", "a=1", "--store", "sqlite:///no/such/folder/x.db"], 5, "error TRV-5002: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_users_mistake_is_one_line_with_a_code(folder: Any, words: list[str], code: int, error: str):
    called = folder(*words)

    assert called.code == code
    assert called.err.startswith(error)
    assert called.out == ""
    assert len(called.err.splitlines()) <= 2
    assert "Traceback" not in called.err


def test_all_problems_of_a_file_are_said_with_their_places(folder: Any):
    folder.write("wrong.yaml", "trivium: 1\nname: wrong\nsteps:\n  - {id: a, uses: nothing}\n  - {id: a, uses: add}\n")

    called = folder("run", "wrong.yaml")

    lines = called.err.splitlines()
    assert called.code == 2
    assert all(line.startswith("wrong.yaml:") for line in lines[:-1])
    assert lines[-1].startswith("error TRV-1001: ")
