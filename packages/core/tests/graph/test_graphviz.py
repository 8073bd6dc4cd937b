"""Graphviz as a layout: used where it works, never missed where it does not. Here `dot` is a script that plays it."""

from pathlib import Path

import pytest

from trivium.errors import ConfigError
from trivium.graph.graphviz import LARGEST, lay_out_by_dot, to_png
from trivium.model.picture import Edge, Node, Picture

PICTURE = Picture(
    title="t",
    nodes=(Node(id="a b", label="a"), Node(id='"', label="b")),
    edges=(Edge(source="a b", target='"', label="x > 5"), Edge(source='"', target="a b")),
)
SIZES = {"a b": (72.0, 36.0), '"': (72.0, 36.0)}

ANSWER = """\
graph 1 1 2
node n0 0.5 1.75 1 0.5 "" solid box black lightgrey
node n1 0.5 0.25 1 0.5 "" solid box black lightgrey
edge n1 n0 4 0.4 0.5 0.4 0.8 0.4 1.2 0.4 1.5 solid black
edge n0 n1 4 0.5 1.5 0.5 1.2 0.5 0.8 0.5 0.5 "x > 5" 0.75 1 solid black
stop
"""


def program(folder: Path, script: str) -> str:
    file = folder / "dot"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_the_places_of_dot_are_taken_over_in_pixels_from_the_top(tmp_path: Path):
    (tmp_path / "answer").write_text(ANSWER)
    dot = program(tmp_path, f"cat > '{tmp_path}/question'; cat '{tmp_path}/answer'")

    layout = lay_out_by_dot(PICTURE, SIZES, [30.0, 0.0], right=False, program=dot)

    assert layout is not None
    assert (layout.width, layout.height) == (72, 144)
    assert (layout.boxes["a b"].x, layout.boxes["a b"].y) == (36, 18)
    assert layout.boxes['"'].y == 126
    assert layout.routes[0].points[0] == (36, 36)
    assert layout.routes[0].label_at == (43, 72)
    assert layout.routes[1].label_at is None
    assert "n0 -> n1" in (tmp_path / "question").read_text()


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo nonsense",
        "echo 'node n9 1 1 1 1 x solid box black grey'",
        "cat > /dev/null",
        "kill -9 $$",
        "exec sleep 60",
    ],
)
def test_whatever_dot_does_wrong_we_go_on_without_it(tmp_path: Path, script: str):
    dot = program(tmp_path, script)

    layout = lay_out_by_dot(PICTURE, SIZES, [30.0, 0.0], right=False, program=dot, timeout=0.2)

    assert layout is None


def test_without_dot_we_go_on_without_it(tmp_path: Path):
    missing = str(tmp_path / "dot")

    assert lay_out_by_dot(PICTURE, SIZES, [30.0, 0.0], right=False, program=missing) is None


def test_a_picture_too_large_for_dot_is_not_given_to_it(tmp_path: Path):
    dot = program(tmp_path, f"touch '{tmp_path}/asked'")
    nodes = tuple(Node(id=str(index), label="") for index in range(LARGEST + 1))

    layout = lay_out_by_dot(Picture(title="", nodes=nodes, edges=()), {}, [], right=False, program=dot)

    assert layout is None
    assert not (tmp_path / "asked").exists()


def test_a_png_is_what_dot_makes(tmp_path: Path):
    dot = program(tmp_path, "cat > /dev/null; printf picture")

    assert to_png(PICTURE, program=dot) == b"picture"


def test_a_png_without_dot_says_what_to_install(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"not on the PATH.*apt install graphviz.*--format svg"):
        to_png(PICTURE, program=str(tmp_path / "dot"))


def test_a_png_that_dot_refuses_says_why(tmp_path: Path):
    dot = program(tmp_path, "cat > /dev/null; echo 'no font' >&2; exit 1")

    with pytest.raises(ConfigError, match="could not draw the picture: no font"):
        to_png(PICTURE, program=dot)


def test_a_png_that_takes_too_long_says_so(tmp_path: Path):
    dot = program(tmp_path, "exec sleep 60")

    with pytest.raises(ConfigError, match="did not finish"):
        to_png(PICTURE, program=dot, timeout=0.2)
