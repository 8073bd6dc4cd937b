"""From a file to a flow: read, recognise the dialect, gather every problem."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivium.errors import DefinitionError, Problem
from trivium.json import dumps
from trivium.model.drivers import Names
from trivium_dag import problems as codes
from trivium_dag.analysis import Sketch, check_actions, check_graph, unknown_action
from trivium_dag.dagger import is_dagger, read_dagger
from trivium_dag.definition import Flow
from trivium_dag.native import is_native, read_native
from trivium_dag.problems import Problems
from trivium_dag.yaml_reader import Document, read_bytes, read_document


@dataclass(frozen=True, slots=True)
class Loaded:
    """A flow without errors, and what is needed to check it against what is registered: small, since it is kept."""

    flow: Flow
    actions: Mapping[str, tuple[int | None, int | None]]
    """Where each action is used first."""

    def check_actions(self, names: Names) -> tuple[Problem, ...]:
        """Actions of the flow that are not registered, each with its place."""
        missing = [action for action in self.actions if not names.has_action(action)]
        problems = Problems(self.flow.source or self.flow.name)
        for action in missing:
            problems.at(codes.UNKNOWN_ACTION, unknown_action(action, names, problems), *self.actions[action])
        return problems.in_order()


def load_flow(path: str | os.PathLike[str]) -> Flow:
    """The flow of a `.yaml`, `.yml` or `.json` file, checked but for whether its actions are registered: that is
    checked where it is started. Its `warnings` are what the author should know.

    :raises DefinitionError: with all that is wrong, each with its line and column
    :raises NotFound: there is no such file
    """
    name = os.fspath(path)
    return load_bytes(read_bytes(Path(name)), name).flow


def load_bytes(data: bytes, file: str) -> Loaded:
    """As `load_flow`, from the content of a file.

    :raises DefinitionError: with all that is wrong
    """
    document = read_document(data, file)
    problems = document.problems()
    flow, sketch = _read(document, problems)
    if problems.errors:
        raise DefinitionError(problems.in_order())
    actions = {name: problems.place(path) for name, path in reversed(sketch.actions)}
    return Loaded(dataclasses.replace(flow, source=file, warnings=problems.in_order()), actions)


def lint_file(path: Path, names: Names) -> Sequence[Problem]:
    """Every problem of a file, unregistered actions and warnings among them.

    :raises NotFound: there is no such file
    """
    try:
        document = read_document(read_bytes(path), str(path))
    except DefinitionError as error:
        return error.problems
    problems = document.problems()
    try:
        _, sketch = _read(document, problems)
    except DefinitionError as error:
        return error.problems
    check_actions(sketch, names, problems)
    return problems.in_order()


def _read(document: Document, problems: Problems) -> tuple[Flow, Sketch]:
    """The flow and the sketch of its graph; `problems` has all that is wrong with it.

    :raises DefinitionError: it is no flow at all
    """
    top = document.value
    default_name = Path(document.file).stem
    if not isinstance(top, Mapping):
        problems.error(codes.NOT_A_FLOW, "the file is no flow: it has no mapping with `trivium: 1` and `steps`")
    elif is_native(top):
        flow, sketch = read_native(top, default_name, problems)
        return _checked(flow, sketch, problems)
    elif is_dagger(top):
        flow, sketch = read_dagger(top, default_name, problems)
        return _checked(flow, sketch, problems)
    elif "nodes" in top:
        message = "the file has the nodes of another dialect than Dagger's, which is not supported by this version"
        problems.error(codes.NOT_SUPPORTED, message, ("nodes",), key=True)
    else:
        near = next(
            filter(None, (problems.did_you_mean(key, ["steps", "nodes", "trivium"]) for key in list(top)[:20])), ""
        )
        problems.error(codes.NOT_A_FLOW, f"the file is no flow: `trivium: 1` and `steps` are not at its top{near}")
    raise DefinitionError(problems.in_order())


def _checked(flow: Flow, sketch: Sketch, problems: Problems) -> tuple[Flow, Sketch]:
    check_graph(sketch, problems)
    if not problems.errors:
        dumps(flow.to_json(), what=f"flow {flow.name!r}")  # what a file can hold, JSON can; sizes have one limit
    return flow, sketch
