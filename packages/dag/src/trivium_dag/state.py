"""How far a run of a flow has come: which steps may begin, what they get, whether it is done.

No clock, no store, no waiting: a plan and the outcomes so far decide everything, so a second walk over the same
outcomes comes to the same place. The cost of a whole run is linear in its steps and references.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Mapping

from trivium.json import JsonValue
from trivium_dag.plan import Plan, PlannedStep
from trivium_dag.references import Scope


class Progress:
    """The state of one run."""

    def __init__(self, plan: Plan, inputs: Mapping[str, JsonValue], run_id: str) -> None:
        self._plan = plan
        self._outputs: dict[str, JsonValue] = {}
        self._scope = Scope(inputs, self._outputs, run_id)
        self._waits = [len(before) for before in plan.before]
        self._ready = [number for number, waits in enumerate(self._waits) if not waits]  # sorted, so a heap
        self._left = len(plan.steps)
        self._running = 0

    @property
    def done(self) -> bool:
        """Every step has completed."""
        return not self._left

    def take(self, most: int | None = None) -> list[PlannedStep]:
        """The steps to begin now, at most so many, in the order of the file; from now on they count as running."""
        ready, steps = self._ready, self._plan.steps
        count = self._room if most is None else min(most, self._room)
        if count == len(ready):
            taken = [steps[number] for number in sorted(ready)]
            ready.clear()
        else:
            taken = [steps[heapq.heappop(ready)] for _ in range(count)]
        self._running += len(taken)
        return taken

    @property
    def takes_more(self) -> bool:
        """Whether `take` would give something."""
        return self._room > 0

    @property
    def _room(self) -> int:
        limit = self._plan.max_parallel
        return len(self._ready) if limit is None else min(len(self._ready), limit - self._running)

    def arguments(self, step: PlannedStep) -> dict[str, JsonValue]:
        """What a step that may begin is called with.

        :raises UnresolvedReference: the steps before it gave something else than it refers to
        """
        return step.resolve(self._scope)

    def complete(self, step_id: str, output: JsonValue) -> None:
        """A running step has completed."""
        number = self._plan.index[step_id]
        step = self._plan.steps[number]
        self._outputs[step_id] = output if step.shape is None else step.shape(output)
        self._left -= 1
        self._running -= 1
        waits = self._waits
        for dependent in self._plan.dependents[number]:
            waits[dependent] -= 1
            if not waits[dependent]:
                heapq.heappush(self._ready, dependent)

    def before(self, step_id: str) -> dict[str, JsonValue]:
        """What the steps that a running step comes after gave, near and far, by id, in the order of the file: the same
        whatever else has completed meanwhile. Copies; may be called from any thread."""
        plan = self._plan
        found: set[int] = set()
        ahead = list(plan.before[plan.index[step_id]])
        while ahead:
            number = ahead.pop()
            if number not in found:
                found.add(number)
                ahead += plan.before[number]
        names = [plan.steps[number].id for number in sorted(found)]
        return {name: copy.deepcopy(self._outputs[name]) for name in names}

    def outputs(self) -> dict[str, JsonValue]:
        """The outputs of the flow, once it is done.

        :raises UnresolvedReference: the steps gave something else than they refer to
        """
        return self._plan.outputs(self._scope)

    def would_finish(self, step_id: str) -> bool:
        """Whether the completion of this step, which runs, would be the last."""
        return self._left == 1 and self._running == 1 and step_id in self._plan.index

    def outputs_with(self, step_id: str, output: JsonValue) -> dict[str, JsonValue]:
        """The outputs as they would be after the completion of the last step; nothing changes.

        :raises UnresolvedReference: as `outputs`
        """
        step = self._plan.steps[self._plan.index[step_id]]
        last = output if step.shape is None else step.shape(output)
        scope = Scope(self._scope.inputs, {**self._outputs, step_id: last}, self._scope.run_id)
        return self._plan.outputs(scope)
