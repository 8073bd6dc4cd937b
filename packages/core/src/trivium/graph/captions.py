"""What is written in the boxes and how wide it will be: shared by DOT and SVG."""

from __future__ import annotations

import unicodedata
from collections import Counter

from trivium.clock import SECOND, Micros, iso
from trivium.graph.palette import COLOURS
from trivium.model.picture import Node, Picture

MAX_LABEL = 40
MAX_DETAIL = 56

_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/\\ `")
_BROAD = frozenset("mwMW@%&")


def lines(node: Node) -> tuple[str, ...]:
    """The lines of a box, the label first; shortened, on one line each."""
    found = (shortened(node.label or node.id, MAX_LABEL), shortened(node.detail, MAX_DETAIL), fate(node))
    return (found[0], *(line for line in found[1:] if line))


def fate(node: Node) -> str:
    """What became of a node: `completed · 1.2 s · 3 attempts`; empty in a picture of a definition."""
    parts = [] if node.status is None else [node.status]
    if node.started_at is not None and node.finished_at is not None:
        parts.append(duration(Micros(node.finished_at - node.started_at)))
    if node.attempts > 1:
        parts.append(f"{node.attempts} attempts")
    return " · ".join(parts)


def tooltip(node: Node) -> str:
    """Everything about a node, in full."""
    found = [node.label or node.id, node.detail, fate(node)]
    if node.started_at is not None:
        found.append(f"started {iso(node.started_at)}")
    if node.finished_at is not None:
        found.append(f"finished {iso(node.finished_at)}")
    return "\n".join(line for line in found if line)


def legend(picture: Picture) -> tuple[tuple[str, int], ...]:
    """The status words that occur, each with its number of boxes, in the palette's order."""
    counted = Counter(node.status for node in picture.nodes if node.status is not None)
    place = {status: index for index, status in enumerate(COLOURS)}
    return tuple(sorted(counted.items(), key=lambda item: (place.get(item[0], len(place)), item[0])))


def duration(micros: Micros) -> str:
    """A length of time, for people: `4 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = max(0, micros) / SECOND
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def shortened(text: str, limit: int) -> str:
    """`text` on one line, at most `limit` characters, without characters that cannot be drawn."""
    text = " ".join(drawable(text).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def drawable(text: str) -> str:
    """`text` with what neither XML nor a terminal can hold (control characters, lone surrogates) replaced."""
    if text.isprintable():
        return text
    return "".join(one if one in "\n\t" or not _undrawable(one) else "\N{REPLACEMENT CHARACTER}" for one in text)


def width(text: str, size: float, *, bold: bool = False) -> float:
    """About how many pixels a line takes in a sans-serif font; a little too much rather than too little."""
    ems = 0.0
    for one in text:
        if one in _NARROW:
            ems += 0.36
        elif one in _BROAD:
            ems += 0.92
        elif one.isupper():
            ems += 0.72
        elif unicodedata.east_asian_width(one) in "WF":
            ems += 1.05
        else:
            ems += 0.59
    return ems * size * (1.06 if bold else 1.0)


def _undrawable(one: str) -> bool:
    return unicodedata.category(one) in ("Cc", "Cs", "Cn") or one in "\ufffe\uffff"
