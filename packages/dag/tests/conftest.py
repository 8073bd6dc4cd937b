"""What the tests of flows share: files, a stand-in for the registry, and a context that calls actions at once."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from typing_extensions import override

from trivium.errors import DefinitionError, Problem
from trivium.ids import RunId
from trivium.json import JsonValue, dumps, loads
from trivium.model.commit import End
from trivium.model.context import ChildRun, Outcome, RunContext
from trivium.model.drivers import Prepared
from trivium.model.failure import failure_of
from trivium.model.policies import Retry
from trivium.model.states import StepStatus
from trivium_dag import load_flow
from trivium_dag.yaml_reader import Document, read_document

# A busy machine is no fault of an example; what must be fast measures its own time.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


class Registered:
    """Names that are registered."""

    def __init__(self, *names: str) -> None:
        self.names = sorted(names)

    def has_action(self, name: str) -> bool:
        return name in self.names

    def action_names(self) -> Sequence[str]:
        return self.names


class Everything(Registered):
    """The names of a client that leaves the actions to workers elsewhere."""

    @override
    def has_action(self, name: str) -> bool:
        return True


class ScriptedContext(RunContext):
    """Calls each launched action when outcomes are collected, oldest first, `batch` at a time; records it all."""

    def __init__(self, prepared: Prepared, actions: Mapping[str, Callable[..., Any]], *, batch: int = 1) -> None:
        self.run_id = RunId("run-1")
        self.root_id = self.run_id
        self.parent_id = None
        self.kind = prepared.definition.kind
        self.name = prepared.definition.name
        self.inputs = loads(dumps(prepared.inputs))
        self.body: JsonValue = loads(prepared.definition.body)
        self.definition_id = prepared.definition.id
        self.labels = {}
        self.logger = logging.LoggerAdapter(logging.getLogger("test"))
        self.launched: list[str] = []
        self.calls: list[tuple[str, JsonValue]] = []
        self.waves: list[list[str]] = []
        self.most_at_once = 0
        self.retries: dict[str, Retry | None] = {}
        self.timeouts: dict[str, Any] = {}
        self.recorded: dict[str, JsonValue] = {}
        self.proposed: End | None = None
        self.before: Callable[[str], Mapping[str, JsonValue]] = lambda key: {}
        self._actions = actions
        self._batch = batch
        self._queue: deque[tuple[str, str, Any, Any]] = deque()
        self._decide: Callable[[Outcome], End | None] = lambda outcome: None
        self._options: dict[str, Any] = {}
        self._owner = self

    @property
    @override
    def definition(self) -> JsonValue:
        return self.body

    @override
    def options(self, **options: Any) -> "ScriptedContext":
        view = ScriptedContext.__new__(ScriptedContext)
        view.__dict__.update(self.__dict__, _options=options, _owner=self._owner)
        return view

    @override
    def launch(self, key: str, action: Any, /, input: Any, *, shape: Any = None) -> None:
        owner = self._owner
        owner.launched.append(key)
        owner.retries[key] = self._options.get("retry")
        owner.timeouts[key] = (self._options.get("timeout"), self._options.get("total_timeout"))
        owner._queue.append((key, action, loads(dumps(input)), shape))
        owner.most_at_once = max(owner.most_at_once, len(owner._queue))

    @override
    async def collect(self, *, wait: bool = True) -> Sequence[Outcome]:
        if not wait:
            return []
        if not self._queue:
            raise AssertionError("nothing was launched, so collect would wait for ever")
        self.waves.append([key for key, *_ in self._queue])
        found = [self._perform(*self._queue.popleft()) for _ in range(min(self._batch, len(self._queue)))]
        for outcome in found:
            self.proposed = self._decide(outcome) or self.proposed
        return found

    def _perform(self, key: str, action: str, arguments: Any, shape: Any) -> Outcome:
        self.calls.append((key, arguments))
        try:
            output = self._actions[action](**arguments)
        except Exception as error:
            return Outcome(key=key, status=StepStatus.FAILED, error=failure_of(error))
        self.recorded[key] = loads(dumps(output if shape is None else shape(output)))
        return Outcome(key=key, status=StepStatus.COMPLETED, output=self.recorded[key])

    @override
    def propose_end(self, decide: Callable[[Outcome], End | None]) -> None:
        self._decide = decide

    @override
    def show_outputs(self, outputs: Callable[[str], Mapping[str, JsonValue]]) -> None:
        self.before = outputs

    @override
    async def step(self, *args: Any, **input: Any) -> JsonValue:
        raise NotImplementedError

    @override
    async def start(self, target: object, inputs: JsonValue = None, /) -> ChildRun:
        raise NotImplementedError

    @override
    async def sleep(self, duration: Any = None, *, until: Any = None) -> None:
        raise NotImplementedError

    @override
    async def wait(self, signal: str, *, timeout: Any = None) -> JsonValue:
        raise NotImplementedError

    @override
    async def once(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    @override
    async def signal(self, run_id: RunId, name: str, payload: JsonValue = None) -> None:
        raise NotImplementedError

    @override
    async def publish(self, channel: str, payload: JsonValue, *, key: str | None = None) -> None:
        raise NotImplementedError

    @override
    async def gather(self, *branches: Any, return_errors: bool = False) -> Any:
        raise NotImplementedError

    @override
    async def results(self, *children: Any, return_errors: bool = False) -> Any:
        raise NotImplementedError

    @override
    def note(self, text: str) -> None:
        raise NotImplementedError

    @override
    def now(self) -> Any:
        raise NotImplementedError


@pytest.fixture
def registered() -> type[Registered]:
    return Registered


@pytest.fixture
def everything() -> Everything:
    return Everything()


@pytest.fixture
def scripted() -> type[ScriptedContext]:
    return ScriptedContext


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a flow's file."""

    def to_file(text: str, name: str = "flow.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return to_file


@pytest.fixture
def problems_of(write: Callable[..., Path]) -> Callable[..., tuple[Problem, ...]]:
    """The problems of a file that cannot be loaded."""

    def of(text: str, name: str = "flow.yaml") -> tuple[Problem, ...]:
        path = write(text, name)
        with pytest.raises(DefinitionError) as raised:
            load_flow(path)
        return raised.value.problems

    return of


@pytest.fixture
def read() -> Callable[..., Document]:
    def of(text: str | bytes, name: str = "flow.yaml") -> Document:
        return read_document(text.encode() if isinstance(text, str) else text, name)

    return of


@pytest.fixture
def dagger_actions() -> dict[str, Callable[..., Any]]:
    def add_numbers(num1: float, num2: float) -> float:
        return num1 + num2

    def square_number(input: float) -> float:
        return input * input

    def triple_number_and_add_string(input: float) -> dict[str, object]:
        return {"tripled_result": input * 3, "test_string": "example_string"}

    def print_message(input: str = "start") -> str:
        return f"{input}."

    return {one.__name__: one for one in (add_numbers, square_number, triple_number_and_add_string, print_message)}
