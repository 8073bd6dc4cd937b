"""Where and how often things are measured, and what every benchmark does: open an app, run a flow, start a process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trivium import Trivium

ROOT = Path(__file__).resolve().parents[1]
ACTIONS = "benchmarks.actions"


@dataclass(frozen=True, slots=True)
class Setting:
    """A run of the benchmarks."""

    folder: Path
    """Empty, on the disk of the checkout."""
    quick: bool = False

    @property
    def repeats(self) -> int:
        return 2 if self.quick else 5

    def sizes(self, *full: int) -> tuple[int, ...]:
        """Numbers of steps; a tenth of them where it must be quick."""
        return tuple(size // 10 for size in full) if self.quick else full

    def below(self, name: str) -> Path:
        """A folder of one benchmark's own."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path


@contextmanager
def on_this_disk() -> Iterator[Path]:
    """A temporary folder on the disk that holds the checkout: a /tmp in memory would make commits free."""
    usual = Path(tempfile.gettempdir())
    same = usual.stat().st_dev == ROOT.stat().st_dev
    with tempfile.TemporaryDirectory(prefix=".trivium-bench-", dir=usual if same else ROOT) as name:
        yield Path(name)


def sqlite_url(folder: Path, name: str = "store.db") -> str:
    return f"sqlite:///{folder / name}"


def app_on(url: str, *, worker: bool = True) -> Trivium:
    """The engine as a user has it, with the benchmarks' actions."""
    return Trivium(url, modules=[ACTIONS], folder=ROOT, worker=worker)


async def seconds_of(app: Trivium, flow: Path) -> float:
    """One run of a flow, from its start to its outputs."""
    started = time.perf_counter()
    handle = await app.start(str(flow))
    await handle.result()
    return time.perf_counter() - started


# --- processes ----------------------------------------------------------------------------------


def trivium(*words: str) -> list[str]:
    """A command line of this environment's `trivium`, as the shell would start it."""
    return [str(Path(sys.executable).with_name("trivium")), *words]


def start(command: Sequence[str], *, folder: Path, more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A process that finds the benchmarks' modules and writes to files in `folder`, where a failure can be read."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}
    environment.pop("TRIVIUM_STORE", None)
    with open(folder / "stdout.txt", "wb") as out, open(folder / "stderr.txt", "wb") as errors:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=errors)


@contextmanager
def killed_at_last(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens meanwhile, the process does not outlive the block."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def must_succeed(process: subprocess.Popen[bytes], folder: Path, timeout: float = 60) -> None:
    """Wait for the process to end.

    :raises RuntimeError: it failed, or did not end in time; with its last words
    """
    try:
        code: int | None = process.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
    if code != 0:
        words = (folder / "stderr.txt").read_text(errors="replace")[-2000:]
        how = f"did not end within {timeout:g} s" if code is None else f"exited with {code}"
        raise RuntimeError(f"{process.args!r} {how}: {words}")
