"""The picture's model: nodes and edges with states, whatever they are drawn as."""

from __future__ import annotations

from dataclasses import dataclass

from trivium.clock import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One box. `status` is a run's or a step's status word, None in a picture of a definition."""

    id: str
    label: str
    detail: str = ""
    status: str | None = None
    attempts: int = 0
    started_at: Micros | None = None
    finished_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An arrow: `target` comes after `source`. `cause` edges say who started whom."""

    source: str
    target: str
    label: str = ""
    cause: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A graph to draw."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    subtitle: str = ""
