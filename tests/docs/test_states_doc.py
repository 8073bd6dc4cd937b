"""docs/states.md says what trivium.model.states says: its tables and its diagrams, move by move."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import pytest

from trivium.model.policies import NEVER_RETRIED
from trivium.model.states import (
    OPERATOR_MOVES,
    RUN_MOVES,
    STEP_MOVES,
    TERMINAL_RUNS,
    TERMINAL_STEPS,
    FailureKind,
    RunStatus,
    StepStatus,
    WaitReason,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "states.md"
HEADING = re.compile(r"^(#{2,3}) +(.+)$")
ARROW = re.compile(r"^ *(\[\*\]|\w+) --> (\[\*\]|\w+)(?::.*)?$")
OUTSIDE = "[*]"

Moves = set[tuple[str, str]]
State = TypeVar("State", RunStatus, StepStatus)


def section(title: str) -> str:
    """The text below a heading, down to the next heading of any level."""
    inside, found = False, []
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if heading := HEADING.match(line):
            inside = heading[2] == title
        elif inside:
            found.append(line)
    assert found, f"{DOCUMENT.name} has no section {title!r}"
    return "\n".join(found)


def rows(title: str) -> Iterator[list[str]]:
    """The cells of the section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def listed(title: str) -> list[tuple[str, str]]:
    return [(cells[0], cells[1]) for cells in rows(title)]


def arrows(title: str) -> Moves:
    return {(arrow[1], arrow[2]) for line in section(title).splitlines() if (arrow := ARROW.match(line))}


def inner(moves: Moves) -> Moves:
    return {move for move in moves if OUTSIDE not in move}


def pairs(table: Mapping[State, frozenset[State]]) -> Moves:
    return {(str(old), str(new)) for old, news in table.items() for new in news}


def words(states: frozenset[StrEnum]) -> set[str]:
    return {str(state) for state in states}


@pytest.mark.parametrize(
    ("title", "table"),
    [("Moves of the engine", RUN_MOVES), ("Moves of an operator", OPERATOR_MOVES), ("Moves of the owner", STEP_MOVES)],
)
def test_tables_have_every_move_once_and_no_other(title: str, table: Mapping[State, frozenset[State]]) -> None:
    moves = listed(title)

    assert set(moves) == pairs(table)
    assert len(moves) == len(set(moves))


def test_the_diagram_of_runs_has_the_moves_of_the_engine_and_of_an_operator() -> None:
    assert inner(arrows("Runs")) == pairs(RUN_MOVES) | pairs(OPERATOR_MOVES)


def test_the_diagram_of_steps_has_the_moves_of_the_owner() -> None:
    assert inner(arrows("Steps")) == pairs(STEP_MOVES)


def test_the_diagram_of_runs_begins_where_a_start_may_put_a_run() -> None:
    first = {new for old, new in arrows("Runs") if old == OUTSIDE}

    assert first == {RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING}


def test_the_diagrams_end_in_terminal_states_alone() -> None:
    ends_of_runs = {old for old, new in arrows("Runs") if new == OUTSIDE}
    ends_of_steps = {old for old, new in arrows("Steps") if new == OUTSIDE}

    assert ends_of_runs == words(TERMINAL_RUNS)
    assert ends_of_steps == {str(state) for state in TERMINAL_STEPS if not STEP_MOVES[state]}


@pytest.mark.parametrize(
    ("title", "states", "terminal"), [("Runs", RunStatus, TERMINAL_RUNS), ("Steps", StepStatus, TERMINAL_STEPS)]
)
def test_the_lists_of_states_are_complete_and_say_which_are_terminal(
    title: str, states: type[StrEnum], terminal: frozenset[StrEnum]
) -> None:
    said = {cells[0]: cells[-1] for cells in rows(title)}

    assert said == {str(state): "yes" if state in terminal else "no" for state in states}


def test_the_list_of_wait_reasons_is_complete() -> None:
    assert [cells[0] for cells in rows("Wait reasons")] == [str(reason) for reason in WaitReason]


def test_the_list_of_failure_kinds_is_complete_and_says_which_are_never_retried() -> None:
    said = {cells[0]: cells[-1] for cells in rows("Failure kinds")}

    assert list(said) == [str(kind) for kind in FailureKind]
    assert {kind for kind, retried in said.items() if retried == "never"} == words(NEVER_RETRIED)
