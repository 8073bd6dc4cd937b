"""A user's folder with flows and actions, and two ways to call the command line in it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trivium.cli import main

ACTIONS = '''
from trivium import action


@action
def add(a: float, b: float = 1) -> float:
    """Adds two numbers.

    Nothing more.
    """
    return a + b


@action
async def shout(text: str) -> str:
    return text.upper()


@action
def boom(message: str) -> str:
    raise ValueError(message)


@action
def pass_gate(name: str) -> str:
    """Says in a pipe that it has begun, and goes on when the other pipe is opened."""
    with open("log", "a") as log:
        log.write("begun\\n")
    with open(f"{name}.begun", "w"):
        pass
    with open(f"{name}.gate"):
        pass
    with open("log", "a") as log:
        log.write("passed\\n")
    return "through"
'''

SUM = """\
trivium: 1
name: sum
inputs:
  a: {type: number}
  text: {type: string, default: hi}
steps:
  - {id: one, uses: add, with: {a: "${{ inputs.a }}"}}
  - {id: two, uses: add, with: {a: "${{ steps.one.output }}", b: 10}}
  - {id: loud, uses: shout, with: {text: "${{ inputs.text }}"}}
outputs:
  total: ${{ steps.two.output }}
  loud: ${{ steps.loud.output }}
"""

FAILS = """\
trivium: 1
name: fails
steps:
  - {id: fine, uses: add, with: {a: 1}}
  - {id: bad, uses: boom, needs: [fine], with: {message: "no <b>such</b> thing"}}
"""

GATED = """\
trivium: 1
name: gated
steps:
  - {id: before, uses: add, with: {a: 1}}
  - {id: gate, uses: pass_gate, needs: [before], with: {name: here}}
  - {id: after, uses: add, needs: [gate], with: {a: 2}}
"""


@dataclass(frozen=True)
class Called:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Folder:
    """The user's folder, as the working directory."""

    path: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Called:
        """A command line, in this process."""
        self.capture.readouterr()
        with contextlib.chdir(self.path):
            code = main(words)
        out, err = self.capture.readouterr()
        return Called(code, out, err)

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.write_text(text, "utf-8")
        return file

    def run_id(self, *words: str) -> str:
        """The id of the newest run, of those that `runs list` finds with these words."""
        found = self("runs", "list", "--json", *words).json
        return str(found[0]["run_id"])

    def process(self, *words: str, stdin: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """A command line, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "trivium.cli", *words],
            cwd=self.path,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(self.path / "site")},
        )

    def install(self, distribution: str, module: str, source: str) -> None:
        """Plug a module in, for processes that are started here."""
        info = self.path / "site" / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[trivium]\n{module} = {module}\n")
        (self.path / "site" / f"{module}.py").write_text(source)

    def make_gate(self) -> None:
        os.mkfifo(self.path / "here.begun")
        os.mkfifo(self.path / "here.gate")

    def wait_at_gate(self) -> None:
        """Return when a step stands before the gate."""
        with open(self.path / "here.begun") as begun:
            begun.read()

    def open_gate(self) -> None:
        """Let the step that stands there pass."""
        with open(self.path / "here.gate", "w"):
            pass

    def log(self) -> list[str]:
        return (self.path / "log").read_text().split()


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    found = Folder(tmp_path, capsys)
    found.write("actions.py", ACTIONS)
    found.write("sum.yaml", SUM)
    found.write("fails.yaml", FAILS)
    found.write("gated.yaml", GATED)
    found.write("trivium.toml", 'modules = ["actions.py"]\n')
    return found


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes put in here are gone when the test is."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.communicate()
