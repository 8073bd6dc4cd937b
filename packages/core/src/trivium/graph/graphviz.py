"""Graphviz, where it is installed: `dot` as a layout, and as the only way to PNG. Every failure is None or an error
that says so."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from trivium.errors import ConfigError
from trivium.graph.captions import drawable
from trivium.graph.dot import quoted, to_dot
from trivium.graph.layout import Box, Layout, Point, Route
from trivium.model.picture import Picture

PROGRAM = "dot"
TIMEOUT = 10.0
LARGEST = 400
"""Boxes and arrows up to which `dot` is asked: beyond, it takes minutes."""

_INCH = 72.0


def lay_out_by_dot(
    picture: Picture,
    sizes: Mapping[str, tuple[float, float]],
    label_widths: Sequence[float],
    *,
    right: bool,
    program: str = PROGRAM,
    timeout: float = TIMEOUT,
) -> Layout | None:
    """The layout that `dot` finds for boxes of these sizes, or None where it is absent, too slow, or fails."""
    if len(picture.nodes) + len(picture.edges) > LARGEST or (found := shutil.which(program)) is None:
        return None
    question = _question(picture, sizes, label_widths, right=right)
    try:
        answer = subprocess.run(
            [found, "-Tplain"], input=question.encode(), capture_output=True, timeout=timeout, check=True
        ).stdout.decode()
        return _read(answer, picture, sizes, label_widths)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, KeyError):
        return None  # the picture is drawn without it


def to_png(picture: Picture, *, program: str = PROGRAM, timeout: float = TIMEOUT) -> bytes:
    """The picture as PNG, drawn by Graphviz.

    :raises ConfigError: Graphviz is not installed, or failed
    """
    found = shutil.which(program)
    if found is None:
        raise ConfigError(
            "a PNG is drawn by Graphviz, and its program 'dot' is not on the PATH",
            hint="install it (apt install graphviz, brew install graphviz), or use --format svg, which needs nothing",
        )
    try:
        return subprocess.run(
            [found, "-Tpng", "-Gdpi=144"],
            input=to_dot(picture).encode(),
            capture_output=True,
            timeout=timeout,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        raise ConfigError(f"Graphviz did not finish in {timeout:.0f} s", hint="use --format svg") from None
    except (OSError, subprocess.CalledProcessError) as error:
        said = (
            error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else error
        )
        raise ConfigError(f"Graphviz could not draw the picture: {said}", hint="use --format svg") from error


def _question(
    picture: Picture, sizes: Mapping[str, tuple[float, float]], label_widths: Sequence[float], *, right: bool
) -> str:
    """Nameless boxes of fixed sizes: only places are asked for, the drawing is ours."""
    number = {node.id: index for index, node in enumerate(picture.nodes)}
    out = [
        "digraph {",
        f"rankdir={'LR' if right else 'TB'}; nodesep=0.3; ranksep=0.5; splines=true; dpi=72;",
        'node [shape=box, fixedsize=true, label=""]; edge [arrowhead=none, fontsize=11];',
    ]
    for index, node in enumerate(picture.nodes):
        wide, high = sizes[node.id]
        out.append(f"n{index} [width={wide / _INCH:.4f}, height={high / _INCH:.4f}];")
    for edge, wide in zip(picture.edges, label_widths, strict=True):
        if edge.source in number and edge.target in number:
            label = f" [label={quoted(drawable(edge.label))}]" if wide else ""
            out.append(f"n{number[edge.source]} -> n{number[edge.target]}{label};")
    return "\n".join([*out, "}"])


def _read(
    answer: str, picture: Picture, sizes: Mapping[str, tuple[float, float]], label_widths: Sequence[float]
) -> Layout:
    """Dot's plain format: inches, with y growing upward; arrows in their own order, so they are found by their ends."""
    boxes: dict[str, Box] = {}
    routes: dict[int, Route] = {}
    waiting: dict[tuple[str, str], list[int]] = {}
    number = {node.id: f"n{index}" for index, node in enumerate(picture.nodes)}
    for index, edge in enumerate(picture.edges):
        if edge.source in number and edge.target in number:
            waiting.setdefault((number[edge.source], number[edge.target]), []).append(index)
    wide = high = 0.0
    for line in answer.splitlines():
        words = shlex.split(line)
        if words[0] == "graph":
            wide, high = float(words[2]) * _INCH, float(words[3]) * _INCH
        elif words[0] == "node":
            node = picture.nodes[int(words[1][1:])]
            boxes[node.id] = Box(float(words[2]) * _INCH, high - float(words[3]) * _INCH, *sizes[node.id])
        elif words[0] == "edge":
            count = int(words[3])
            numbers = [float(word) * _INCH for word in words[4 : 4 + 2 * count]]
            points: list[Point] = [(x, high - y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            rest = words[4 + 2 * count :]
            edge_index = waiting[words[1], words[2]].pop(0)
            label_at = None
            if len(rest) == 5:  # label, its middle, style, colour
                middle = float(rest[1]) * _INCH
                label_at = (middle - label_widths[edge_index] / 2 + 4, high - float(rest[2]) * _INCH)
            routes[edge_index] = Route(tuple(points), label_at)
    if len(boxes) < len(picture.nodes) or any(waiting.values()):
        raise ValueError("dot has not placed everything")
    return Layout(wide, high, boxes, routes)
