"""SVG: valid XML whatever is in the labels, with states, times, attempts, legend and title."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.clock import Micros
from trivium.graph.palette import COLOURS, INK, PAGE_INK, PLAIN, Colours, colours
from trivium.graph.svg import to_svg
from trivium.model.picture import Edge, Node, Picture
from trivium.model.states import RunStatus, StepStatus

SVG = "{http://www.w3.org/2000/svg}"
NOON = 1_790_000_000_000_000


def parsed(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(picture, by_dot=False))


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def one_box(label: str = "a", **fields: object) -> Picture:
    return Picture(title="t", nodes=(Node(id="a", label=label, **fields),), edges=())  # type: ignore[arg-type]


def test_a_box_shows_label_detail_state_time_and_attempts():
    root = parsed(
        one_box(
            "fetch",
            detail="http_get",
            status="completed",
            attempts=3,
            started_at=Micros(NOON),
            finished_at=Micros(NOON + 1_240_000),
        )
    )

    assert texts(root) == ["t", "fetch", "http_get", "completed · 1.2 s · 3 attempts", "completed 1"]


def test_the_tooltip_has_everything_in_full():
    long = "x" * 200
    root = parsed(one_box(long, status="running", started_at=Micros(NOON)))

    tips = [element.text or "" for element in root.iter(f"{SVG}title")]
    assert tips[1].splitlines() == [long, "running", "started 2026-09-21T14:13:20.000000Z"]
    assert len(texts(root)[1]) == 40


def test_the_legend_counts_each_state_that_occurs():
    nodes = tuple(
        Node(id=str(index), label=str(index), status=status)
        for index, status in enumerate(["failed", "completed", "completed", "queued"])
    )

    root = parsed(Picture(title="", nodes=nodes, edges=()))

    assert texts(root)[-3:] == ["queued 1", "completed 2", "failed 1"]


def test_a_definition_has_no_legend():
    root = parsed(one_box("a"))

    assert texts(root) == ["t", "a"]


def test_title_and_subtitle_are_drawn_on_the_page():
    root = parsed(Picture(title="flow:demo", subtitle="run 1 · completed", nodes=(), edges=()))

    assert texts(root) == ["flow:demo", "run 1 · completed"]
    assert {element.get("fill") for element in root.iter(f"{SVG}text")} == {PAGE_INK}


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_text_gives_valid_xml(label, detail, title):
    picture = Picture(
        title=title,
        subtitle=detail,
        nodes=(Node(id=label + "a", label=label, detail=detail, status="failed"), Node(id=label + "b", label=detail)),
        edges=(Edge(source=label + "a", target=label + "b", label=title),),
    )

    assert parsed(picture).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    "text", ["]]>", "<script>alert(1)</script>", "\x00\x1b[31m", "\ud800", "￿", "a & b &amp; 'c' \"d\""]
)
def test_nasty_text_gives_valid_xml(text: str):
    root = parsed(one_box(text, detail=text, status=text))

    assert not list(root.iter(f"{SVG}script"))


def test_a_word_of_a_later_release_is_drawn_plain():
    assert colours("hibernating") == PLAIN
    assert "hibernating" in texts(parsed(one_box("a", status="hibernating")))


def test_a_cause_is_dashed():
    nodes = (Node(id="a", label="a"), Node(id="b", label="b"))
    edges = (Edge(source="a", target="b"), Edge(source="a", target="b", cause=True))

    root = parsed(Picture(title="", nodes=nodes, edges=edges))

    arrows = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert [path.get("stroke-dasharray") for path in arrows] == [None, "5 4"]


def test_everything_stands_inside_the_frame():
    nodes = tuple(Node(id=str(index), label=f"step {index}", status="completed") for index in range(12))
    edges = tuple(Edge(source=str(index // 2), target=str(index)) for index in range(1, 12))

    root = parsed(Picture(title="t", nodes=nodes, edges=edges))

    wide, high = (float(root.get(side, "0")) for side in ("width", "height"))
    rects = list(root.iter(f"{SVG}rect"))
    assert all(0 <= float(rect.get("x", "0")) <= wide for rect in rects)
    assert all(float(rect.get("y", "0")) + float(rect.get("height", "0")) <= high for rect in rects)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_every_state_has_colours():
    assert {*RunStatus, *StepStatus} <= set(COLOURS)


@pytest.mark.parametrize("own", [*COLOURS.values(), PLAIN], ids=[*COLOURS, "plain"])
def test_text_in_a_box_can_be_read(own: Colours):
    assert contrast(own.ink, own.fill) >= 4.5
    assert contrast(INK, own.fill) >= 7


def test_text_on_the_page_can_be_read_on_light_and_on_dark():
    assert contrast(PAGE_INK, "#ffffff") >= 4
    assert contrast(PAGE_INK, "#0d1117") >= 4
