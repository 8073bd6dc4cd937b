"""Which layer a node stands in: cycles broken, every arrow pointing one way, nothing further from its followers than
it must.

Pure, iterative and linear in nodes and edges, but for the sorting. Nodes are numbers from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Arrow:
    """An edge between two numbered nodes. `length` is how many layers it must span; `reversed` says that it was
    turned round."""

    source: int
    target: int
    length: int = 1
    reversed: bool = False


def layers_of(count: int, arrows: Sequence[Arrow]) -> list[int]:
    """The layer of each node; turns arrows that close a cycle round, in place. Arrows from a node to itself are
    ignored."""
    real = [arrow for arrow in arrows if arrow.source != arrow.target]
    _break_cycles(count, real)
    after: list[list[Arrow]] = [[] for _ in range(count)]
    missing = [0] * count
    for arrow in real:
        after[arrow.source].append(arrow)
        missing[arrow.target] += 1
    sources = [node for node in range(count) if missing[node] == 0]
    layer = [0] * count
    order = list(sources)
    for node in order:  # grows while it is walked: Kahn's algorithm
        for arrow in after[node]:
            layer[arrow.target] = max(layer[arrow.target], layer[node] + arrow.length)
            missing[arrow.target] -= 1
            if missing[arrow.target] == 0:
                order.append(arrow.target)
    for node in sources:  # a late starter stands just before what it feeds, not at the top
        if after[node]:
            layer[node] = min(layer[arrow.target] - arrow.length for arrow in after[node])
    return layer


def _break_cycles(count: int, arrows: Sequence[Arrow]) -> None:
    """Turn round every arrow that leads back to a node on the path of a depth-first walk."""
    after: list[list[Arrow]] = [[] for _ in range(count)]
    entered = [False] * count
    for arrow in arrows:
        after[arrow.source].append(arrow)
        entered[arrow.target] = True
    new, open_, done = 0, 1, 2
    state = [new] * count
    back: list[Arrow] = []
    # Nodes that nothing leads to come first, so that a loop is broken at its end and not at its entry.
    for root in sorted(range(count), key=lambda node: entered[node]):
        if state[root] != new:
            continue
        state[root] = open_
        path = [(root, iter(after[root]))]
        while path:
            node, rest = path[-1]
            for arrow in rest:
                if state[arrow.target] == open_:
                    back.append(arrow)
                elif state[arrow.target] == new:
                    state[arrow.target] = open_
                    path.append((arrow.target, iter(after[arrow.target])))
                    break
            else:
                state[node] = done
                path.pop()
    for arrow in back:
        arrow.source, arrow.target, arrow.reversed = arrow.target, arrow.source, True
