"""Pictures of flows and of runs, as DOT and as SVG."""

from trivium.graph.dot import to_dot
from trivium.graph.drawing import Drawing
from trivium.graph.execution import Recorded, picture_of_run
from trivium.graph.graphviz import to_png
from trivium.graph.svg import to_svg

__all__ = ["Drawing", "Recorded", "picture_of_run", "to_dot", "to_png", "to_svg"]
