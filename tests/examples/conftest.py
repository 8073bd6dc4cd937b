"""Examples run as their readers run them: in processes of their own, in a copy of their folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.db*")


@dataclass(frozen=True)
class Example:
    """A copy of an example's folder."""

    folder: Path

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command there; it must exit with `code`."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = os.environ | {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
        environment.pop("TRIVIUM_STORE", None)
        result = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert result.returncode == code, result.stdout + result.stderr
        return result

    def trivium(self, *command: str) -> Any:
        """Run a command of the command line there; the JSON that it prints."""
        return json.loads(self.run("trivium", *command, "--json").stdout)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Example]:
    """Copies the example of a name."""

    def copy(name: str) -> Example:
        return Example(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=LEFT_BEHIND))

    return copy


@pytest.fixture
def example(request: pytest.FixtureRequest, copied: Callable[[str], Example]) -> Example:
    """The example that the test's module is named after: `test_NAME.py` gets a copy of `examples/NAME`."""
    return copied(request.path.stem.removeprefix("test_"))
