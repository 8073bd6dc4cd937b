"""From errors to what a person reads on stderr, and to exit codes.

0 done, 1 the run failed, 2 usage, 3 not found, 4 conflict, 5 the store, 70 a bug of ours, 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback

from trivium.errors import DefinitionError, StoreUnreachable, TriviumError, UsageError

FAILED, USAGE, UNEXPECTED, INTERRUPTED, TERMINATED = 1, 2, 70, 130, 143


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say what went wrong in one line (and a hint) and give the exit code. The traceback only with `debug`."""
    error = innermost(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, DefinitionError):
        for problem in error.problems:
            say(str(problem))
        count = sum(not problem.warning for problem in error.problems)
        return fail(f"{count} problem{'s' if count != 1 else ''}", label=f"error {error.code}", code=error.exit_code)
    if isinstance(error, TriviumError):
        return fail(error.message, label=f"error {error.code}", hint=error.hint, code=error.exit_code)
    if isinstance(error, PermissionError | IsADirectoryError | FileNotFoundError | NotADirectoryError):
        where = f"{error.filename}: " if error.filename else ""
        return fail(f"{where}{error.strerror}", label=f"error {UsageError.code}", code=USAGE)
    return fail(
        f"{type(error).__name__}: {_first_line(error)}",
        label="unexpected error",
        hint=None if debug else "this is a bug; the same command with --debug shows where",
        code=UNEXPECTED,
    )


def fail(message: str, *, code: int, label: str = "error", hint: str | None = None) -> int:
    """One line on stderr, with its cure; gives the code back."""
    say(f"{label}: {message}")
    if hint:
        say(f"  {hint}")
    return code


def say(text: str) -> None:
    """A line for the person at the terminal: on stderr, since stdout is for data. What a terminal would obey is taken
    out: the text may quote an action's error, or a file."""
    from trivium.cli.output import shown  # not before something is said: the help is to be there at once

    print(shown(text), file=sys.stderr, flush=True)


def innermost(error: BaseException) -> BaseException:
    """The error that a person can do something about: task groups wrap it, alone or together with what it caused."""
    leaves = _leaves(error)
    for kind in (StoreUnreachable, TriviumError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or "no message"
