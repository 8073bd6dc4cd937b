"""Records as people and scripts see them: lines, objects, and why nothing happens."""

import json
from typing import Any

import pytest

from trivium.cli.exits import say
from trivium.cli.output import plain_table, print_json
from trivium.cli.shapes import run_details, run_object, step_object, worker_object
from trivium.cli.store import read_time
from trivium.cli.tables import about, ago, print_run, run_row, step_row
from trivium.cli.waiting import why_queued
from trivium.clock import SECOND, Micros
from trivium.errors import UsageError
from trivium.ids import DefinitionId, RunId, WorkerId
from trivium.json import JsonText
from trivium.model.failure import Failure
from trivium.model.journal import Entry, EntryKind
from trivium.model.runs import Cause, Definition, Run
from trivium.model.states import RunStatus, StepStatus, WaitReason
from trivium.storage.port import Note, WorkerRecord

NOON = Micros(1_790_000_000 * SECOND)
FLOW = Definition.of("flow", "demo", {}, frozenset({"action:add", "action:boom"}))


def run(status: RunStatus = RunStatus.COMPLETED, **fields: Any) -> Run:
    return Run(
        **{
            "id": RunId("r1"),
            "kind": "flow",
            "name": "demo",
            "target": "flow:demo",
            "definition_id": DefinitionId("d"),
            "status": status,
            "inputs": JsonText('{"a":1}'),
            "queue": "default",
            "priority": 0,
            "root_id": RunId("r1"),
            "epoch": 1,
            "generation": 0,
            "wake_seq": 0,
            "losses": 0,
            "created_at": NOON,
            **fields,
        }
    )


def entry(key: str, seq: int = 0, status: StepStatus = StepStatus.COMPLETED, **fields: Any) -> Entry:
    return Entry(
        seq=seq,
        key=key,
        kind=EntryKind.STEP,
        name="add",
        status=status,
        generation=fields.pop("generation", 0),
        attempts=fields.pop("attempts", 1),
        **fields,
    )


def worker(id: str = "w1", **fields: Any) -> WorkerRecord:
    return WorkerRecord(
        **{
            "id": WorkerId(id),
            "name": "mail",
            "host": "box",
            "pid": 7,
            "queues": None,
            "concurrency": 10,
            "started_at": NOON,
            "beat": 3,
            "beat_at": NOON,
            **fields,
        }
    )


def test_the_object_of_a_run_has_the_words_of_the_contract():
    found = run_object(run(output=JsonText('{"x":[1]}')), [entry("one", output=JsonText("3"))])

    assert found == {
        "run_id": "r1",
        "kind": "flow",
        "name": "demo",
        "status": "completed",
        "outputs": {"x": [1]},
        "error": None,
        "steps": {
            "one": {
                "status": "completed",
                "attempts": 1,
                "output": 3,
                "error": None,
                "started_at": None,
                "finished_at": None,
            }
        },
    }


def test_only_the_last_generation_of_a_step_is_shown():
    steps = run_object(run(), [entry("a", 0, StepStatus.FAILED), entry("a", 1, generation=1)])["steps"]

    assert isinstance(steps, dict)
    assert [step["status"] for step in steps.values()] == ["completed"]


def test_details_add_the_cause_the_history_and_the_times():
    found = run_details(
        run(RunStatus.WAITING, wait_reason=WaitReason.TIMER, due_at=NOON, cause=Cause(RunId("r0"), "spawn")),
        [],
        [Note(0, NOON, "retried")],
    )

    assert found["wait_reason"] == "timer"
    assert found["due_at"] == "2026-09-21T14:13:20.000000Z"
    assert found["cause"] == {"run_id": "r0", "step": "spawn"}
    assert found["inputs"] == {"a": 1}
    assert found["notes"] == [{"at": "2026-09-21T14:13:20.000000Z", "text": "retried"}]


def test_the_error_of_a_step_is_an_object():
    failed = entry("a", status=StepStatus.FAILED, error=Failure(code="TRV-4010", message="no", type="ValueError"))

    assert step_object(failed)["error"] == {"code": "TRV-4010", "message": "no", "kind": "error", "type": "ValueError"}


def test_a_worker_as_an_object():
    found = worker_object(worker(queues=("mail",)))

    assert (found["name"], found["queues"], found["gone"]) == ("mail", ["mail"], False)


def test_a_row_of_a_run():
    waiting = run(
        RunStatus.WAITING, wait_reason=WaitReason.SIGNAL, first_claimed_at=NOON, finished_at=Micros(NOON + 3 * SECOND)
    )

    assert run_row(waiting, Micros(NOON + 300 * SECOND)) == (
        "r1",
        "waiting (signal)",
        "flow:demo",
        "5 min ago",
        "3.0 s",
        "",
    )


def test_a_row_of_a_step_that_failed_says_why():
    failed = entry("a", status=StepStatus.FAILED, attempts=3, error=Failure(code="TRV-4010", message="no\nway"))

    assert step_row(failed) == ("a", "failed", "3", "", "no way")


def test_large_values_are_shown_by_their_beginning():
    shown = dict(about(run(inputs=JsonText('"' + "x" * 5000 + '"')), None, NOON))

    assert shown["inputs"].endswith("(5,002 characters; --json has all)")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds: int, words: str):
    assert ago(NOON, Micros(NOON + seconds * SECOND)) == words


def test_a_plain_table_is_aligned_and_cuts_nothing():
    lines = plain_table(("run", "why"), [("a", "x" * 200), ("bb", "two\nlines")])

    assert lines == ["RUN  WHY", "a    " + "x" * 200, "bb   two lines"]


@pytest.mark.parametrize(
    ("stored", "workers", "reason"),
    [
        (run(RunStatus.QUEUED), [], "no worker is alive; start one with trivium worker, or trivium runs resume r1"),
        (
            run(RunStatus.QUEUED),
            [worker(gone=True)],
            "no worker is alive; start one with trivium worker, or trivium runs resume r1",
        ),
        (
            run(RunStatus.QUEUED, queue="mail"),
            [worker(queues=("default",))],
            "no worker serves queue 'mail'; start one with trivium worker, or trivium runs resume r1",
        ),
        (run(RunStatus.QUEUED), [worker()], "a worker takes it that has add, boom"),
        (
            run(RunStatus.RUNNING, owner=WorkerId("w1")),
            [worker(gone=True)],
            "its worker is gone; start one with trivium worker, or trivium runs resume r1",
        ),
        (run(RunStatus.RUNNING, owner=WorkerId("w1")), [worker()], None),
        (run(RunStatus.WAITING, wait_reason=WaitReason.SIGNAL), [], "trivium runs signal r1 NAME [JSON]"),
        (run(RunStatus.WAITING, wait_reason=WaitReason.TIMER), [], None),
        (run(RunStatus.COMPLETED), [], None),
    ],
)
def test_why_a_run_does_not_go_on(stored: Run, workers: list[WorkerRecord], reason: str | None):
    assert why_queued(stored, FLOW, workers) == reason


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-09-21T14:13:20Z", NOON),
        ("2026-09-21T14:13:20", NOON),
        ("2026-09-21 16:13:20.5+02:00", NOON + SECOND // 2),
        ("2026-09-21", NOON - (14 * 3600 + 13 * 60 + 20) * SECOND),
    ],
)
def test_a_time_is_iso_and_utc_without_a_zone(text: str, at: int):
    assert read_time(text) == at


def test_what_is_no_time_is_refused():
    with pytest.raises(UsageError, match="is not a time"):
        read_time("soon")


def test_what_a_terminal_would_obey_is_not_said(capsys: pytest.CaptureFixture[str]):
    say("a\x1b]0;title\x07b\x9b31mc\udc80")
    print_json({"error": "a\x1b[31mb\x9b31mc\x7f\udc80"})
    said = capsys.readouterr()

    assert said.err == "a\ufffd]0;title\ufffdb\ufffd31mc\\udc80\n"
    assert json.loads(said.out) == {"error": "a\x1b[31mb\x9b31mc\x7f\udc80"}
    assert said.out.isascii()


def test_a_traceback_is_shown_without_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]):
    error = Failure(code="TRV-4010", message="no", type="ValueError", traceback="Traceback:\n  \x1b[2Jgone\n")

    print_run(run(RunStatus.FAILED, error=error), [], [], None, NOON)

    assert capsys.readouterr().out.endswith("Traceback:\n  \ufffd[2Jgone\n")
