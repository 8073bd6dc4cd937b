"""What only the whole graph shows: ids that stand twice, steps and inputs that do not exist, cycles, unknown actions.

Works on a sketch of the flow, which each dialect draws with the places of its own file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trivium.json import JsonValue
from trivium.model.drivers import Names
from trivium_dag import problems as codes
from trivium_dag.problems import Path, Problems, listed
from trivium_dag.references import BadReference, Root, parse, references, texts

MAX_CYCLES = 10


@dataclass(frozen=True, slots=True)
class Link:
    """Somebody names a step: `source` (an index) waits for it; None is the flow's outputs, which wait for all."""

    source: int | None
    target: str
    path: Path


@dataclass(slots=True)
class Sketch:
    """The graph of a file, right or wrong."""

    steps: list[tuple[str, Path]] = field(default_factory=list)
    """Ids, each with its place."""
    links: list[Link] = field(default_factory=list)
    inputs: list[tuple[str, Path]] = field(default_factory=list)
    """The inputs that are referred to."""
    actions: list[tuple[str, Path]] = field(default_factory=list)

    def add_references(self, value: JsonValue, path: Path, source: int | None, problems: Problems) -> None:
        """Take in every reference in `value`; note those that cannot be read."""
        for text, place in texts(value, path):
            try:
                found = references(parse(text))
            except BadReference as error:
                problems.error(error.code, str(error), place)
                continue
            for reference in found:
                if reference.name is None:
                    continue
                if reference.root is Root.STEPS:
                    self.links.append(Link(source, reference.name, place))
                elif reference.root is Root.INPUTS:
                    self.inputs.append((reference.name, place))


def check_graph(sketch: Sketch, problems: Problems) -> None:
    """Note duplicate ids, links to nowhere, and cycles."""
    index: dict[str, int] = {}
    for number, (name, path) in enumerate(sketch.steps):
        if name in index:
            problems.error(codes.DUPLICATE_ID, f"a second step has the id {name!r}", path)
        elif name:
            index[name] = number
    after: dict[int, list[int]] = {}
    for link in sketch.links:
        target = index.get(link.target)
        if target is None:
            near = problems.did_you_mean(link.target, index)
            known = f" (there are {listed(index)})" if not near and len(index) <= 12 else ""
            problems.error(codes.UNKNOWN_STEP, f"there is no step {link.target!r:.60}{known}{near}", link.path)
        elif link.source is not None:
            after.setdefault(link.source, []).append(target)
    for cycle in find_cycles(len(sketch.steps), after):
        names = [sketch.steps[number][0] for number in cycle]
        if len(names) == 1:
            text = f"step {names[0]!r} waits for itself"
        else:
            shown = names if len(names) <= 12 else [*names[:11], "..."]
            text = "these steps wait for each other: " + " -> ".join([*shown, names[0]])
        problems.error(codes.CYCLE, text, sketch.steps[cycle[0]][1])


def find_cycles(count: int, after: Mapping[int, Sequence[int]]) -> Iterable[list[int]]:
    """A short cycle of every knot of steps that wait for each other, up to `MAX_CYCLES`; linear where there is none."""
    waits = [0] * count
    dependents: list[list[int]] = [[] for _ in range(count)]
    for source, targets in after.items():
        waits[source] += len(targets)
        for target in targets:
            dependents[target].append(source)
    ready = deque(number for number in range(count) if not waits[number])
    done = 0
    while ready:
        done += 1
        for dependent in dependents[ready.popleft()]:
            waits[dependent] -= 1
            if not waits[dependent]:
                ready.append(dependent)
    if done == count:
        return []
    return _knots(after)[:MAX_CYCLES]


def _knots(after: Mapping[int, Sequence[int]]) -> list[list[int]]:
    import networkx  # a third of a second, for those alone whose file has a cycle

    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_edges_from((source, target) for source, targets in after.items() for target in targets)
    found = []
    for knot in networkx.strongly_connected_components(graph):
        first = min(knot)
        if graph.has_edge(first, first):
            found.append([first])
        elif len(knot) > 1:
            inner = graph.subgraph(knot)
            ways = networkx.single_source_shortest_path_length(inner, first)
            last = min((number for number in inner.predecessors(first)), key=lambda number: (ways[number], number))
            found.append(networkx.shortest_path(inner, first, last))
    return sorted(found)


def check_inputs(sketch: Sketch, declared: Iterable[str], problems: Problems) -> None:
    """Note references to inputs that are not declared."""
    known = list(dict.fromkeys(declared))
    allowed = frozenset(known)
    for name, path in sketch.inputs:
        if name not in allowed:
            near = problems.did_you_mean(name, known)
            problems.error(codes.UNKNOWN_INPUT, f"the flow declares no input {name!r:.60}{near}", path)


def check_actions(sketch: Sketch, names: Names, problems: Problems) -> None:
    """Note actions that nobody registered, each at its first use."""
    for name, path in dict(reversed(sketch.actions)).items():
        if not names.has_action(name):
            problems.error(codes.UNKNOWN_ACTION, unknown_action(name, names, problems), path)


def unknown_action(name: str, names: Names, problems: Problems) -> str:
    """The sentence for an action that is not registered."""
    known = names.action_names()
    near = problems.did_you_mean(name, known)
    cure = near or (f"; registered are {listed(known)}" if known else "; load the module that has it: -m FILE.py")
    return f"no action {name!r:.60} is registered{cure}"
