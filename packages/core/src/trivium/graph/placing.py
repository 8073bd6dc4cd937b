"""Where in its layer a node stands: an order with few crossings, then places that keep arrows straight.

The order comes from sweeps of barycentres, the places from sweeps of least squares: within a layer, the places
nearest to where the neighbours want each node, at the distances they need (isotonic regression, linear in the layer's
length).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SMALL = 3000
"""Up to so many links, time is spent on beauty."""


@dataclass(slots=True)
class Grid:
    """Layers of items; links lead from one layer to the next only. Items are numbers from 0."""

    layers: list[list[int]]
    before: list[list[int]]
    after: list[list[int]]
    extent: Sequence[float]
    """How much of the layer an item takes, half of it on each side."""
    margin: Sequence[float]
    """What it needs besides, behind it."""
    bend: Sequence[bool]
    """It is no box, but a place that a long arrow passes; those want to stand in line."""
    place: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = [0] * len(self.extent)
        self._number()

    def _number(self) -> None:
        for layer in self.layers:
            for index, item in enumerate(layer):
                self.place[item] = index


def order(grid: Grid) -> None:
    """Sort the layers in place, so that few links cross."""
    links = sum(map(len, grid.after))
    if links == 0:
        return
    small = links <= SMALL
    best, fewest = [list(layer) for layer in grid.layers], crossings(grid) if small else 0
    for sweep in range(24 if small else 4):
        down = sweep % 2 == 0
        neighbours = grid.before if down else grid.after
        for layer in grid.layers if down else reversed(grid.layers):
            _sort(grid, layer, neighbours, last_first=sweep % 4 >= 2)
        if small and (now := crossings(grid)) < fewest:
            best, fewest = [list(layer) for layer in grid.layers], now
        if small and fewest == 0:
            break
    if small:
        grid.layers[:] = best
        grid._number()


def _sort(grid: Grid, layer: list[int], neighbours: Sequence[Sequence[int]], *, last_first: bool) -> None:
    place = grid.place
    wish = {
        item: sum(place[other] for other in near) / len(near) if (near := neighbours[item]) else float(place[item])
        for item in layer
    }
    if last_first:  # equal wishes change sides: otherwise a bad pair would never be tried the other way round
        layer.reverse()
    layer.sort(key=wish.__getitem__)
    for index, item in enumerate(layer):
        place[item] = index


def crossings(grid: Grid) -> int:
    """How many pairs of links cross."""
    total = 0
    for layer in grid.layers:
        ends: list[int] = []
        for item in layer:
            targets = sorted(grid.place[other] for other in grid.after[item])
            total += sum(len(ends) - bisect_right(ends, target) for target in targets)
            for target in targets:
                insort(ends, target)
    return total


def positions(grid: Grid, gap: float) -> list[float]:
    """The middle of every item along its layer; the smallest edge is at 0."""
    extent, margin = grid.extent, grid.margin
    found = [0.0] * len(extent)
    needs: list[list[float]] = []
    for layer in grid.layers:
        distances = [
            extent[one] / 2 + margin[one] + extent[two] / 2 + (gap / 2 if grid.bend[one] and grid.bend[two] else gap)
            for one, two in pairwise(layer)
        ]
        needs.append(distances)
        at = -sum(distances) / 2
        for item, distance in zip(layer, [*distances, 0.0], strict=True):
            found[item] = at
            at += distance
    links = sum(map(len, grid.after))
    rounds = 0 if links == 0 else 12 if links <= SMALL else 3
    for _ in range(rounds):
        for sides, layers in (
            ((grid.before,), list(zip(grid.layers, needs, strict=True))),
            ((grid.after,), list(zip(grid.layers, needs, strict=True))[::-1]),
        ):
            for layer, distances in layers:
                _settle(grid, layer, distances, sides, found)
    for layer, distances in zip(grid.layers, needs, strict=True) if rounds else ():
        _settle(grid, layer, distances, (grid.before, grid.after), found)
    left = min((found[item] - extent[item] / 2 for layer in grid.layers for item in layer), default=0.0)
    return [at - left for at in found]


def _settle(
    grid: Grid,
    layer: Sequence[int],
    distances: Sequence[float],
    sides: Sequence[Sequence[Sequence[int]]],
    found: list[float],
) -> None:
    wishes: list[float] = []
    weights: list[float] = []
    for item in layer:
        wish = weight = 0.0
        for side in sides:
            for other in side[item]:
                pull = (8.0 if grid.bend[other] else 2.0) if grid.bend[item] else 2.0 if grid.bend[other] else 1.0
                wish += pull * found[other]
                weight += pull
        wishes.append(wish / weight if weight else found[item])
        weights.append(weight or 0.1)
    for item, at in zip(layer, spread(wishes, weights, distances), strict=True):
        found[item] = at


def spread(wishes: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """The places nearest to the wishes (weighted least squares) that keep at least the distances between neighbours."""
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length: pool adjacent violators
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        mean, total, length = wish - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, its_total, its_length = blocks.pop()
            mean = (mean * total + other * its_total) / (total + its_total)
            total += its_total
            length += its_length
        blocks.append((mean, total, length))
    places = [mean for mean, _, length in blocks for _ in range(length)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
