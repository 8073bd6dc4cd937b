"""Our own layout, for machines without Graphviz and for pictures too large for it: layered, and linear enough for
10,000 boxes.

Pure: sizes in, places out. Layers are made in `layering`, places in them by `placing`; this module turns both into
boxes and curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trivium.graph.layering import Arrow, layers_of
from trivium.graph.placing import Grid, order, positions
from trivium.model.picture import Picture

Point: TypeAlias = tuple[float, float]

GAP = 22.0
"""Between two boxes of a layer."""
LAYER_GAP = 40.0
"""Between two layers, at least: room for the arrows."""
LOOP = 34.0
"""What an arrow from a box to itself takes beside it."""
PORT = 16.0
"""Between two arrows that leave or reach a box on one side."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its middle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow: a start, then cubic curves (two control points and an end each). `label_at` is where its label's left
    edge is."""

    points: tuple[Point, ...]
    label_at: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture with places, in pixels; nothing is left of or above 0. Routes by the index of their edge."""

    width: float
    height: float
    boxes: Mapping[str, Box]
    routes: Mapping[int, Route]


def grows_right(picture: Picture) -> bool:
    """Whether the picture reads better from left to right: many boxes beside each other, in few layers."""
    index = {node.id: place for place, node in enumerate(picture.nodes)}
    layers = layers_of(len(index), list(_arrows(picture, index).values()))
    counts: dict[int, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    downward = max(counts.values(), default=0) * 190
    return downward > 1600 and len(counts) * 260 < downward


def lay_out(
    picture: Picture, sizes: Mapping[str, tuple[float, float]], label_widths: Sequence[float], *, right: bool
) -> Layout:
    """Places for boxes of these sizes; `label_widths` has one for each edge, 0 for one without a label."""
    index = {node.id: place for place, node in enumerate(picture.nodes)}
    names = list(index)
    arrows = _arrows(picture, index, label_widths)
    layers = layers_of(len(names), list(arrows.values()))
    along = [sizes[name][1 if right else 0] for name in names]
    across = [sizes[name][0 if right else 1] for name in names]
    if right:  # a label stands on its arrow, which runs across the layers
        label_along, label_across = [14.0 if wide else 0.0 for wide in label_widths], list(label_widths)
    else:
        label_along, label_across = list(label_widths), [14.0 if wide else 0.0 for wide in label_widths]

    grid, bends = _grid(arrows, layers, along, across, label_along, label_across)
    order(grid)
    at = positions(grid, GAP)
    tops, depths = _stack(grid, at, across)

    boxes: dict[str, Box] = {}
    for node, name in enumerate(names):
        middle = tops[layers[node]] + depths[layers[node]] / 2
        x, y = (middle, at[node]) if right else (at[node], middle)
        boxes[name] = Box(x, y, *sizes[name])
    lanes = [(top, top + depth) for top, depth in zip(tops, depths, strict=True)]
    ports = _ports(arrows, bends, at, along)
    routes: dict[int, Route] = {}
    for edge, arrow in arrows.items():
        if arrow.source == arrow.target:
            routes[edge] = _loop(boxes[names[arrow.source]])
            continue
        leave, arrive = ports[edge]
        first, last = lanes[layers[arrow.source]], lanes[layers[arrow.target]]
        stations = [(at[arrow.source] + leave, (first[0] + first[1] + across[arrow.source]) / 2, first[1])]
        stations += [(at[bend], *lanes[layers[bend]]) for bend in bends[edge]]
        stations.append((at[arrow.target] + arrive, last[0], (last[0] + last[1] - across[arrow.target]) / 2))
        points = _curve(stations)
        if arrow.reversed:
            points.reverse()
        label_at = None
        if label_widths[edge] and bends[edge]:
            bend = bends[edge][len(bends[edge]) // 2]
            top, bottom = lanes[layers[bend]]
            label_at = (top + 4, at[bend] + 9) if right else (at[bend] + 5, (top + bottom) / 2)
        routes[edge] = Route(tuple((b, a) if right else (a, b) for a, b in points), label_at)
    deep = lanes[-1][1] if lanes else 0.0
    wide = max((at[item] + along[item] / 2 + grid.margin[item] for item in range(len(at))), default=0.0)
    return Layout(deep if right else wide, wide if right else deep, boxes, routes)


def _arrows(picture: Picture, index: Mapping[str, int], label_widths: Sequence[float] = ()) -> dict[int, Arrow]:
    """The edges whose two nodes exist, by their index. One with a label spans two layers, the label stands between
    them."""
    return {
        place: Arrow(index[edge.source], index[edge.target], 2 if label_widths and label_widths[place] > 0 else 1)
        for place, edge in enumerate(picture.edges)
        if edge.source in index and edge.target in index
    }


def _grid(
    arrows: Mapping[int, Arrow],
    layers: list[int],
    along: list[float],
    across: list[float],
    label_along: Sequence[float],
    label_across: Sequence[float],
) -> tuple[Grid, dict[int, list[int]]]:
    """The layers with a bend in each layer that an arrow passes; `layers`, `along` and `across` grow by the bends.

    Very many very long arrows would need more bends than there are boxes: beyond a budget they are drawn straight.
    """
    boxes = len(along)
    margin = [0.0] * boxes
    before: list[list[int]] = [[] for _ in range(boxes)]
    after: list[list[int]] = [[] for _ in range(boxes)]
    bends: dict[int, list[int]] = {edge: [] for edge in arrows}
    budget = boxes + len(arrows) + 1000
    for edge, arrow in sorted(arrows.items(), key=lambda item: layers[item[1].target] - layers[item[1].source]):
        if arrow.source == arrow.target:
            margin[arrow.source] = LOOP
            continue
        span = layers[arrow.target] - layers[arrow.source]
        if span - 1 > budget:
            continue
        budget -= span - 1
        last = arrow.source
        for step in range(1, span):
            bend = len(along)
            labelled = step == (span - 1) // 2 + 1 and label_along[edge] > 0
            along.append(2.0)
            margin.append(label_along[edge] + 4 if labelled else 0.0)
            across.append(label_across[edge] if labelled else 0.0)
            layers.append(layers[arrow.source] + step)
            before.append([last])
            after.append([])
            after[last].append(bend)
            bends[edge].append(bend)
            last = bend
        after[last].append(arrow.target)
        before[arrow.target].append(last)
    rows: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
    for item in _walk(boxes, len(along), before, after):
        rows[layers[item]].append(item)
    return Grid(rows, before, after, along, margin, [item >= boxes for item in range(len(along))]), bends


def _walk(boxes: int, count: int, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> Sequence[int]:
    """All items, in the order of a depth-first walk from the first boxes: what belongs together starts out together."""
    seen = [False] * count
    found: list[int] = []
    for root in [*(item for item in range(boxes) if not before[item]), *range(count)]:
        stack = [root]
        while stack:
            item = stack.pop()
            if seen[item]:
                continue
            seen[item] = True
            found.append(item)
            stack.extend(reversed(after[item]))
    return found


def _stack(grid: Grid, at: Sequence[float], across: Sequence[float]) -> tuple[list[float], list[float]]:
    """Where each layer begins and how deep it is. The further arrows run aside, the more room they get."""
    tops: list[float] = []
    depths: list[float] = []
    top = 0.0
    for layer in grid.layers:
        depth = max(across[item] for item in layer)
        tops.append(top)
        depths.append(depth)
        aside = max((abs(at[item] - at[other]) for item in layer for other in grid.after[item]), default=0.0)
        top += depth + LAYER_GAP + min(70.0, aside * 0.07)
    return tops, depths


def _ports(
    arrows: Mapping[int, Arrow], bends: Mapping[int, Sequence[int]], at: Sequence[float], along: Sequence[float]
) -> dict[int, tuple[float, float]]:
    """How far from the middle of its boxes each arrow leaves and arrives, in the order of where it comes from and
    goes to."""
    leaving: dict[int, list[tuple[float, int]]] = {}
    arriving: dict[int, list[tuple[float, int]]] = {}
    for edge, arrow in arrows.items():
        if arrow.source != arrow.target:
            path = bends[edge]
            leaving.setdefault(arrow.source, []).append((at[path[0] if path else arrow.target], edge))
            arriving.setdefault(arrow.target, []).append((at[path[-1] if path else arrow.source], edge))
    offsets: list[dict[int, float]] = []
    for side in (leaving, arriving):
        found: dict[int, float] = {}
        for node, ends in side.items():
            ends.sort()
            distance = min(PORT, along[node] * 0.6 / len(ends))
            for place, (_, edge) in enumerate(ends):
                found[edge] = (place - (len(ends) - 1) / 2) * distance
        offsets.append(found)
    return {edge: (offsets[0].get(edge, 0.0), offsets[1].get(edge, 0.0)) for edge in arrows}


def _curve(stations: Sequence[tuple[float, float, float]]) -> list[Point]:
    """A start and cubic curves through the stations: straight along each, from its top to its bottom, and bent
    between two."""
    points: list[Point] = [stations[0][:2]]
    for station, (here, begin, end) in enumerate(stations):
        if station:
            before, behind = points[-1]
            half = (begin - behind) / 2
            points += [(before, behind + half), (here, begin - half), (here, begin)]
        if end - begin > 0.5:
            third = (end - begin) / 3
            points += [(here, begin + third), (here, end - third), (here, end)]
    return points


def _loop(box: Box) -> Route:
    """From the right side of a box to the right side of the same box."""
    side, reach = box.x + box.width / 2, LOOP - 6
    above, below = box.y - box.height / 5, box.y + box.height / 5
    return Route(
        ((side, above), (side + reach, above - 8), (side + reach, below + 8), (side, below)), (side + reach, box.y)
    )
