"""What large flows cost before their first step: a file is read and checked, a picture is laid out. All of it is the
processor's time, so that a busy machine counts little."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import yaml

from benchmarks import flows, limits, report
from benchmarks.limits import Sample
from benchmarks.report import Figure, Spread
from benchmarks.setting import Setting
from trivium.graph.layout import lay_out
from trivium.model.picture import Edge, Node, Picture
from trivium_dag import load_flow

ROW = "files"


def measure(setting: Setting) -> Iterator[Figure]:
    (steps,) = setting.sizes(10_000)
    path = flows.chain(setting.below(ROW), steps)
    text = path.read_text("utf-8")

    def parse() -> None:
        for _ in yaml.parse(text, Loader=yaml.CSafeLoader):
            pass

    _seconds(lambda: load_flow(path))  # imports what is imported late
    yield limits.figure(
        [_between(parse, lambda: load_flow(path)) for _ in range(setting.repeats)],
        row=ROW,
        what=f"a file of {steps:,} steps, read and checked",
        unit="s of processor time",
        limit_is="libyaml's events",
        required=report.LOAD,
    )
    picture = _tree(steps)
    sizes = {node.id: (120.0, 50.0) for node in picture.nodes}
    labels = [0.0] * len(picture.edges)
    yield Figure(
        row=ROW,
        what=f"a picture of {steps:,} boxes, laid out",
        unit="s of processor time",
        value=Spread.of(
            [_seconds(lambda: lay_out(picture, sizes, labels, right=False)) for _ in range(setting.repeats)]
        ),
        required=report.LAYOUT,
    )


def _between(limit: Callable[[], object], once: Callable[[], object]) -> Sample:
    before = _seconds(limit)
    value = _seconds(once)
    return Sample(value, (before + _seconds(limit)) / 2)


def _tree(count: int) -> Picture:
    """Half of the boxes are leaves that hang on the root, too: a layer that is wide, and arrows over many layers."""
    pairs = [((index - 1) // 2, index) for index in range(1, count)] + [
        (0, index) for index in range(count // 2, count)
    ]
    return Picture(
        title="tree",
        nodes=tuple(Node(id=f"n{index}", label=f"n{index}") for index in range(count)),
        edges=tuple(Edge(source=f"n{source}", target=f"n{target}") for source, target in pairs),
    )


def _seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started
