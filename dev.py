#!/usr/bin/env python3
"""The one tool of a checkout: makes its environment and runs everything that is run here. Standard library only.

    python3 dev.py check        what CI runs: format, lint, types, imports, tests
    python3 dev.py test -k sql  pytest, with pytest's own arguments
    python3 dev.py --help       the rest

Every command sets `.venv` up first; when nothing changed that costs a hash. It is made anew for another interpreter,
and installed into again when a pyproject.toml or constraints.txt has changed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file parses on Python 3.6, so that an old one gets a sentence
    sys.exit(f"dev.py: Trivium needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}")

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import time
import tomllib
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "installed-from.sha256"
CONSTRAINTS = ROOT / "constraints.txt"


class Problem(Exception):
    """Something the developer can cure; the text says how, and is all that is shown."""


# ---------------------------------------------------------------------------------------------------------- environment


def setup(*, force: bool = False) -> None:
    """Make `.venv` hold all members, editable, and all tools; do nothing if it does already."""
    with only_one_setup():
        stamp = fingerprint()
        if not force and PYTHON.exists() and STAMP.exists() and STAMP.read_text() == stamp:
            return
        started = time.monotonic()
        if force or not same_interpreter():
            create_venv()
        STAMP.unlink(missing_ok=True)  # an installation that breaks off half way must not look finished
        installer = install(["-c", str(CONSTRAINTS), *editable_members(), *dev_requirements()])
        STAMP.write_text(stamp)
        version = ".".join(map(str, sys.version_info[:3]))
        say(f"set up .venv with {installer}, Python {version}, in {time.monotonic() - started:.1f} s")


@contextlib.contextmanager
def only_one_setup() -> Iterator[None]:
    """Two commands started at once in one checkout set it up one after the other (where the platform has flock)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(ROOT / ".venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def member_files() -> list[Path]:
    return sorted(ROOT.glob("packages/*/pyproject.toml"))


def fingerprint() -> str:
    """What the environment was made from: dependencies, pins, interpreter, and the place, which scripts in it name."""
    digest = hashlib.sha256(f"{sys.version}\0{sys.base_prefix}\0{ROOT}".encode())
    for file in [ROOT / "pyproject.toml", CONSTRAINTS, *member_files()]:
        digest.update(f"\0{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def same_interpreter() -> bool:
    if not PYTHON.exists():
        return False
    probe = [str(PYTHON), "-c", "import sys; print(sys.version, sys.base_prefix, sys.prefix)"]
    result = subprocess.run(probe, capture_output=True, text=True)
    return str(result.stdout).strip() == f"{sys.version} {sys.base_prefix} {VENV}"


def create_venv() -> None:
    # Without pip: Debian's Python has no ensurepip. The pip of the interpreter outside installs into it.
    try:
        venv.create(VENV, clear=True, with_pip=False, symlinks=os.name != "nt")
    except OSError as error:
        raise Problem(f"cannot create {VENV}: {error}") from error


def editable_members() -> list[str]:
    return [argument for file in member_files() for argument in ("-e", str(file.parent))]


def dev_requirements() -> list[str]:
    requirements: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]
    return requirements


def install(arguments: list[str]) -> str:
    """Install on ONE command line, so that members find each other here and not on an index; return the tool's name."""
    pip = find_pip()
    uv = find_uv(pip)
    if uv is not None:
        command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *arguments]
        # behind a proxy that signs for itself, only the system knows whom to trust; a slim image knows nobody
        if succeeds(command) or succeeds([*command, "--system-certs"], show="uv"):
            return "uv"
        say("uv could not install (it does not read pip's configuration); trying pip")
    if pip is None:
        raise Problem(f"neither pip nor uv works with {sys.executable}; install one (Debian: apt install python3-pip)")
    if succeeds([*pip, "install", "--quiet", *arguments], show="pip"):
        return "pip"
    raise Problem("the packages could not be installed, see above; is the network, or the package index, reachable?")


def find_pip() -> list[str] | None:
    """A pip that can install into `.venv`: of this Python, of the one below a venv, of the PATH, or ensurepip's."""
    base = getattr(sys, "_base_executable", sys.executable)
    candidates = [[sys.executable, "-m", "pip"], [base, "-m", "pip"], ["pip3"], ["pip"]]
    for candidate in candidates:
        pip = [*candidate, "--python", str(PYTHON)]  # since pip 22.3; the venv is not externally managed (PEP 668)
        if succeeds([*pip, "--version"]):
            return pip
    if succeeds([str(PYTHON), "-m", "ensurepip"]):
        return [str(PYTHON), "-m", "pip"]
    return None


def find_uv(pip: list[str] | None) -> str | None:
    own = shutil.which("uv", path=str(BIN))
    if own is None and pip is not None:
        succeeds([*pip, "install", "--quiet", "--retries", "1", "-c", str(CONSTRAINTS), "uv"])
        own = shutil.which("uv", path=str(BIN))
    return own or shutil.which("uv")


def succeeds(command: list[str], *, show: str = "") -> bool:
    """Run a tool silently; if it fails and has a name to show, pass its last words on."""
    try:
        result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError:
        return False
    if result.returncode != 0 and show:
        for line in result.stdout.strip().splitlines()[-12:]:
            say(f"  {show}: {line}")
    return result.returncode == 0


# ------------------------------------------------------------------------------------------------------------- commands


def run(*command: str | Path) -> int:
    """Run a tool of the environment in the root, its scripts first on the PATH; return its exit code."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    environment = os.environ | {"VIRTUAL_ENV": str(VENV), "PATH": path}
    environment.pop("PYTHONHOME", None)
    sys.stdout.flush()
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment).returncode


def test(arguments: list[str]) -> int:
    chosen = any(argument.startswith(("-n", "--numprocesses", "--pdb", "no:xdist")) for argument in arguments)
    return run(PYTHON, "-m", "pytest", *([] if chosen else ["-n", "2"]), *arguments)


def demo() -> int:
    script = ROOT / "examples" / "demo" / "demo.py"
    if not script.exists():
        raise Problem(f"there is no demo in this checkout ({script.relative_to(ROOT)})")
    return run(PYTHON, script)


def bench(arguments: list[str]) -> int:
    if not (ROOT / "benchmarks").is_dir():
        raise Problem("there are no benchmarks in this checkout (benchmarks/)")
    return run(PYTHON, "-m", "benchmarks", *arguments)


def docs(arguments: list[str]) -> int:
    return test(["tests/docs", *arguments])


def types() -> int:
    """Sources strictly; then each tests folder on its own, as modules in two of them may share a name, and loosely."""
    loosely = ["--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls", "--allow-any-generics"]
    loosely += ["--allow-untyped-decorators", "--no-warn-return-any", "--no-warn-unreachable"]
    loosely += ["--explicit-package-bases"]  # each folder in a tests folder may have a conftest
    failed = run(PYTHON, "-m", "mypy")
    for folder in [*sorted(ROOT.glob("packages/*/tests")), ROOT / "tests"]:
        if any(folder.rglob("*.py")):
            failed = run(PYTHON, "-m", "mypy", *loosely, folder.relative_to(ROOT)) or failed
    return failed


def check(*, fix: bool) -> int:
    """Run every step, also after one that failed, and end with a table of what came of them."""
    ruff = BIN / "ruff"
    steps: list[tuple[str, Callable[[], int]]] = [
        ("format", lambda: run(ruff, "format", *([] if fix else ["--check"]))),
        ("lint", lambda: run(ruff, "check", *(["--fix"] if fix else []))),
        ("types", types),
        ("imports", lambda: run(BIN / "lint-imports")),
        ("tests", lambda: test([])),
    ]
    results = []
    for name, step in steps:
        say(f"--- {name}")
        started = time.monotonic()
        code = step()
        results.append((name, time.monotonic() - started, code))
    print()
    for name, seconds, code in results:
        print(f"{name:<10}{seconds:>8.1f} s   {'ok' if code == 0 else f'FAILED (exit {code})'}")
    return int(any(code for _, _, code in results))


# --------------------------------------------------------------------------------------------------------- command line


def say(line: str) -> None:
    print(f"dev.py: {line}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="dev.py", description="The one tool of a Trivium checkout.", allow_abbrev=False)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, details: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text}. {details}", allow_abbrev=False)

    setup = command("setup", "Make .venv, with all packages editable and all tools", "Every other command does it too.")
    setup.add_argument("--force", action="store_true", help="start from an empty .venv")
    command("demo", "Run the demo, examples/demo/demo.py")
    command("test", "Run the tests", "Further arguments are pytest's; two processes, unless they say -n.")
    check = command(
        "check", "Run format check, lint, types, import contracts and all tests", "This is all that CI runs."
    )
    check.add_argument("--fix", action="store_true", help="format, and apply the lint's safe fixes")
    command("bench", "Run the benchmarks", "Further arguments are theirs: dev.py bench -- --help.")
    command("docs", "Run the code in the docs, and follow the links between them", "Further arguments are pytest's.")
    return root


def main(arguments: list[str]) -> int:
    options, rest = parser().parse_known_args(arguments)
    if rest and options.command not in ("test", "bench", "docs"):
        parser().error(f"{options.command} takes no {' '.join(rest)}")
    rest = [argument for argument in rest if argument != "--"]
    setup(force=options.command == "setup" and options.force)
    commands: dict[str, Callable[[], int]] = {
        "setup": lambda: 0,
        "demo": demo,
        "test": lambda: test(rest),
        "check": lambda: check(fix=options.fix),
        "bench": lambda: bench(rest),
        "docs": lambda: docs(rest),
    }
    return commands[options.command]()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
