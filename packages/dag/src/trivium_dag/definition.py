"""The flow as it was loaded: frozen, without a trace of the dialect or the layout of its file.

Its body is JSON in the words of the native format, and what a run is pinned to is the hash of that body: the same flow
in another order of keys, with other comments, is the same definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from trivium.errors import DefinitionError, Problem
from trivium.json import JsonValue
from trivium.model.policies import Retry
from trivium.model.runs import Definition
from trivium_dag.problems import FORMAT_VERSION

KIND: Final = "flow"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. Its references are still text; `plan` compiles them."""

    id: str
    uses: str
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    """`with`, as the file has it."""
    needs: tuple[str, ...] = ()
    """Those that the file names; references add more."""
    retry: Retry | None = None
    timeout: float | None = None
    total_timeout: float | None = None
    name: str = ""
    description: str = ""
    outputs: tuple[str, ...] = ()
    """Names for what the action returns (Dagger): with some, the step's output is an object of them."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A flow that was loaded and checked, and can be started: `app.start(flow, inputs)`."""

    name: str
    steps: tuple[Step, ...]
    inputs: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    outputs: Mapping[str, JsonValue] | None = None
    """None: the outputs of the leaf steps, by id."""
    version: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    timeout: float | None = None
    max_parallel: int | None = None
    source: str | None = field(default=None, compare=False)
    """The file that it was loaded from."""
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def target(self) -> str:
        """What keys of its runs belong to."""
        return f"flow:{self.name}"

    @cached_property
    def actions(self) -> frozenset[str]:
        """The actions that its steps use."""
        return frozenset(step.uses for step in self.steps)

    @cached_property
    def definition(self) -> Definition:
        """What its runs are pinned to."""
        return Definition.of(KIND, self.name, self.to_json(), frozenset(f"action:{name}" for name in self.actions))

    def to_json(self) -> dict[str, JsonValue]:
        """The body; `from_json` reads it. What says nothing is left out, so that later versions can add keys
        without changing the hash of flows that do not use them."""
        return {
            "trivium": FORMAT,
            "name": self.name,
            **_said("version", self.version),
            **_said("description", self.description),
            **_said("tags", list(self.tags)),
            **_said("inputs", {name: dict(schema) for name, schema in self.inputs.items()}),
            "steps": [_step_to_json(step) for step in self.steps],
            **({} if self.outputs is None else {"outputs": dict(self.outputs)}),
            **_said("timeout", self.timeout),
            **_said("max_parallel", self.max_parallel),
        }

    @classmethod
    def from_json(cls, body: JsonValue) -> Flow:
        """The flow of a stored body.

        :raises DefinitionError: a release that knows another format wrote it
        """
        if not isinstance(body, Mapping) or body.get("trivium") != FORMAT:
            raise DefinitionError(
                [Problem(FORMAT_VERSION, "the stored flow has a format that this release cannot read")]
            )
        inputs = _mapping(body.get("inputs"))
        return cls(
            name=str(body["name"]),
            steps=tuple(_step_from_json(_mapping(step)) for step in _sequence(body["steps"])),
            inputs={name: _mapping(schema) for name, schema in inputs.items()},
            outputs=_mapping(body["outputs"]) if "outputs" in body else None,
            version=str(body.get("version", "")),
            description=str(body.get("description", "")),
            tags=tuple(str(tag) for tag in _sequence(body.get("tags"))),
            timeout=_number(body.get("timeout")),
            max_parallel=_integer(body.get("max_parallel")),
        )


def _step_to_json(step: Step) -> dict[str, JsonValue]:
    return {
        "id": step.id,
        "uses": step.uses,
        **_said("with", dict(step.arguments)),
        **_said("needs", list(step.needs)),
        **({} if step.retry is None else {"retry": retry_to_json(step.retry)}),
        **_said("timeout", step.timeout),
        **_said("total_timeout", step.total_timeout),
        **_said("name", step.name),
        **_said("description", step.description),
        **_said("outputs", list(step.outputs)),
    }


def _step_from_json(body: Mapping[str, JsonValue]) -> Step:
    return Step(
        id=str(body["id"]),
        uses=str(body["uses"]),
        arguments=_mapping(body.get("with")),
        needs=tuple(str(need) for need in _sequence(body.get("needs"))),
        retry=_retry_from_json(_mapping(body["retry"])) if "retry" in body else None,
        timeout=_number(body.get("timeout")),
        total_timeout=_number(body.get("total_timeout")),
        name=str(body.get("name", "")),
        description=str(body.get("description", "")),
        outputs=tuple(str(name) for name in _sequence(body.get("outputs"))),
    )


def retry_to_json(retry: Retry) -> dict[str, JsonValue]:
    """All of a retry policy, so that a later change of a default does not change flows that are under way."""
    return {
        "max_attempts": retry.max_attempts,
        "backoff": str(retry.backoff),
        "initial": retry.initial,
        "maximum": retry.maximum,
        "jitter": retry.jitter,
        **_said("on", [str(one) for one in retry.on]),
        **_said("never", [str(one) for one in retry.never]),
    }


def _retry_from_json(body: Mapping[str, JsonValue]) -> Retry:
    return Retry(
        max_attempts=_integer(body["max_attempts"]) or 1,
        backoff=str(body["backoff"]),
        initial=_number(body["initial"]) or 0.0,
        maximum=_number(body["maximum"]) or 0.0,
        jitter=bool(body["jitter"]),
        on=tuple(str(one) for one in _sequence(body.get("on"))),
        never=tuple(str(one) for one in _sequence(body.get("never"))),
    )


def _said(key: str, value: JsonValue) -> dict[str, JsonValue]:
    return {} if value is None or value == "" or value == [] or value == {} else {key: value}


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _integer(value: JsonValue) -> int | None:
    return value if isinstance(value, int) else None
