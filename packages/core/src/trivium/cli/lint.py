"""`trivium lint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli.exits import USAGE, say
from trivium.cli.options import Json, Modules, Store, epilog, new_app
from trivium.cli.output import print_json, shown
from trivium.cli.session import Session
from trivium.engine.targets import nobody_takes
from trivium.errors import DefinitionError, MissingPackage, NotFound, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium.json import JsonValue

app = new_app()


@app.command(epilog=epilog("trivium lint flows/*.yaml -m actions.py", "trivium lint pipeline.yaml --json"))
def lint(
    files: Annotated[list[str], typer.Argument(metavar="FLOW...", help="Flow files.")],
    store: Store = None,
    module: Modules = None,
    json: Json = False,
) -> None:
    """Say every problem of every file, as `file:line:column: code message`.

    Actions are checked against the modules that are named; where none is, every action may exist. Exit code 2 if there
    is an error, 0 if there are only warnings.
    """
    session = Session(store=store, modules=module)
    missing = next((file for file in files if not Path(file).exists()), None)
    if missing is not None:
        raise NotFound("file", missing)
    problems = [problem for file in files for problem in _problems(session, Path(file))]
    errors = [problem for problem in problems if not problem.warning]
    if json:
        print_json([_object(problem) for problem in problems])
    else:
        for problem in problems:
            print(shown(f"{problem}{' (warning)' if problem.warning else ''}"))
        say(_verdict(len(files), len(errors), len(problems) - len(errors)))
    if errors:
        raise typer.Exit(USAGE)


def _problems(session: Session, file: Path) -> Sequence[Problem]:
    for driver in session.drivers:
        try:
            found = driver.lint(file, session.names)
        except DefinitionError as error:
            return error.problems
        if found is not None:
            return found
    why = nobody_takes(file, (driver.kind for driver in session.drivers))
    if isinstance(why, MissingPackage):
        raise why
    return [Problem(UsageError.code, "this is no flow file of any installed paradigm", str(file), 1, 1)]


def _object(problem: Problem) -> JsonValue:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "warning": problem.warning,
    }


def _verdict(files: int, errors: int, warnings: int) -> str:
    def counted(count: int, noun: str) -> str:
        return f"{count} {noun}{'s' if count != 1 else ''}"

    found = f"{counted(files, 'file')}: {counted(errors, 'error')}"
    return f"{found}, {counted(warnings, 'warning')}" if warnings else found
