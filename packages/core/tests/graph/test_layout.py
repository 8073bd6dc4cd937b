"""Our own layout: boxes apart, arrows around them, everything inside the frame."""

from collections.abc import Sequence
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.graph.layering import Arrow, layers_of
from trivium.graph.layout import Box, Layout, Point, Route, grows_right, lay_out
from trivium.graph.placing import spread
from trivium.model.picture import Edge, Node, Picture
from trivium.testing import calls_counted


def picture(count: int, edges: Sequence[tuple[int, int]], labels: Sequence[str] = ()) -> Picture:
    names = [*labels, *[""] * len(edges)]
    return Picture(
        title="test",
        nodes=tuple(Node(id=f"n{index}", label=f"n{index}") for index in range(count)),
        edges=tuple(
            Edge(source=f"n{source}", target=f"n{target}", label=label)
            for (source, target), label in zip(edges, names, strict=False)
        ),
    )


def placed(drawn: Picture, *, right: bool = False) -> Layout:
    sizes = {node.id: (60.0 + 17 * (index % 5), 36.0 + 15 * (index % 3)) for index, node in enumerate(drawn.nodes)}
    return lay_out(drawn, sizes, [7.0 * len(edge.label) for edge in drawn.edges], right=right)


def overlap(one: Box, two: Box) -> bool:
    return abs(one.x - two.x) * 2 < one.width + two.width and abs(one.y - two.y) * 2 < one.height + two.height


def along(route: Route) -> list[Point]:
    """Points on the route's curves."""
    start, *rest = route.points
    found: list[Point] = []
    for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        for step in range(1, 16):
            t, u = step / 16, 1 - step / 16
            found.append(
                (
                    u**3 * start[0] + 3 * u * u * t * a[0] + 3 * u * t * t * b[0] + t**3 * c[0],
                    u**3 * start[1] + 3 * u * u * t * a[1] + 3 * u * t * t * b[1] + t**3 * c[1],
                )
            )
        start = c
    return found


def inside(point: Point, box: Box) -> bool:
    return abs(point[0] - box.x) < box.width / 2 - 0.5 and abs(point[1] - box.y) < box.height / 2 - 0.5


graphs = st.integers(1, 14).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=25),
        st.lists(st.sampled_from(["", "", "yes", "x > 5"]), max_size=25),
        st.booleans(),
    )
)


@settings(deadline=None)
@given(graphs)
def test_boxes_are_apart_arrows_go_around_them_and_nothing_leaves_the_frame(graph):
    count, edges, labels, right = graph

    layout = placed(picture(count, edges, labels), right=right)

    boxes = list(layout.boxes.values())
    assert not any(overlap(one, two) for one, two in combinations(boxes, 2))
    assert not [
        (index, box)
        for index, route in layout.routes.items()
        for box in boxes
        if any(inside(at, box) for at in along(route))
    ]
    assert all(box.x - box.width / 2 >= -0.01 and box.x + box.width / 2 <= layout.width + 0.01 for box in boxes)
    assert all(box.y - box.height / 2 >= -0.01 and box.y + box.height / 2 <= layout.height + 0.01 for box in boxes)
    assert set(layout.routes) == set(range(len(edges)))


@settings(deadline=None)
@given(graphs)
def test_equal_pictures_get_equal_places(graph):
    count, edges, labels, right = graph

    assert placed(picture(count, edges, labels), right=right) == placed(picture(count, edges, labels), right=right)


def test_a_chain_stands_in_one_straight_line():
    layout = placed(picture(6, [(index, index + 1) for index in range(5)]))

    assert len({round(box.x, 3) for box in layout.boxes.values()}) == 1
    assert [box.y for box in layout.boxes.values()] == sorted(box.y for box in layout.boxes.values())


def test_two_followers_stand_on_both_sides_of_what_they_follow():
    layout = placed(picture(3, [(0, 1), (0, 2)]))

    left, middle, right = sorted(layout.boxes.values(), key=lambda box: box.x)
    assert middle is layout.boxes["n0"]
    assert left.y > middle.y < right.y


def test_an_arrow_that_closes_a_loop_still_ends_where_it_leads():
    layout = placed(picture(3, [(0, 1), (1, 2), (2, 1)]))

    back = layout.routes[2]
    assert layout.boxes["n2"].y > layout.boxes["n1"].y
    assert abs(back.points[0][1] - (layout.boxes["n2"].y - layout.boxes["n2"].height / 2)) < 0.1
    assert abs(back.points[-1][1] - (layout.boxes["n1"].y + layout.boxes["n1"].height / 2)) < 0.1


def test_an_arrow_to_a_box_that_does_not_exist_is_left_out():
    layout = placed(picture(2, [(0, 7), (0, 1)]))

    assert list(layout.routes) == [1]


def test_a_picture_of_nothing_takes_no_room():
    layout = placed(picture(0, []))

    assert (layout.width, layout.height) == (0, 0)


def test_many_boxes_beside_each_other_grow_to_the_right():
    fan = [(0, index) for index in range(1, 30)]
    chain = [(index, index + 1) for index in range(29)]

    assert grows_right(picture(30, fan))
    assert not grows_right(picture(30, chain))


def test_every_arrow_leads_to_a_later_layer_once_cycles_are_broken():
    arrows = [Arrow(0, 1), Arrow(1, 2), Arrow(2, 0), Arrow(2, 3), Arrow(3, 3)]

    layers = layers_of(4, arrows)

    assert all(layers[arrow.source] < layers[arrow.target] for arrow in arrows if arrow.source != arrow.target)
    assert [arrow.reversed for arrow in arrows] == [False, False, True, False, False]


def test_a_late_starter_stands_just_before_what_it_feeds():
    layers = layers_of(5, [Arrow(0, 1), Arrow(1, 2), Arrow(2, 3), Arrow(4, 3)])

    assert layers == [0, 1, 2, 3, 2]


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.floats(0.1, 8)), min_size=1, max_size=30), st.floats(0, 50))
def test_spreading_keeps_the_distances_and_the_middle(wishes, distance):
    asked, weights = zip(*wishes, strict=True)

    found = spread(asked, weights, [distance] * (len(asked) - 1))

    assert all(two - one >= distance - 1e-6 for one, two in pairwise(found))
    off = sum(weight * (at - wish) for at, wish, weight in zip(found, asked, weights, strict=True))
    assert abs(off) < 1e-3  # least squares: the pulls to both sides are equal


def test_spreading_leaves_alone_what_is_far_enough_apart():
    assert spread([0.0, 50.0, 90.0], [1.0, 1.0, 1.0], [40.0, 40.0]) == [0.0, 50.0, 90.0]


def calls_to_place(count: int) -> int:
    """Calls for a tree, half of whose leaves hang on its root."""
    tree = [((index - 1) // 2, index) for index in range(1, count)]
    drawn = picture(count, [*tree, *[(0, index) for index in range(count // 2, count)]])
    sizes = {node.id: (120.0, 50.0) for node in drawn.nodes}

    with calls_counted() as calls:
        layout = lay_out(drawn, sizes, [0.0] * len(drawn.edges), right=False)

    assert len(layout.boxes) == count
    return calls.count


def test_four_times_the_boxes_take_about_four_times_the_work():
    assert calls_to_place(4_000) < 5 * calls_to_place(1_000)
