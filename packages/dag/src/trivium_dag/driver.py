"""The driver of flows: a thin shell over `state`, which decides everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from trivium.errors import DefinitionError, NotFound, Problem, StepFailed, TriviumError
from trivium.ids import DefinitionId
from trivium.json import JsonValue, dumps, loads
from trivium.model.commit import End
from trivium.model.context import Outcome, RunContext
from trivium.model.drivers import Driver, Names, Prepared
from trivium.model.failure import failure_of, step_failed
from trivium.model.picture import Picture
from trivium.model.policies import micros
from trivium.model.runs import Definition
from trivium.model.states import RunStatus
from trivium_dag.definition import KIND, Flow
from trivium_dag.files import FlowFiles
from trivium_dag.inputs import check_inputs
from trivium_dag.loading import Loaded, lint_file
from trivium_dag.pictures import picture_of
from trivium_dag.plan import Plan, compile_flow
from trivium_dag.recent import Recent
from trivium_dag.state import Progress
from trivium_dag.yaml_reader import SUFFIXES

WAVE = 512
"""Steps that are launched before those that ended are looked at: what a step holds while it waits for its turn, the
garbage collector walks again and again."""

PLANS = 128
"""Compiled definitions that are kept."""


class FlowDriver(Driver):
    """Runs of kind `flow`: files, loaded flows, and (once they can be registered) flows by name."""

    kind: ClassVar[str] = KIND
    pure: ClassVar[bool] = True

    def __init__(self) -> None:
        self._plans: Recent[DefinitionId, Plan] = Recent(PLANS)
        self._files = FlowFiles()

    @override
    def prepare(self, target: object, inputs: JsonValue, names: Names) -> Prepared | None:
        """As the port says. An action that `names` does not have is a `DefinitionError`: a client that starts runs for
        workers elsewhere passes `names` that has every action."""
        loaded = self._load(target)
        if loaded is None:
            return None
        problems = loaded.check_actions(names)
        if problems:
            raise DefinitionError(problems)
        flow = loaded.flow
        return Prepared(
            target=flow.target,
            definition=flow.definition,
            inputs=check_inputs(flow.name, flow.inputs, inputs),
            timeout=None if flow.timeout is None else micros(flow.timeout),
        )

    def _load(self, target: object) -> Loaded | None:
        """The flow that a target is; None where it is another paradigm's."""
        if isinstance(target, Flow):
            return Loaded(target, dict.fromkeys(sorted(target.actions), (None, None)))
        if isinstance(target, Path):
            target = str(target)
        if not isinstance(target, str):
            return None
        if target.startswith(f"{KIND}:"):
            hint = "this version keeps no flows by name; give the flow's file"
            raise NotFound("flow", target.removeprefix(f"{KIND}:"), hint=hint)
        if not _is_flow_file(Path(target)):
            return None
        return self._files.load(target)

    @override
    async def drive(self, context: RunContext) -> JsonValue:
        """Launch what is ready, take in what came of it, until nothing is left. The first failed step ends the run."""
        plan = self._plans.get(context.definition_id, lambda: compile_flow(Flow.from_json(context.definition)))
        inputs = context.inputs
        progress = Progress(plan, inputs if isinstance(inputs, Mapping) else {}, context.run_id)
        views = [
            context.options(retry=policy.retry, timeout=policy.timeout, total_timeout=policy.total_timeout)
            for policy in plan.policies
        ]
        context.propose_end(_end_of(progress))
        context.show_outputs(progress.before)
        while not progress.done:
            for step in progress.take(WAVE):
                try:
                    arguments = progress.arguments(step)
                except TriviumError as error:
                    failure = failure_of(error)
                    raise StepFailed(step.id, failure.message, failure_code=failure.code) from error
                views[step.policy].launch(step.id, step.action, arguments, shape=step.shape)
            for outcome in await context.collect(wait=not progress.takes_more):
                if not outcome.ok:
                    raise step_failed(outcome.key, outcome.status, outcome.error)
                progress.complete(outcome.key, outcome.output)
        return progress.outputs()

    @override
    def lint(self, path: Path, names: Names) -> Sequence[Problem] | None:
        return lint_file(path, names) if _is_flow_file(path) else None

    @override
    def sketch(self, target: object, names: Names) -> Picture | None:
        """As the port says. A flow can be looked at where its actions are not: they are not checked."""
        loaded = self._load(target)
        return None if loaded is None else picture_of(loaded.flow)

    @override
    def picture(self, definition: Definition) -> Picture | None:
        return picture_of(Flow.from_json(loads(definition.body))) if definition.kind == KIND else None


def _is_flow_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _end_of(progress: Progress) -> Callable[[Outcome], End | None]:
    """Decides whether an outcome ends the run, so that both are one commit.

    Only over outcomes that are durable and taken in: one that was merely proposed may still be refused, and the run
    must not have completed then.
    """

    def decide(outcome: Outcome) -> End | None:
        if not outcome.ok or not progress.would_finish(outcome.key):
            return None
        try:
            outputs = dumps(progress.outputs_with(outcome.key, outcome.output), what="outputs of the flow")
        except TriviumError as error:
            return End(RunStatus.FAILED, error=failure_of(error))
        return End(RunStatus.COMPLETED, output=outputs)

    return decide
