"""A flow made ready to be walked: numbers for names, a function for every `with`, once for each definition.

What costs anything for a step is done here, so that the driver has only to look up and call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trivium.json import JsonValue
from trivium.model.policies import Retry
from trivium_dag.definition import Flow
from trivium_dag.references import Scope, compile_input, steps_in


@dataclass(frozen=True, slots=True)
class Policy:
    """The options of a step; None is the action's own."""

    retry: Retry | None = None
    timeout: float | None = None
    total_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step, compiled."""

    id: str
    action: str
    policy: int
    """Index in `Plan.policies`: most steps share few of them."""
    resolve: Callable[[Scope], dict[str, JsonValue]]
    """Its arguments in a run."""
    shape: Callable[[JsonValue], JsonValue] | None
    """What is recorded for what the action returned; None: as it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow, compiled. Steps are addressed by their place in the file."""

    steps: tuple[PlannedStep, ...]
    index: Mapping[str, int]
    before: tuple[tuple[int, ...], ...]
    """Whom each waits for."""
    dependents: tuple[tuple[int, ...], ...]
    """Who waits for each."""
    policies: tuple[Policy, ...]
    outputs: Callable[[Scope], dict[str, JsonValue]]
    """The outputs of the flow, when all steps have completed."""
    max_parallel: int | None


def compile_flow(flow: Flow) -> Plan:
    """The plan of a flow that was checked; linear in its size."""
    index = {step.id: number for number, step in enumerate(flow.steps)}
    before = dependencies(flow)
    dependents: list[list[int]] = [[] for _ in flow.steps]
    for number, needed in enumerate(before):
        for one in needed:
            dependents[one].append(number)
    policies: dict[Policy, int] = {}
    if flow.outputs is None:
        leaves = [step.id for number, step in enumerate(flow.steps) if not dependents[number]]
        outputs = _leaf_outputs(leaves)
    else:
        outputs = compile_input(flow.outputs)
    steps = tuple(
        PlannedStep(
            step.id,
            step.uses,
            policies.setdefault(Policy(step.retry, step.timeout, step.total_timeout), len(policies)),
            compile_input(step.arguments),
            shape_for(step.outputs) if step.outputs else None,
        )
        for step in flow.steps
    )
    return Plan(
        steps=steps,
        index=index,
        before=tuple(map(tuple, before)),
        dependents=tuple(map(tuple, dependents)),
        policies=tuple(policies),
        outputs=outputs,
        max_parallel=flow.max_parallel,
    )


def dependencies(flow: Flow) -> list[list[int]]:
    """For each step, the places of those that it waits for, in the order of the file."""
    index = {step.id: number for number, step in enumerate(flow.steps)}
    return [sorted({index[name] for name in (*step.needs, *steps_in(step.arguments))}) for step in flow.steps]


def _leaf_outputs(leaves: list[str]) -> Callable[[Scope], dict[str, JsonValue]]:
    return lambda scope: {name: scope.outputs[name] for name in leaves}


def shape_for(names: tuple[str, ...]) -> Callable[[JsonValue], JsonValue]:
    """Names for a result: an object with these keys, or with some of them alone, keeps them; all else is the first."""
    declared = frozenset(names)
    first = names[0]

    def shape(value: JsonValue) -> JsonValue:
        if isinstance(value, Mapping) and value and (declared.issuperset(value) or declared.issubset(value)):
            return value
        return {first: value}

    return shape
