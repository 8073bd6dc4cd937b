"""The runs that are crashed: a flow with parallel steps and a retry, a tree with everything else, many small runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium.json import JsonValue

FLOW = """
trivium: 1
name: diamond
inputs:
  n: {type: integer}
steps:
  - {id: first, uses: add, with: {a: "${{ inputs.n }}"}}
  - {id: one, uses: add, with: {a: "${{ steps.first.output }}", b: 10}}
  - {id: two, uses: add_in_thread, with: {a: "${{ steps.first.output }}", b: 20}}
  - {id: three, uses: add, with: {a: "${{ steps.first.output }}", b: 30}}
  - id: lucky
    uses: third_time_lucky
    with: {a: "${{ steps.first.output }}"}
    retry: {max_attempts: 3, backoff: fixed, initial: 20ms, jitter: false}
  - id: sum
    uses: total
    with: {values: ["${{ steps.one.output }}", "${{ steps.two.output }}", "${{ steps.three.output }}",
                    "${{ steps.lucky.output }}"]}
"""

CHAIN = """
trivium: 1
name: chain
inputs:
  n: {type: integer}
steps:
  - {id: a, uses: add, with: {a: "${{ inputs.n }}"}}
  - {id: b, uses: add, with: {a: "${{ steps.a.output }}"}}
  - {id: c, uses: add, with: {a: "${{ steps.b.output }}"}}
"""


WIDTH = 10
WIDE_STEPS = 300


def wide(width: int = WIDTH) -> str:
    """A flow of 300 steps in columns, each step behind the one above it: at most `width` are under way."""
    steps = []
    for number in range(WIDE_STEPS):
        above = f'"${{{{ steps.s{number - width}.output }}}}"' if number >= width else str(number)
        steps.append(f"  - {{id: s{number}, uses: add, with: {{a: {above}}}}}")
    return "\n".join(["trivium: 1", "name: wide", "steps:", *steps, ""])


def one_step(name: str, action: str, inputs: str, *, after: str = "", more: str = "") -> str:
    """A flow of one step, and perhaps others behind it."""
    return f"trivium: 1\nname: {name}\nsteps:\n  - {{id: step, uses: {action}, with: {inputs}{more}}}\n{after}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What `roles.drive` does, and what must come of it."""

    name: str
    arguments: Callable[[Path], dict[str, Any]]
    outputs: Mapping[str, JsonValue]
    runs: int
    points: tuple[str, ...]
    """The fault points that it reaches."""


EVERY_COMMIT = (
    "sqlite.migrated",
    "engine.before_claim",
    "engine.before_commit",
    "storage.commit.before",
    "sqlite.locked",
    "sqlite.begin",
    "storage.commit.inside",
    "sqlite.before_commit",
    "sqlite.after_commit",
    "storage.commit.after",
    "engine.after_commit",
    "engine.before_wait",
    "engine.before_leave",
)


def _flow(folder: Path) -> dict[str, Any]:
    path = flow_file(folder, "diamond", FLOW)
    return {"starts": [{"target": path, "inputs": {"n": n}, "key": f"diamond-{n}"} for n in (1, 2)]}


def _tree(folder: Path) -> dict[str, Any]:
    return {"starts": [{"target": "tree:root", "inputs": {"value": 1}, "key": "tree"}], "signals": 2}


def _chains(folder: Path) -> dict[str, Any]:
    path = flow_file(folder, "chain", CHAIN)
    return {"starts": [{"target": path, "inputs": {"n": n}, "key": f"chain-{n}"} for n in range(30)]}


def flow_file(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def _long(folder: Path) -> dict[str, Any]:
    return {"starts": [{"target": flow_file(folder, "long", wide(width=1)), "inputs": {}, "key": "long"}]}


LONG = Scenario(
    name="long",
    arguments=_long,
    outputs={"long": {"s299": 300}},
    runs=1,
    points=(*EVERY_COMMIT, "sqlite.before_checkpoint"),
)
"""So many commits, one after the other, that the log is copied back into the database meanwhile."""

SCENARIOS = (
    Scenario(
        name="flow",
        arguments=_flow,
        outputs={f"diamond-{n}": {"sum": 3 * (n + 1) + 60 + 10 * (n + 1)} for n in (1, 2)},
        runs=2,
        points=(*EVERY_COMMIT, "engine.before_park"),
    ),
    Scenario(
        name="tree",
        arguments=_tree,
        outputs={
            "tree": {
                "first": 2,
                "heard": [1, 2],
                "branches": [11, 21, "handed out 1"],
                "paid": "paid",
                "grown": [[n + 2, f"word {n}", n + 101] for n in range(3)],
            }
        },
        runs=5,
        points=(*EVERY_COMMIT, "engine.after_claim", "engine.before_park", "engine.before_end"),
    ),
    Scenario(
        name="chains",
        arguments=_chains,
        outputs={f"chain-{n}": {"c": n + 3} for n in range(30)},
        runs=30,
        points=EVERY_COMMIT,
    ),
)
