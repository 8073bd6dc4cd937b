"""`trivium runs`: list, show, resume, retry, cancel, signal."""

import json
from typing import Any

import pytest


def test_runs_are_listed_newest_first(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")
    folder("run", "fails.yaml")

    listed = folder("runs", "list", "--json").json
    lines = folder("runs", "list").out.splitlines()

    assert [run["name"] for run in listed] == ["fails", "sum"]
    assert [run["status"] for run in listed] == ["failed", "completed"]
    assert lines[0].split() == ["RUN", "STATUS", "TARGET", "STARTED", "TOOK", "WHY"]
    assert listed[0]["run_id"] in lines[1]


def test_a_list_is_narrowed_by_state_name_and_number(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")
    folder("run", "fails.yaml")
    folder("run", "fails.yaml")

    assert len(folder("runs", "list", "--status", "failed", "--json").json) == 2
    assert len(folder("runs", "list", "--name", "sum", "--json").json) == 1
    assert len(folder("runs", "list", "--limit", "1", "--json").json) == 1


def test_the_next_page_begins_behind_a_run(folder: Any):
    ids = [folder("run", "sum.yaml", "-i", "a=1", "--json").json["run_id"] for _ in range(3)]

    page = folder("runs", "list", "--before", ids[2], "--json").json

    assert [run["run_id"] for run in page] == [ids[1], ids[0]]


def test_an_empty_list_is_empty_on_stdout(folder: Any):
    called = folder("runs", "list")

    assert (called.code, called.out, called.err) == (0, "", "no runs\n")


def test_a_run_is_shown_with_its_steps_and_where_it_broke(folder: Any):
    folder("run", "fails.yaml")

    called = folder("runs", "show", folder.run_id())

    assert called.code == 0
    assert "error:     TRV-4010 step 'bad' failed: no <b>such</b> thing" in called.out
    assert "bad   failed     1" in called.out
    assert called.out.rstrip().endswith("ValueError: no <b>such</b> thing")


def test_a_run_as_json_is_that_of_run_and_more(folder: Any):
    ran = folder("run", "sum.yaml", "-i", "a=1", "--json").json

    shown = folder("runs", "show", ran["run_id"], "--json").json

    assert {name: shown[name] for name in ran} == ran
    assert shown["inputs"] == {"a": 1, "text": "hi"}
    assert (shown["wait_reason"], shown["cause"]) == (None, None)
    assert {"created_at", "started_at", "finished_at"} <= set(shown)


def test_a_run_is_found_by_the_beginning_of_its_id(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")
    run_id = folder.run_id()

    assert folder("runs", "show", run_id[:-6], "--json").json["run_id"] == run_id


def test_a_beginning_that_several_ids_have_is_exit_4(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")
    folder("run", "sum.yaml", "-i", "a=1")

    called = folder("runs", "show", folder.run_id()[:2])

    assert called.code == 4
    assert "several runs begin with" in called.err


@pytest.mark.parametrize("verb", [["show"], ["resume"], ["retry"], ["cancel"], ["signal"]], ids=lambda verb: verb[0])
def test_a_run_that_does_not_exist_is_exit_3(folder: Any, verb: list[str]):
    called = folder("runs", *verb, "ffff", *(["go"] if verb == ["signal"] else []))

    assert called.code == 3
    assert "TRV-2001" in called.err


def test_an_accepted_run_is_resumed_here(folder: Any):
    run_id = folder("run", "sum.yaml", "-i", "a=1", "--detach").out.strip()

    called = folder("runs", "resume", run_id)

    assert called.code == 0
    assert called.json == {"total": 12, "loud": "HI"}


def test_a_run_that_nobody_drives_says_how_to_go_on(folder: Any):
    run_id = folder("run", "sum.yaml", "-i", "a=1", "--detach").out.strip()

    called = folder("runs", "show", run_id)

    assert f"queued: no worker is alive; start one with trivium worker, or trivium runs resume {run_id}" in called.out


def test_resuming_without_its_actions_is_refused_instead_of_waiting_for_ever(folder: Any):
    run_id = folder("run", "sum.yaml", "-i", "a=1", "--detach").out.strip()
    folder.write("trivium.toml", "")

    called = folder("runs", "resume", run_id)

    assert called.code == 2
    assert "needs what is not loaded here: action 'add', action 'shout'" in called.err


def test_resuming_a_run_that_has_ended_shows_how(folder: Any):
    ran = folder("run", "sum.yaml", "-i", "a=1", "--json").json

    called = folder("runs", "resume", ran["run_id"], "--json")

    assert (called.code, called.json) == (0, ran)


def test_a_retry_keeps_what_completed(folder: Any):
    failed = folder("run", "fails.yaml", "--json").json
    folder.write(
        "actions.py", (folder.path / "actions.py").read_text().replace("raise ValueError(message)", "return message")
    )

    called = folder.process("runs", "retry", failed["run_id"], "--json")
    out, err = called.communicate()

    assert called.returncode == 0, err
    retried = json.loads(out)
    assert retried["status"] == "completed"
    assert retried["steps"]["fine"] == failed["steps"]["fine"]
    assert retried["steps"]["bad"]["status"] == "completed"


def test_a_retry_can_be_left_to_a_worker(folder: Any):
    folder("run", "fails.yaml")

    called = folder("runs", "retry", folder.run_id(), "--detach", "--json")

    assert (called.code, called.json["status"]) == (0, "queued")


def test_a_retry_of_what_completed_is_exit_4(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")

    assert folder("runs", "retry", folder.run_id()).code == 4


def test_a_queued_run_is_cancelled_at_once(folder: Any):
    run_id = folder("run", "sum.yaml", "-i", "a=1", "--detach").out.strip()

    called = folder("runs", "cancel", run_id, "--reason", "wrong month", "--json")

    shown = folder("runs", "show", run_id, "--json").json
    assert (called.code, called.json["status"]) == (0, "cancelled")
    assert (shown["status"], shown["error"]["message"]) == ("cancelled", "wrong month")


def test_a_second_cancel_is_exit_4(folder: Any):
    run_id = folder("run", "sum.yaml", "-i", "a=1", "--detach").out.strip()
    folder("runs", "cancel", run_id)

    called = folder("runs", "cancel", run_id)

    assert called.code == 4
    assert "TRV-3003" in called.err


def test_a_signal_is_kept_for_a_run_that_has_not_asked_for_it(folder: Any):
    run_id = folder("run", "sum.yaml", "-i", "a=1", "--detach").out.strip()

    called = folder("runs", "signal", run_id, "paid", '{"amount": 12}')

    assert called.code == 0
    assert "has signal 'paid'" in called.err


def test_a_signal_to_a_run_that_has_ended_is_exit_4(folder: Any):
    folder("run", "sum.yaml", "-i", "a=1")

    assert folder("runs", "signal", folder.run_id(), "paid").code == 4
