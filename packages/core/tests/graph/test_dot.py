"""DOT text: whatever is in a label is shown as it is, and the same picture gives the same text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from trivium.graph.captions import drawable
from trivium.graph.dot import quoted, to_dot
from trivium.graph.palette import COLOURS
from trivium.model.picture import Edge, Node, Picture

STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def read(literal: str) -> str:
    """What Graphviz shows for a quoted label."""
    match = STRING.fullmatch(literal)
    assert match is not None, literal
    escapes = {"n": "\n", "\\": "\\", '"': '"'}
    shown = re.sub(r"\\(.)", lambda found: escapes[found[1]], match[1])
    return shown.replace("&amp;", "&")


def test_nothing_in_a_label_means_anything():
    nasty = 'say "hi"\\N \\l <b>bold</b> {a|b}\nnext'

    assert quoted(nasty) == '"say \\"hi\\"\\\\N \\\\l <b>bold</b> {a|b}\\nnext"'


def test_an_entity_in_a_label_stays_text():
    assert quoted("&lt;b&gt; &#38; R&D & co;") == '"&amp;lt;b&amp;gt; &amp;#38; R&D & co;"'


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_a_quoted_text_reads_back_as_it_was(text):
    assert read(quoted(text)) == drawable(text).replace("&amp;", "&")


def test_a_picture_as_dot():
    picture = Picture(
        title="flow:demo",
        subtitle="two steps",
        nodes=(Node(id="a", label="a", detail="add"), Node(id="b", label="b", status="failed", attempts=3)),
        edges=(Edge(source="a", target="b", label="then"), Edge(source="b", target="a", cause=True)),
    )

    text = to_dot(picture)

    assert text.startswith('digraph "flow:demo" {\n')
    assert text.endswith("}\n")
    assert 'label="flow:demo\\ntwo steps"' in text
    assert '"a" [label="a\\nadd"' in text
    assert f'"b" [label="b\\nfailed · 3 attempts", fillcolor="{COLOURS["failed"].fill}"' in text
    assert '"a" -> "b" [label="then"];' in text
    assert '"b" -> "a" [style="dashed"];' in text


def test_equal_pictures_are_equal_text():
    def picture() -> Picture:
        return Picture(
            title="t",
            nodes=tuple(Node(id=f"n{index}", label="x", status="running") for index in range(50)),
            edges=tuple(Edge(source=f"n{index}", target=f"n{index + 1}") for index in range(49)),
        )

    assert to_dot(picture()) == to_dot(picture())


def test_a_lone_surrogate_and_a_control_character_are_replaced():
    assert quoted("a\ud800b\x00c") == '"a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"'
