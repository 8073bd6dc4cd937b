"""The demo: a real flow, its picture, and a run that is killed half way and goes on. `python3 dev.py demo` runs it.

Everything goes through the command line, in processes of their own, so what you see is what a user gets. What the demo
says is checked; it exits with 1 if anything is not so.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FLOW = os.path.relpath(HERE / "daily_sales.yaml", ROOT)
ACTIONS = os.path.relpath(HERE / "actions.py", ROOT)
KILL_AFTER = "currencies"
"""The step whose end is the moment to kill: three of the eight are done then, and two are under way."""
MARKER = ".gitignore"
"""A folder with this file and nothing but a star in it was made by the demo, and may be removed by it."""

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class DemoFailed(Exception):
    """Something is not as the demo says."""


# --- what the demo does --------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description="Trivium's demo.")
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output", help="where the files go")
    output = prepared(parser.parse_args().output.resolve())
    os.environ["TRIVIUM_STORE"] = f"sqlite:///{shown(output / 'demo.db')}"
    started = time.monotonic()
    try:
        report = watch_a_run(output)
        draw_it(output)
        run_id, finished, witnessed = kill_a_run(output)
        resume_it(output, run_id)
        prove(output, run_id, finished, witnessed, report)
    except DemoFailed as failure:
        print(f"\n{bold('The demo failed:')} {failure}", flush=True)
        return 1
    title(f"Done in {time.monotonic() - started:.0f} s")
    tell(f"Look around in {shown(output)}/: reports, pictures, and demo.db, the one file that holds both runs.")
    return 0


def watch_a_run(output: Path) -> str:
    """Run the flow to its end; the report that it wrote."""
    title("1. Run a flow")
    tell(
        f"{FLOW} turns a day's orders into a report: eight steps, three of them side by side.",
        "One of them asks a service that fails at the first try; its `retry:` deals with that.",
    )
    print(f"\n{bold('$ export TRIVIUM_STORE=' + os.environ['TRIVIUM_STORE'])}")
    trivium("run", FLOW, "-m", ACTIONS, "-i", f"folder={shown(output / 'first')}")
    report = (output / "first" / "report.md").read_text()
    quote(report)
    return report


def draw_it(output: Path) -> None:
    """Draw the run that just ended, as DOT and as SVG."""
    title("2. Draw it")
    (newest,) = json.loads(captured("runs", "list", "--limit", "1", "--json"))
    for kind in ("dot", "svg"):
        file = output / f"run.{kind}"
        trivium("graph", newest["run_id"], "-o", shown(file))
        text = file.read_text()
        expect(text.startswith(("digraph", "<svg", "<?xml")), f"{file} is no picture")
        expect("shipping" in text and "completed" in text, f"{file} does not show the run")
        tell(f"wrote {shown(file)} ({len(text):,} characters)")


def kill_a_run(output: Path) -> tuple[str, set[str], Counter[str]]:
    """Start a run and kill it; its id, its finished steps, and how often each step had begun."""
    title("3. Kill it half way")
    tell(
        f"The same flow again, in a child process. When the step {KILL_AFTER!r} is done, the child gets SIGKILL:",
        "no handler runs, nothing is flushed, exactly as if the machine had taken the process away.",
    )
    command = ["run", FLOW, "-m", ACTIONS, "-i", f"folder={shown(output / 'second')}"]
    show(command)
    child = subprocess.Popen(program(command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:  # a line comes when a step's outcome is in the store, not before
        print(line, end="", flush=True)
        if line.split()[:2] == ["completed", KILL_AFTER]:
            child.send_signal(signal.SIGKILL)
            break
    child.stderr.close()
    code = child.wait()
    expect(code == -signal.SIGKILL, f"the child should have died of SIGKILL; its exit code is {code}")
    tell(f"killed process {child.pid}")

    (newest,) = json.loads(captured("runs", "list", "--limit", "1", "--json"))
    trivium("runs", "show", newest["run_id"])
    steps = stored(newest["run_id"])["steps"]
    finished = {name for name, step in steps.items() if step["status"] == "completed"}
    expect({"collect", "clean", KILL_AFTER} <= finished, f"only {sorted(finished)} are in the store")
    expect("report" not in finished, "the run was too quick: it had nothing left to do when it was killed")
    return newest["run_id"], finished, witnesses(output)


def resume_it(output: Path, run_id: str) -> None:
    """Go on with the run in a new process."""
    title("4. Go on where it stopped")
    tell(
        "A new process, which knows the run's id and the store, and nothing else. (`trivium worker` would do it, too.)"
    )
    trivium("runs", "resume", run_id, "-m", ACTIONS)
    trivium("graph", run_id, "-o", shown(output / "resumed.svg"))


def prove(output: Path, run_id: str, finished: set[str], before: Counter[str], report: str) -> None:
    """Compare what the witness file says with what was promised."""
    title("5. The proof")
    tell(
        "Every attempt of every step leaves a line in witness.log before it does anything else. How often each began,",
        "before the kill and after it:",
    )
    after = witnesses(output) - before
    steps = stored(run_id)["steps"]
    for name in steps:
        what = "finished before the kill" if name in finished else "under way" if before[name] else "not begun"
        line = f"  {name:<11} {before[name]} before, {after[name]} after   {what}"
        print(line if name in finished else dim(line), flush=True)
    again = sorted(name for name in finished if after[name])
    expect(not again, f"finished steps ran again: {again}")
    expect(all(before[name] + after[name] for name in steps), "a step is in the store and left no line")
    expect(all(step["status"] == "completed" for step in steps.values()), "a step did not complete")
    check(f"none of the {len(finished)} finished steps ran again")
    cut = sorted(name for name in before if name not in finished)
    check(f"the run completed; what the kill had cut off began again: {', '.join(cut) or 'nothing'}")
    expect((output / "second" / "report.md").read_text() == report, "the two reports differ")
    check("its report is the same, to the letter, as that of the run which nobody disturbed")


# --- what it needs for that ----------------------------------------------------------------------


def prepared(output: Path) -> Path:
    """The folder, empty but for its marker. One that the demo did not make is not touched."""
    marker = output / MARKER
    if output.exists() and any(output.iterdir()):
        if not (marker.exists() and marker.read_text() == "*\n"):
            sys.exit(f"{output} is not empty, and not the demo's; choose another folder with --output")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    marker.write_text("*\n")
    return output


def program(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "trivium.cli", *command]


def trivium(*command: str) -> None:
    """Run a command as a user would, on this terminal; it must succeed."""
    show(command)
    code = subprocess.run(program(command), cwd=ROOT).returncode
    expect(code == 0, f"trivium {' '.join(command)} exited with {code}")


def captured(*command: str) -> str:
    result = subprocess.run(program(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    expect(result.returncode == 0, f"trivium {' '.join(command)} exited with {result.returncode}")
    return result.stdout


def stored(run_id: str) -> dict[str, Any]:
    """The run as it is in the store."""
    found: dict[str, Any] = json.loads(captured("runs", "show", run_id, "--json"))
    return found


def witnesses(output: Path) -> Counter[str]:
    """How often each step of the second run began."""
    lines = (output / "second" / "witness.log").read_text().splitlines()
    return Counter(json.loads(line)["step"] for line in lines)


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)


# --- words ---------------------------------------------------------------------------------------


def title(text: str) -> None:
    print(f"\n{bold(text)}\n{'=' * len(text)}", flush=True)


def tell(*lines: str) -> None:
    print("\n".join(lines), flush=True)


def show(command: Sequence[str]) -> None:
    print(f"\n{bold('$ trivium ' + ' '.join(command))}", flush=True)


def check(text: str) -> None:
    print(f"\033[32m✓\033[0m {text}" if COLOUR else f"ok: {text}", flush=True)


def quote(text: str) -> None:
    print("\n" + "".join(dim(f"  | {line}\n") for line in text.splitlines()), end="", flush=True)


def shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOUR else text


def dim(text: str) -> str:
    return f"\033[2m{text}\033[0m" if COLOUR else text


if __name__ == "__main__":
    sys.exit(main())
