"""DOT text: the picture for Graphviz and everything that reads its language. The same picture gives the same text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trivium.graph.captions import drawable, lines, tooltip
from trivium.graph.layout import grows_right
from trivium.graph.palette import INK, PAGE_INK, colours
from trivium.model.picture import Edge, Node, Picture

FONT = "Helvetica"

_ENTITY = re.compile(r"&(?=#?\w+;)")


def to_dot(picture: Picture) -> str:
    """The picture as a `digraph`."""
    title = "\n".join(part for part in (picture.title, picture.subtitle) if part)
    across = "LR" if grows_right(picture) else "TB"
    out = [
        f"digraph {quoted(picture.title or 'trivium')} {{",
        "  "
        + _list(
            "graph", {"rankdir": across, "bgcolor": "transparent", "nodesep": "0.3", "ranksep": "0.45", "pad": "0.2"}
        ),
        "  "
        + _list("graph", {"label": title, "labelloc": "t", "fontname": FONT, "fontcolor": PAGE_INK, "fontsize": "15"}),
        "  "
        + _list(
            "node", {"shape": "box", "style": "rounded,filled", "fontname": FONT, "fontsize": "11", "fontcolor": INK}
        ),
        "  "
        + _list(
            "edge", {"color": PAGE_INK, "fontname": FONT, "fontsize": "10", "fontcolor": PAGE_INK, "arrowsize": "0.7"}
        ),
    ]
    out += [f"  {_node(node)}" for node in picture.nodes]
    out += [f"  {_edge(edge)}" for edge in picture.edges]
    return "\n".join([*out, "}", ""])


def quoted(text: str) -> str:
    """A DOT string that shows `text` as it is: no escape, entity, port or HTML in it means anything."""
    text = _ENTITY.sub("&amp;", drawable(text))
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _node(node: Node) -> str:
    own = colours(node.status)
    attributes = {
        "label": "\n".join(lines(node)),
        "fillcolor": own.fill,
        "color": own.border,
        "tooltip": tooltip(node),
    }
    if own.dashed:
        attributes["style"] = "rounded,filled,dashed"
    return _list(quoted(node.id), attributes)


def _edge(edge: Edge) -> str:
    attributes: dict[str, str] = {}
    if edge.label:
        attributes["label"] = edge.label
    if edge.cause:
        attributes["style"] = "dashed"
    return _list(f"{quoted(edge.source)} -> {quoted(edge.target)}", attributes)


def _list(head: str, attributes: Mapping[str, str]) -> str:
    inside = ", ".join(f"{name}={quoted(value)}" for name, value in attributes.items())
    return f"{head} [{inside}];" if inside else f"{head};"
