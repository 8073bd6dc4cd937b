"""The picture as SVG: one drawing, whoever found the places (`dot` if it is installed, else our own layout).

Nothing lies behind the picture, so that it stands on a light page as on a dark one; it names no font file and runs no
script.
"""

from __future__ import annotations

from trivium.graph.captions import drawable, legend, lines, shortened, tooltip, width
from trivium.graph.graphviz import lay_out_by_dot
from trivium.graph.layout import Box, Layout, Route, grows_right, lay_out
from trivium.graph.palette import INK, PAGE_INK, colours
from trivium.model.picture import Edge, Node, Picture

FONT = "Inter, 'Segoe UI', system-ui, 'Helvetica Neue', Helvetica, Arial, sans-serif"
MARGIN = 20.0
LABEL, LINE, NOTE = 13.0, 11.0, 11.0
TITLE = 17.0
MAX_EDGE_LABEL = 36

_ARROW_HEAD = (
    '<defs><marker id="trivium-arrow" viewBox="0 0 9 8" refX="8.5" refY="4" markerWidth="9" markerHeight="8" '
    f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L9 4L0 8L2 4Z" fill="{PAGE_INK}"/></marker></defs>'
)


def to_svg(picture: Picture, *, by_dot: bool = True) -> str:
    """The picture as an SVG document."""
    sizes = {node.id: _size(node) for node in picture.nodes}
    label_widths = [width(_edge_label(edge), NOTE) for edge in picture.edges]
    right = grows_right(picture)
    layout = lay_out_by_dot(picture, sizes, label_widths, right=right) if by_dot else None
    if layout is None:
        layout = lay_out(picture, sizes, label_widths, right=right)
    return _draw(picture, layout)


def escaped(text: str) -> str:
    """`text` for XML content and quoted attributes."""
    text = drawable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")


def _draw(picture: Picture, layout: Layout) -> str:
    head, head_width, top = _head(picture)
    foot, foot_width = _legend(picture)
    wide = max(layout.width, head_width, foot_width) + 2 * MARGIN
    high = MARGIN + top + layout.height + (34.0 if foot else 0.0) + MARGIN
    left = (wide - layout.width) / 2
    routes = [(picture.edges[index], route) for index, route in sorted(layout.routes.items())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}" '
            f'viewBox="0 0 {wide:.0f} {high:.0f}" font-family="{escaped(FONT)}" role="img">',
            f"<title>{escaped(picture.title or 'trivium')}</title>",
            _ARROW_HEAD,
            *head,
            f'<g transform="translate({_n(left)} {_n(MARGIN + top)})">',
            f'<g fill="none" stroke="{PAGE_INK}" stroke-width="1.3">',
            *(_arrow(edge, route) for edge, route in routes),
            "</g>",
            *(_arrow_label(edge, route) for edge, route in routes if edge.label),
            *(_box(node, layout.boxes[node.id]) for node in picture.nodes),
            "</g>",
            *([f'<g transform="translate({_n(MARGIN)} {_n(high - MARGIN - 6)})">', *foot, "</g>"] if foot else ()),
            "</svg>",
            "",
        ]
    )


def _head(picture: Picture) -> tuple[list[str], float, float]:
    """The title's elements, how wide they are, and how far they push the picture down."""
    found: list[str] = []
    wide, high = 0.0, 0.0
    for text, size, weight in ((picture.title, TITLE, "600"), (picture.subtitle, 12.0, "400")):
        if text:
            line = shortened(text, 120)
            high += size + 4
            wide = max(wide, width(line, size, bold=weight == "600"))
            found.append(_text(MARGIN, MARGIN + high - 8, line, size, PAGE_INK, weight=weight, anchor="start"))
    return found, wide, high + 14 if found else 0.0


def _legend(picture: Picture) -> tuple[list[str], float]:
    """A swatch and a count for each status that occurs."""
    found: list[str] = []
    at = 0.0
    for status, count in legend(picture):
        own = colours(status)
        line = f"{status} {count:,}"
        found.append(_rect(at, -10.0, 12.0, 12.0, 3.5, own.fill, own.border, dashed=own.dashed))
        found.append(_text(at + 18, 0.0, line, 12.0, PAGE_INK, anchor="start"))
        at += 18 + width(line, 12.0) + 18
    return found, max(0.0, at - 18)


def _size(node: Node) -> tuple[float, float]:
    """How large a box must be for its lines."""
    first, *rest = lines(node)
    wide = max(width(first, LABEL, bold=True), *(width(line, LINE) for line in rest), 64.0)
    return wide + 26, 20 + 16 + 15.0 * len(rest)


def _box(node: Node, box: Box) -> str:
    own = colours(node.status)
    first, *rest = lines(node)
    left, top = box.x - box.width / 2, box.y - box.height / 2
    found = [
        f"<g><title>{escaped(tooltip(node))}</title>",
        _rect(left, top, box.width, box.height, 9.0, own.fill, own.border, dashed=own.dashed),
        _text(box.x, top + 23, first, LABEL, INK, weight="600"),
    ]
    found += [_text(box.x, top + 23 + 15.5 * row, line, LINE, own.ink) for row, line in enumerate(rest, 1)]
    return "".join([*found, "</g>"])


def _arrow(edge: Edge, route: Route) -> str:
    (x, y), *rest = route.points
    curves = "".join(
        f"C{_n(a[0])} {_n(a[1])} {_n(b[0])} {_n(b[1])} {_n(c[0])} {_n(c[1])}"
        for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    )
    dashed = ' stroke-dasharray="5 4"' if edge.cause else ""
    return f'<path d="M{_n(x)} {_n(y)}{curves}" marker-end="url(#trivium-arrow)"{dashed}/>'


def _arrow_label(edge: Edge, route: Route) -> str:
    text = _edge_label(edge)
    if route.label_at is None:
        x, y = route.points[len(route.points) // 2]
        return _text(x + 6, y + 4, text, NOTE, PAGE_INK, anchor="start")
    return _text(route.label_at[0], route.label_at[1] + 4, text, NOTE, PAGE_INK, anchor="start")


def _edge_label(edge: Edge) -> str:
    return shortened(edge.label, MAX_EDGE_LABEL)


def _rect(x: float, y: float, wide: float, high: float, round_: float, fill: str, border: str, *, dashed: bool) -> str:
    dashes = ' stroke-dasharray="5 3"' if dashed else ""
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(high)}" rx="{_n(round_)}" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.4"{dashes}/>'
    )


def _text(x: float, y: float, text: str, size: float, ink: str, *, weight: str = "400", anchor: str = "middle") -> str:
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" font-weight="{weight}" fill="{ink}" '
        f'text-anchor="{anchor}">{escaped(text)}</text>'
    )


def _n(value: float) -> str:
    """A coordinate: at most one digit behind the point, and never `-0`."""
    return f"{round(value, 1) + 0.0:g}" if abs(value) < 100_000 else f"{value:.1f}"
