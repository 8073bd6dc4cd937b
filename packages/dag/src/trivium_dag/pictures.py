"""The picture of a flow: its steps, and who waits for whom."""

from __future__ import annotations

from trivium.model.picture import Edge, Node, Picture
from trivium_dag.definition import Flow
from trivium_dag.plan import dependencies


def picture_of(flow: Flow) -> Picture:
    """Nodes in the order of the file."""
    nodes = tuple(Node(id=step.id, label=step.name or step.id, detail=step.uses) for step in flow.steps)
    edges = tuple(
        Edge(source=flow.steps[before].id, target=step.id)
        for step, needed in zip(flow.steps, dependencies(flow), strict=True)
        for before in needed
    )
    return Picture(title=flow.name, subtitle=flow.description, nodes=nodes, edges=edges)
