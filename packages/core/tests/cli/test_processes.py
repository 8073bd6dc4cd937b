"""The command line as processes: signals, pipes, a killed run, and how quickly help is there."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from typing import IO, Any

import pytest


def line_with(stream: IO[str] | None, text: str) -> str:
    """Read lines until one has the text."""
    assert stream is not None
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return line
    pytest.fail(f"{text!r} did not come, but {''.join(seen)!r}")


def test_the_first_interruption_lets_the_step_under_way_finish_and_keeps_what_it_did(folder: Any, processes: Any):
    folder.make_gate()
    running = folder.process("run", "gated.yaml")
    processes.append(running)
    folder.wait_at_gate()

    running.send_signal(signal.SIGINT)
    line_with(running.stderr, "stopping: ")
    folder.open_gate()
    last = line_with(running.stderr, "go on with: trivium runs resume ")
    code = running.wait()

    run_id = folder.run_id()
    assert code == 130
    assert last.rstrip().endswith(run_id)
    assert folder("runs", "show", run_id, "--json").json["status"] == "queued"
    assert folder("runs", "resume", run_id).code == 0
    assert folder.log() == ["begun", "passed"]


def test_the_second_interruption_leaves_at_once(folder: Any, processes: Any):
    folder.make_gate()
    running = folder.process("run", "gated.yaml")
    processes.append(running)
    folder.wait_at_gate()

    running.send_signal(signal.SIGINT)
    line_with(running.stderr, "stopping: ")
    running.send_signal(signal.SIGINT)

    assert running.wait() == 130
    assert folder.log() == ["begun"]


def test_a_killed_run_goes_on_where_it_stopped(folder: Any, processes: Any):
    folder.make_gate()
    running = folder.process("run", "gated.yaml")
    processes.append(running)
    folder.wait_at_gate()
    running.kill()
    running.wait()
    run_id = folder.run_id()
    before = folder("runs", "show", run_id, "--json").json["steps"]["before"]

    resumed = folder.process("runs", "resume", run_id, "--json")
    processes.append(resumed)
    folder.wait_at_gate()
    folder.open_gate()
    out, _ = resumed.communicate()

    found = json.loads(out)
    assert (resumed.returncode, found["status"]) == (0, "completed")
    assert found["steps"]["before"] == before
    assert folder.log() == ["begun", "begun", "passed"]


def test_a_run_whose_worker_was_killed_can_be_cancelled(folder: Any, processes: Any):
    folder.make_gate()
    running = folder.process("run", "gated.yaml")
    processes.append(running)
    folder.wait_at_gate()
    running.kill()
    running.wait()

    shown = folder("runs", "show", folder.run_id()).out
    called = folder("runs", "cancel", folder.run_id(), "--json")

    assert "its worker is gone; " in shown
    assert called.json["status"] == "cancelled"


def test_a_worker_drives_what_was_accepted_and_is_drained_by_sigterm(folder: Any, processes: Any):
    folder.make_gate()
    run_id = folder("run", "gated.yaml", "--detach").out.strip()
    worker = folder.process("worker", "--name", "tester", "--concurrency", "3", "--queue", "default", "--verbose")
    processes.append(worker)
    folder.wait_at_gate()
    (alive,) = folder("workers", "list", "--json").json

    worker.send_signal(signal.SIGTERM)
    line_with(worker.stderr, "stopping: ")
    folder.open_gate()
    line_with(worker.stderr, "worker tester stopped")

    assert worker.wait() == 0
    assert (alive["name"], alive["concurrency"], alive["queues"], alive["runs"]) == ("tester", 3, ["default"], 1)
    assert folder("workers", "list", "--json").json == []
    assert folder("runs", "resume", run_id).code == 0
    assert folder.log() == ["begun", "passed"]


def test_run_waits_for_a_run_that_a_worker_drives(folder: Any, processes: Any):
    folder.make_gate()
    worker = folder.process("worker")
    processes.append(worker)
    line_with(worker.stderr, "serves all queues")
    folder("run", "gated.yaml", "--key", "k", "--detach")
    folder.wait_at_gate()
    waiting = folder.process("run", "gated.yaml", "--key", "k")
    processes.append(waiting)
    line_with(waiting.stderr, "found by its key")

    folder.open_gate()
    out, story = waiting.communicate()

    assert waiting.returncode == 0
    assert json.loads(out) == {"after": 3}
    assert "completed  gate" in story
    assert folder.log() == ["begun", "passed"]


WAITER = """
from trivium.hooks import hookimpl
from trivium.model.drivers import Driver, Prepared
from trivium.model.runs import Definition

class Waiter(Driver):
    kind = "waiter"

    def prepare(self, target, inputs, names):
        if target == "waiter:one":
            return Prepared(target=target, definition=Definition.of("waiter", "one", {}), inputs=inputs)

    async def drive(self, context):
        return {"got": await context.wait("go")}

@hookimpl
def trivium_drivers():
    return [Waiter()]
"""


def test_a_run_that_waits_for_a_signal_goes_on_with_it(folder: Any, processes: Any):
    folder.install("acme_waiter", "acme_waiter", WAITER)
    waiting = folder.process("run", "waiter:one")
    processes.append(waiting)
    line_with(waiting.stderr, "waiting    signal")
    shown = folder("runs", "show", folder.run_id()).out

    folder("runs", "signal", folder.run_id(), "go", '{"amount": 12}')
    out, _ = waiting.communicate()

    assert f"status:    waiting, for signal: trivium runs signal {folder.run_id()} NAME [JSON]" in shown
    assert (waiting.returncode, json.loads(out)) == (0, {"got": {"amount": 12}})


def test_an_interruption_before_the_run_has_begun_stops_it_like_any_other(folder: Any):
    early = WAITER.replace("waiter", "early").replace(
        "            return Prepared", "            os.kill(os.getpid(), signal.SIGINT)\n            return Prepared"
    )
    folder.install("acme_early", "acme_early", f"import os\nimport signal\n{early}")

    interrupted = folder.process("run", "early:one")
    _, story = interrupted.communicate()

    assert (interrupted.returncode, "Traceback" in story) == (130, False), story
    assert f"go on with: trivium runs resume {folder.run_id()}" in story
    assert folder("runs", "show", folder.run_id(), "--json").json["status"] in ("queued", "waiting")


def test_a_reader_that_has_seen_enough_is_no_error(folder: Any):
    for _ in range(3):
        folder("run", "sum.yaml", "-i", "a=1")
    read, write = os.pipe()
    os.close(read)

    listed = subprocess.run(
        [sys.executable, "-m", "trivium.cli", "runs", "list"],
        cwd=folder.path,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )

    os.close(write)
    assert "Traceback" not in listed.stderr
    assert "Exception ignored" not in listed.stderr
    assert listed.stderr == ""


def test_on_a_terminal_the_steps_are_drawn(folder: Any):
    terminal, inside = pty.openpty()
    drawn = subprocess.Popen(
        [sys.executable, "-m", "trivium.cli", "run", "sum.yaml", "-i", "a=1"],
        cwd=folder.path,
        stdout=subprocess.PIPE,
        stderr=inside,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(inside)

    out, _ = drawn.communicate()

    shown = all_of(terminal)
    assert json.loads(out)["total"] == 12
    assert "✓" in shown
    assert "3 completed · " in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor that was hidden is back


def all_of(terminal: int) -> str:
    """What was written to a terminal, now that nobody writes any more."""
    found = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while data := os.read(terminal, 65536):
            found += data
    os.close(terminal)
    return found.decode()


def test_inputs_come_from_a_pipe(folder: Any):
    running = folder.process("run", "sum.yaml", "--inputs", "-", stdin=subprocess.PIPE)

    out, _ = running.communicate('{"a": 5}')

    assert json.loads(out)["total"] == 16


IMPORTED = """
import sys
from trivium.cli import main
code = main({words!r})
here = {{name.partition(".")[0] for name in sys.modules}}
heavy = {{"sqlalchemy", "sqlite3", "pydantic", "yaml", "networkx", "rich", "typer"}}
loops = {{"asyncio", "trio", "concurrent", "multiprocessing"}}
print("imported:", *sorted(here & (heavy | loops)))
"""


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=lambda words: words[0])
def test_help_is_there_without_what_the_commands_need(folder: Any, words: list[str]):
    asked = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(words=words)],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert asked.stdout.splitlines()[-1].strip() == "imported:"
