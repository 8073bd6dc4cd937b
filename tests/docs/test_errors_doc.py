"""docs/errors.md lists every error code of the sources, once, with the class that has it."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trivium.errors import TriviumError

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "errors.md"
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))
CODE = re.compile(r"TRV-\d{4}")
UNCLASSED = "-"


def rows() -> list[list[str]]:
    """The cells of all tables: code, class, exit, cause, cure."""
    lines = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| TRV-")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def subclasses(base: type[TriviumError]) -> Iterator[type[TriviumError]]:
    yield base
    for child in base.__subclasses__():
        yield from subclasses(child)


def our_errors() -> set[type[TriviumError]]:
    """Every error class that is loaded; `classes_with_a_code` reaches those that are not."""
    return {error for error in subclasses(TriviumError) if error.__module__.partition(".")[0].startswith("trivium")}


def classes_with_a_code() -> list[tuple[str, str]]:
    """(code, class) of every class in the sources that has a code of its own, loaded or not."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                found += [(code, node.name) for code in map(own_code, node.body) if code is not None]
    return found


def own_code(statement: ast.stmt) -> str | None:
    """The text that is assigned to `code`, if the statement does that."""
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, value = [statement.target], statement.value
    else:
        return None
    if not (isinstance(targets[0], ast.Name) and targets[0].id == "code"):
        return None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def test_every_code_is_listed_once() -> None:
    listed = Counter(cells[0] for cells in rows())

    assert [code for code, times in listed.items() if times > 1] == []


def test_every_code_of_the_sources_is_listed_and_no_other() -> None:
    used = {code for path in SOURCES for code in CODE.findall(path.read_text("utf-8"))}

    assert {cells[0] for cells in rows()} == used


def test_every_error_class_is_listed_with_its_code_and_exit() -> None:
    listed = {cells[1]: (cells[0], cells[2]) for cells in rows() if cells[1] != UNCLASSED}
    loaded = {error.__name__: (error.code, str(error.exit_code)) for error in our_errors()}

    assert {name: listed.get(name) for name in loaded} == loaded


def test_every_class_with_a_code_in_the_sources_is_listed_with_it() -> None:
    listed = {(cells[0], cells[1]) for cells in rows() if cells[1] != UNCLASSED}

    assert listed == set(classes_with_a_code())


def test_no_code_has_two_classes() -> None:
    classes: dict[str, set[str]] = {}
    for error in our_errors():
        classes.setdefault(error.code, set()).add(error.__name__)
    for code, name in classes_with_a_code():
        classes.setdefault(code, set()).add(name)

    assert {code: names for code, names in classes.items() if len(names) > 1} == {}


def test_every_row_has_a_cause_and_a_cure() -> None:
    assert [cells[0] for cells in rows() if len(cells) != 5 or not all(cells)] == []
